"""A stand-in for a back end, in memory: jobs that are held, run, end and are forgotten when a test says so.

The tests of tests/contracts hold it to what is asked of every back end, as far as it goes.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from platformctl.jobs.model import Target
from platformctl.router.backend import Claim, Explanation, Load, Seen, Ticket, Usage
from platformctl.vocabulary import FINAL, Phase


@dataclass
class Run:
    """A job in the back end."""

    ticket: Ticket
    seen: Seen = field(default_factory=lambda: Seen(held=True, phase=Phase.QUEUED))


class Scheduler:
    """A Backend. started: the token of each job when it is released and held no more, as text.

    log: the requests in their order; asked_as: whose they were. faults: what the next request of a name
    raises, and whether it is carried out before that. lingers: what is cancelled does not end by itself.
    barred: of each job, why nothing could run it.
    """

    interval = 1.0
    site = "lab"

    def __init__(
        self, target: Target = Target.SLURM, durable: bool = False, reread_after: float | None = None
    ) -> None:
        self.target = target
        self.durable = durable
        self.reread_after = reread_after
        self.jobs: dict[str, Run] = {}
        self.started: list[str] = []
        self.log: list[str] = []
        self.asked_as: set[str] = set()
        self.faults: dict[str, list[tuple[Exception, bool]]] = {}
        self.lingers = False
        self.barred = ""
        self._last = 0

    def fail(self, request: str, error: Exception, carried_out: bool = False) -> None:
        """Have the next request of this name fail."""
        self.faults.setdefault(request, []).append((error, carried_out))

    def end(self, job_id: str, phase: Phase, **more: object) -> None:
        """A job ends."""
        changes = {"held": False, "phase": phase, "ended": int(time.time()), **more}
        self.jobs[job_id].seen = replace(self.jobs[job_id].seen, **changes)  # type: ignore[arg-type]

    def forget(self, job_id: str) -> None:
        """It restarts with an older state: the job is gone, and its id is given out again."""
        del self.jobs[job_id]
        self._last = int(job_id) - 1

    def held(self) -> list[str]:
        """Ids of what never began."""
        return [job_id for job_id, run in self.jobs.items() if run.seen.held and run.seen.phase not in FINAL]

    async def unfit(self, ticket: Ticket) -> str:
        """See Backend."""
        self._meet("unfit", ticket.claim.user)
        return self.barred

    async def load(self) -> Load:
        """See Backend."""
        return Load(1.0)

    async def submit_held(self, ticket: Ticket) -> str:
        """See Backend."""
        self.log.append("submit_held")
        self.asked_as.add(ticket.claim.user)
        error, carried_out = self._fault("submit_held")
        if error and not carried_out:
            raise error
        job_id = self._id_of(ticket)
        self.jobs.setdefault(job_id, Run(ticket))
        if error:
            raise error
        return job_id

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """See Backend."""
        self._meet("find", claim.user)
        return [(found, job_id) for found, job_id in self._live() if claim.token.same_attempt(found.token)]

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """See Backend."""
        self._meet("read", claim.user)
        run = self.jobs.get(job_id)
        return run.seen if run and run.ticket.claim.token == claim.token else None

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """See Backend: by the id alone, as schedulers do."""
        self._meet("release", ticket.claim.user)
        run = self.jobs[job_id]
        if run.seen.held:
            run.seen = Seen(held=False, phase=Phase.RUNNING, started=1000, usage=Usage(7, 0))
            self.started.append(str(run.ticket.claim.token))

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """See Backend."""
        self._meet("cancel", claim.user)
        run = self.jobs.get(job_id)
        if run and run.ticket.claim.token == claim.token and not self.lingers and run.seen.phase not in FINAL:
            self.end(job_id, Phase.CANCELLED)

    async def states(self) -> Mapping[str, str]:
        """See Backend."""
        return {job_id: str(run.seen.phase) for job_id, run in self.jobs.items()}

    def phase_of(self, state: str) -> Phase | None:
        """See Backend."""
        return Phase(state)

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """See Backend."""
        self._meet("explain", ticket.claim.user)
        return Explanation((f"Job {job_id} waits for a node.",))

    async def claimed(self) -> list[tuple[Claim, str]]:
        """See Backend."""
        self._meet("claimed")
        return self._live()

    def _live(self) -> list[tuple[Claim, str]]:
        return [
            (run.ticket.claim, job_id) for job_id, run in self.jobs.items() if run.seen.phase not in FINAL
        ]

    def _id_of(self, ticket: Ticket) -> str:
        if self.durable:
            return f"{ticket.claim.namespace}/{ticket.claim.name}-{ticket.claim.token.attempt}"
        self._last += 1
        return str(self._last)

    def _meet(self, request: str, user: str = "") -> None:
        self.log.append(request)
        self.asked_as.update(filter(None, [user]))
        error, _ = self._fault(request)
        if error:
            raise error

    def _fault(self, request: str) -> tuple[Exception | None, bool]:
        waiting = self.faults.get(request)
        return waiting.pop(0) if waiting else (None, False)
