"""The gates: what a Job waits for before it is submitted to any back end.

It may wait for its user (suspend), other Jobs (dependsOn), and room in its queue. Gates are checked against
the router's memory, without requests. If a gate can never open, the Job is refused.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from platformctl.jobs.model import JobSpec, Queue, Refusal, Target, User, When
from platformctl.jobs.policy import in_queue
from platformctl.jobs.queues import pick
from platformctl.router.backend import Ticket
from platformctl.router.job.explain import Line
from platformctl.router.job.occupancy import excess, holding
from platformctl.router.job.overview import Brief, Overview
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import FINAL, Phase

# Seconds until a closed gate is checked again, in case the change that opens it was missed.
_LOOK_AGAIN = 300.0
_MAX_CYCLE_SEARCH = 10_000
_DEPENDS_ON = "spec.dependsOn"


type Queues = Callable[[], Mapping[str, Queue]]
"""The site's Queue resources by name; empty if the site does not use them."""


@dataclass(frozen=True)
class Wait:
    """A closed gate: why, in plain words, and after how many seconds to try again."""

    reason: str
    seconds: float = _LOOK_AGAIN


class Gates:
    """Checks Jobs that have not been submitted.

    on_kubernetes: the limits of each user and account on Kubernetes, whatever the queue.
    """

    def __init__(self, jobs: Overview, queues: Queues, on_kubernetes: Queue | None = None) -> None:
        self._jobs = jobs
        self._queues = queues
        self._on_kubernetes = on_kubernetes

    def assign(self, ticket: Ticket) -> Ticket | list[Refusal]:
        """The ticket with its Queue and that queue's wall time, or why the queue does not accept the job."""
        queues = self._queues()
        if not queues:
            return ticket
        queue = pick(queues, ticket.job.queue)
        if isinstance(queue, Refusal):
            return [queue]
        if queue is None:
            return ticket
        refusals = _unwelcome(ticket.job, ticket.user, queue)
        walltime = ticket.job.walltime or queue.default_walltime or queue.max_walltime
        job = in_queue(replace(ticket.job, walltime=walltime), queue)
        return refusals or replace(ticket, job=job, queue=queue)

    def closed(self, job: JobResource, ticket: Ticket) -> Wait | list[Refusal] | None:
        """The first closed gate, or why one can never open; None if all are open.

        Room in the queue is checked last. If there is room, this call takes it.
        """
        key = (job.namespace, job.name)
        closed = self._before_the_queue(job, ticket.job)
        if closed is not None:
            self._jobs.occupancy.stay_out(key)
            self._jobs.on_kubernetes.stay_out(key)
            return closed
        if ticket.queue is None:
            return None
        wanted = holding(ticket.queue.name, ticket.user, ticket.job)
        why = self._jobs.occupancy.enter(job.uid, key, wanted, ticket.queue)
        return Wait(why) if why else None

    def closed_there(self, job: JobResource, ticket: Ticket, target: Target) -> Wait | list[Refusal] | None:
        """The gate of the chosen back end: room for the user on Kubernetes. If there is room, it takes it."""
        key = (job.namespace, job.name)
        limits = self._on_kubernetes
        if target is not Target.KUBERNETES or limits is None:
            self._jobs.on_kubernetes.stay_out(key)
            return None
        spec = replace(ticket.job, target=target)
        wanted = holding("", ticket.user, spec, self._jobs.array_at_once)
        if beyond := excess(wanted, limits, "Kubernetes"):
            return [Refusal("spec", f"asks for more than the {beyond}")]
        why = self._jobs.on_kubernetes.enter(job.uid, key, wanted, limits)
        return Wait(why) if why else None

    def line(self, job: JobResource) -> Line:
        """Who else waits where the Job waits."""
        key = (job.namespace, job.name)
        ahead = self._jobs.on_kubernetes.ahead(key) or self._jobs.occupancy.ahead(key)
        beside = self._jobs.queued(job.backend) - Counter({job.submitter: 1}) if job.backend_id else {}
        return Line(ahead, beside, self._jobs.ledger.fair_share(job.submitter))

    def awaited(self, job: JobResource) -> bool:
        """Whether a Job of the same submitter still waits for this one."""
        return self._jobs.awaited(job)

    def _before_the_queue(self, job: JobResource, spec: JobSpec) -> Wait | list[Refusal] | None:
        if spec.suspend:
            return Wait("is suspended by its user")
        if job.let_through or not spec.depends_on:
            return None
        if job.phase is None:
            cycle = self._cycle(job)
            if cycle:
                return [Refusal(_DEPENDS_ON, f"the jobs wait for each other: {' -> '.join(cycle)}")]
        return self._dependencies(job, spec)

    def _dependencies(self, job: JobResource, spec: JobSpec) -> Wait | list[Refusal] | None:
        waits, never = [], []
        for dependency in spec.depends_on:
            other = self._jobs.get_job((job.namespace, dependency.name))
            if other is None:
                waits.append(f"{dependency.name}, which does not exist")
            elif other.submitter != job.submitter:
                waits.append(f"{dependency.name} of yours; the one of that name is {other.submitter}'s")
            elif other.phase in FINAL:
                if not _met(dependency.when, other):
                    what = f"{dependency.name} has {_ENDED[other.phase]}, but should have {dependency.when}"
                    never.append(Refusal(_DEPENDS_ON, what))
            elif not (dependency.when is When.STARTED and other.started):
                waits.append(f"{dependency.name} to have {dependency.when}")
        if never:
            return never
        if not waits:
            return None
        more = f" and {len(waits) - 3} more" if len(waits) > 3 else ""
        return Wait(f"waits for the job {', '.join(waits[:3])}{more}")

    def _cycle(self, job: JobResource) -> list[str]:
        """The names of a dependency cycle that the Job is in; empty if there is none.

        It is checked when a Job is first seen: the last Job of a cycle closes it, and then all are known.
        """
        came_from = {job.name: ""}
        pending = [job.name]
        while pending and len(came_from) < _MAX_CYCLE_SEARCH:
            name = pending.pop()
            known = self._jobs.get_job((job.namespace, name))
            # Only Jobs of the same submitter count.
            for dependency in known.depends_on if known and known.submitter == job.submitter else ():
                if dependency.name == job.name:
                    return [*_path_to(name, came_from), job.name]
                if dependency.name not in came_from:
                    came_from[dependency.name] = name
                    pending.append(dependency.name)
        return []


