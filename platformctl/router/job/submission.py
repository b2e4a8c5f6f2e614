"""From a Job that nobody has submitted to one that is released: steps 1 to 4 of the protocol."""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

import structlog

from platformctl.jobs.model import Refusal
from platformctl.jobs.tokens import Token
from platformctl.router import metrics
from platformctl.router.backend import Backend, Busy, Refused, Ticket, Unavailable
from platformctl.router.breaker import CircuitOpenError
from platformctl.router.job import status
from platformctl.router.job.ending import Ending
from platformctl.router.job.gates import Gates, Wait
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.job.routing import Route, choose
from platformctl.router.job.routing_rules import Rule
from platformctl.router.job.tickets import Tickets, marks
from platformctl.router.loop.queue import RetryLater

# Seconds after the release until the job is read, if the back end reports no change.
CONFIRM = 5.0
# Seconds. A slurmctld that is killed takes longer than this to restart and issue an id again.
VERIFIED_FOR = 0.5

log = structlog.get_logger(__name__)


class Submission:
    """Submits jobs. It remembers only submissions whose outcome is unknown, to make fewer held jobs."""

    def __init__(
        self, store: JobStore, tickets: Tickets, gates: Gates, ending: Ending, rules: Sequence[Rule]
    ) -> None:
        self._store = store
        self._rules = rules
        self._tickets = tickets
        self._gates = gates
        self._ending = ending
        self._unsure: set[str] = set()

    async def advance(self, job: JobResource) -> float | None:
        """Advance a Job as far as possible; returns seconds until the next reconcile, None to wait."""
        ticket = self._tickets.ticket(job)
        if isinstance(ticket, Ticket):
            ticket = self._gates.assign(ticket)
        if not isinstance(ticket, Ticket):
            return await self._ending.refuse(job, ticket)
        try:
            return await self._begin(job, ticket)
        except Refused as verdict:
            self._unsure.discard(job.uid)
            return await self._ending.refuse(job, [Refusal("spec", str(verdict))])

    async def release(self, job: JobResource, ticket: Ticket, backend: Backend) -> float:
        """Step 4; done again if a router died before it."""
        await backend.release(ticket, job.backend_id)
        log.info("released", **marks(job))
        return min(CONFIRM, backend.reread_after or CONFIRM)

    def forget(self, job: JobResource) -> None:
        """The Job is gone, or has ended."""
        self._unsure.discard(job.uid)

    async def _begin(self, job: JobResource, ticket: Ticket) -> float | None:
        """Start an attempt that is not in the status yet."""
        closed = self._gates.closed(job, ticket)
        if isinstance(closed, list):
            return await self._ending.refuse(job, closed)
        if closed is not None:
            return await self._wait(job, ticket, closed)
        route = await choose(ticket, self._tickets.backends, self._rules)
        if not isinstance(route, Route):
            return await self._ending.refuse(job, route)
        closed = self._gates.closed_there(job, ticket, route.target)
        if isinstance(closed, list):
            return await self._ending.refuse(job, closed)
        if closed is not None:
            await self._say(job, closed)
            return closed.seconds
        if not job.guarded:
            job = await self._store.guard(job)
        backend = self._tickets.backends[route.target]
        ticket, job_id = await self._submit_held(backend, ticket)
        return await self._record(job, ticket, backend, route.why, job_id)

    async def _wait(self, job: JobResource, ticket: Ticket, gate: Wait) -> float | None:
        """Wait at a gate; a Job that no back end can run is refused now, not when its gate opens."""
        try:
            route = await choose(ticket, self._tickets.backends, self._rules)
        except Unavailable:
            route = None
        if isinstance(route, list):
            return await self._ending.refuse(job, route)
        await self._say(job, gate)
        return gate.seconds

    async def _say(self, job: JobResource, gate: Wait) -> None:
        changes = status.changed(job, status.waiting(job, gate.reason))
        if changes:
            await self._store.write_status(job, changes)

    async def _submit_held(self, backend: Backend, ticket: Ticket) -> tuple[Ticket, str]:
        """Step 1: a held job of the attempt, left by an earlier reconcile or newly submitted."""
        uid = ticket.claim.token.uid
        unsure = uid in self._unsure
        if unsure:
            # If there are several, another router may be recording any of them. The sweep cancels the others.
            for claim, job_id in await backend.find(ticket.claim):
                return _with_token(ticket, claim.token), job_id
        if not backend.durable:
            ticket = _with_token(ticket, ticket.claim.token.another_submission())
        self._unsure.add(uid)
        try:
            job_id = await backend.submit_held(ticket)
        except Refused:
            metrics.SUBMISSIONS.labels(backend.target, "refused").inc()
            raise
        except Unavailable as error:
            metrics.SUBMISSIONS.labels(backend.target, "unavailable").inc()
            nothing_done = isinstance(error, Busy) or (isinstance(error, CircuitOpenError) and not error.sent)
            if nothing_done and not unsure:
                self._unsure.discard(uid)
            raise
        metrics.SUBMISSIONS.labels(backend.target, "accepted").inc()
        return ticket, job_id

    async def _record(
        self, job: JobResource, ticket: Ticket, backend: Backend, why: str, job_id: str
    ) -> float | None:
        """Steps 2 and 3, and also 4 if step 2 was recent enough."""
        asked, sure = monotonic(), backend.durable
        if not backend.durable:
            seen = await backend.read(ticket.claim, job_id)
            if seen is None:
                raise RetryLater("the held job was lost")
            sure = seen.held
        job = await self._store.write_status(job, status.submitted(job, ticket, backend.target, why, job_id))
        self._unsure.discard(job.uid)
        log.info("submitted", **marks(job))
        # If it took long, the id may belong to another job by now: the next reconcile reads the job again.
        sure = sure and (backend.durable or monotonic() - asked < VERIFIED_FOR)
        return await self.release(job, ticket, backend) if sure else 0.0


def _with_token(ticket: Ticket, token: Token) -> Ticket:
    return replace(ticket, claim=replace(ticket.claim, token=token))
