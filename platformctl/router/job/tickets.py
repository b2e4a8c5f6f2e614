"""From a Job resource to the arguments of back ends: the checked spec, the site's user, the token."""

from collections.abc import Mapping

from platformctl.jobs.elements import only
from platformctl.jobs.model import Policy, Refusal, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Backend, Claim, Ticket, Unavailable
from platformctl.router.job.resource import JobResource


class AbsentError(Unavailable):
    """The site's configuration no longer has the back end."""


class Tickets:
    """Knows the site: its name, users and back ends."""

    def __init__(
        self,
        backends: Mapping[Target, Backend],
        users: Mapping[str, User],
        site: str,
        policy: Policy | None = None,
    ) -> None:
        self.backends = backends
        self._users = users
        self._site = site
        self._policy = policy or Policy()

    def ticket(self, job: JobResource) -> Ticket | list[Refusal]:
        """The ticket for the current attempt, or everything that is wrong with the Job."""
        spec = parse(job.raw.get("spec"))
        user = self._users.get(job.submitter)
        refusals = list(spec) if isinstance(spec, list) else []
        if user is None:
            who = (
                f"{job.submitter[:253]!r} is no user of this site"
                if job.submitter
                else "the submitter is unknown"
            )
            refusals.append(Refusal("metadata.annotations", f"{who}; the site's users are in its inventory"))
        if refusals or user is None or isinstance(spec, list):
            return refusals
        settled = settle(spec, user, self._policy, job.namespace)
        if isinstance(settled, list):
            return settled
        return Ticket(self.claim(job, user.name), only(settled, job.remaining), user)

    def claim(self, job: JobResource, user: str = "") -> Claim:
        """The claim for the current attempt. user: by default the user that it was submitted as."""
        token = Token(self._site, job.uid, job.attempt, job.copy)
        return Claim(token, job.namespace, job.name, user or str(job.status.get("user", "")))

    def backend(self, job: JobResource) -> Backend:
        """Where the current attempt was sent."""
        backend = self.backends.get(job.backend) if job.backend else None
        if backend is None:
            raise AbsentError(f"this site no longer has {job.backend}")
        return backend


def marks(job: JobResource) -> dict[str, str | int]:
    """The fields that identify a Job in every line of the log."""
    return {
        "namespace": job.namespace,
        "job": job.name,
        "uid": job.uid,
        "attempt": job.attempt,
        "backend": job.backend or "",
        "backend_id": job.backend_id,
    }