def _path_to(name: str, came_from: Mapping[str, str]) -> list[str]:
    path = []
    while name:
        path.append(name)
        name = came_from[name]
    return path[::-1]


def _met(when: When, other: Brief) -> bool:
    """Whether an ended Job meets a dependency. A refused Job neither started nor finished."""
    if when is When.STARTED:
        return other.started
    return other.phase in _MEETS[when]


_MEETS: dict[When, frozenset[Phase]] = {
    When.SUCCEEDED: frozenset({Phase.SUCCEEDED}),
    When.FAILED: frozenset({Phase.FAILED}),
    When.FINISHED: frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED}),
}

_ENDED: dict[Phase | None, str] = {
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "been cancelled",
    Phase.REFUSED: "been refused",
}


def _unwelcome(job: JobSpec, user: User, queue: Queue) -> list[Refusal]:
    """Why a queue never accepts a job."""
    refusals = []
    # Only Slurm knows whether a user may charge another account, and checks it after the submission. So a
    # queue of an account is open to the users who have that account in the site's inventory.
    account = user.account if job.account in (None, user.account) else None
    if (queue.users or queue.accounts) and user.name not in queue.users and account not in queue.accounts:
        refusals.append(
            Refusal("spec.queue", f"the queue {queue.name} is not open to {_who(user, job.account)}")
        )
    if queue.max_walltime is not None and (job.walltime or 0) > queue.max_walltime:
        allowed = f"at most {timedelta(seconds=queue.max_walltime)} is allowed in the queue {queue.name}"
        refusals.append(Refusal("spec.walltime", allowed))
    why = excess(holding(queue.name, user, in_queue(job, queue)), queue)
    if why:
        refusals.append(Refusal("spec", f"asks for more than the {why}"))
    return refusals


def _who(user: User, named: str | None) -> str:
    own = f"whose account is {user.account}" if user.account else "who has no account"
    return f"{user.name}, {own}" + (f", for {named}" if named not in (None, user.account) else "")
