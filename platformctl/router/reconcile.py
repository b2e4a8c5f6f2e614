"""One look at one Job: bring it one or more steps further along the protocol of exactly-once submission.

Every step may be the last before the process dies. What has been written to the status is all that the
next look knows; see the package's docstring for the protocol.
"""

from collections.abc import Mapping

import structlog

from platformctl.clients.kubernetes import ApiError, NotFoundError
from platformctl.jobs.model import JobSpec, Refusal, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router import status
from platformctl.router.backend import FINAL, Backend, Claim, Phase, Refused, Seen, Ticket, Unavailable
from platformctl.router.queue import RetryLater
from platformctl.router.resource import JobResource, JobStore
from platformctl.router.routing import choose

_ENDING_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Looks at Jobs. It keeps nothing between two looks."""

    def __init__(
        self, store: JobStore, backends: Mapping[Target, Backend], users: Mapping[str, User], site: str
    ) -> None:
        self._store = store
        self._backends = backends
        self._users = users
        self._site = site

    async def look(self, job: JobResource) -> float | None:
        """Advance a Job; returns the seconds until the next look, None to wait for news.

        Raises RetryLater when something was away or the copy of the Job was old.
        """
        try:
            return await self._look(job)
        except NotFoundError:
            return None
        except ApiError as error:
            raise RetryLater(str(error)) from error

    async def _look(self, job: JobResource) -> float | None:
        try:
            if job.deleting:
                return await self._end(job)
            if job.final:
                return None
            return await (self._follow(job) if job.released else self._advance(job))
        except Unavailable as error:
            await self._note_unavailable(job, str(error))
            raise RetryLater(str(error)) from error

    async def _advance(self, job: JobResource) -> float | None:
        ticket = self._ticket(job)
        if not isinstance(ticket, Ticket):
            await self._refuse(job, ticket)
            return None
        try:
            return await self._submit(job, ticket)
        except Refused as verdict:
            fresh = await self._store.read(job.namespace, job.name)
            await self._refuse(fresh or job, [Refusal("spec", str(verdict))])
            return None

    async def _submit(self, job: JobResource, ticket: Ticket) -> float | None:
        """Steps 1 to 4 of the protocol."""
        if not job.guarded:
            job = await self._store.guard(job)
        certainly_new = job.backend is None
        if certainly_new:
            route = await choose(ticket, self._backends)
            if isinstance(route, list):
                await self._refuse(job, route)
                return None
            decision = status.decided(job, route.target, route.why, ticket.user, job.attempt)
            job = await self._store.write_status(job, decision)
        backend = self._backend(job)
        if not job.backend_id:
            job_id = await _submit_held(backend, ticket, certainly_new)
            job = await self._store.write_status(job, status.recorded(job_id))
            log.info("submitted", **_marks(job))
        seen = await backend.read(ticket.claim, job.backend_id)
        if seen is None:
            await self._store.write_status(job, status.lost_before_release())
            raise RetryLater("the held job was lost")
        job = await self._store.write_status(job, status.releasing())
        return await self._release(job, ticket, seen)

    async def _release(self, job: JobResource, ticket: Ticket, seen: Seen | None) -> float | None:
        """Step 6; a router that died before it comes here again. What follows is observed."""
        backend = self._backend(job)
        if seen is not None and seen.held:
            await backend.release(ticket, job.backend_id)
        await self._store.write_status(job, status.released(job))
        return backend.look_again

    async def _follow(self, job: JobResource) -> float | None:
        """A job that may have run: report what became of it."""
        backend, ticket = self._backend(job), self._ticket(job)
        seen = await backend.read(self._claim(job), job.backend_id)
        if job.phase is Phase.PENDING and isinstance(ticket, Ticket):
            return await self._release(job, ticket, seen)
        news = status.followed(job, seen) if seen else status.vanished(job)
        changes = status.changed(job, news)
        if changes:
            job = await self._store.write_status(job, changes)
            log.info("followed", phase=job.phase, reason=job.status.get("reason"), **_marks(job))
        return None if job.final else backend.look_again

    async def _end(self, job: JobResource) -> float | None:
        """Deletion: cancel what runs, and let go once it has ended."""
        if not job.guarded:
            return None
        if await self._withdraw(job):
            return _ENDING_SECONDS
        await self._store.let_go(job)
        log.info("deleted", **_marks(job))
        return None

    async def _withdraw(self, job: JobResource) -> bool:
        """Cancel the attempt's job wherever it is; whether it still runs."""
        if job.backend is None:
            return False
        backend, claim = self._backend(job), self._claim(job)
        running = False
        for job_id in [job.backend_id] if job.backend_id else await backend.find(claim):
            await backend.cancel(claim, job_id)
            seen = await backend.read(claim, job_id)
            running = running or (seen is not None and seen.phase not in FINAL)
        return running

    async def _refuse(self, job: JobResource, refusals: list[Refusal]) -> None:
        await self._withdraw(job)
        await self._store.write_status(job, status.refused(job, refusals))
        log.info("refused", refusals=[str(refusal) for refusal in refusals], **_marks(job))

    async def _note_unavailable(self, job: JobResource, why: str) -> None:
        """Say why nothing moves; best done, not worth failing for."""
        fresh = await self._store.read(job.namespace, job.name)
        if fresh is None or fresh.final or fresh.status.get("reason") == why:
            return
        await self._store.write_status(fresh, status.unavailable(fresh, why))

    def _ticket(self, job: JobResource) -> Ticket | list[Refusal]:
        spec: JobSpec | list[Refusal] = parse(job.raw.get("spec"))
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
        return Ticket(self._claim(job, user.name), spec, user)

    def _claim(self, job: JobResource, user: str = "") -> Claim:
        token = Token(self._site, job.uid, job.attempt)
        return Claim(token, job.namespace, job.name, user or str(job.status.get("user", "")))

    def _backend(self, job: JobResource) -> Backend:
        backend = self._backends.get(job.backend) if job.backend else None
        if backend is None:
            raise Unavailable(f"this site has no {job.backend} any more")
        return backend


async def _submit_held(backend: Backend, ticket: Ticket, certainly_new: bool) -> str:
    """The id of the attempt's held job: one that an earlier look left behind, or a new one."""
    found = [] if certainly_new else await backend.find(ticket.claim)
    for copy in found[1:]:
        await backend.cancel(ticket.claim, copy)
    return found[0] if found else await backend.submit_held(ticket)


def _marks(job: JobResource) -> dict[str, str]:
    """What every line of the log says about its Job."""
    return {
        "namespace": job.namespace,
        "job": job.name,
        "uid": job.uid,
        "backend": job.backend or "",
        "backend_id": job.backend_id,
    }
