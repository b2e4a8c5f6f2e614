"""Reconciles one Job: takes it one or more steps further in the protocol of exactly-once submission.

The process may die after any step. The next reconcile needs only the status; see the docstring of
platformctl.router for the protocol. This module decides what a Job needs next and follows submitted jobs.
`submission` takes an attempt to its release; `ending` cancels, refuses and deletes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from platformctl.clients.kubernetes import ApiError, ConflictError, NotFoundError
from platformctl.jobs import failure
from platformctl.jobs.elements import left_of, succeeded_early
from platformctl.jobs.failure import Verdict
from platformctl.jobs.model import Policy, Refusal, Target, User
from platformctl.jobs.targets import BACK_ENDS
from platformctl.router.backend import Backend, Refused, Seen, Ticket, Unavailable
from platformctl.router.breaker import CircuitOpenError
from platformctl.router.job import status
from platformctl.router.job.ending import Ending, unreachable
from platformctl.router.job.explain import asked, explain, pause
from platformctl.router.job.gates import Gates
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule
from platformctl.router.job.submission import Submission
from platformctl.router.job.tickets import AbsentError, Tickets, marks
from platformctl.router.loop.pace import Pace
from platformctl.router.loop.queue import RetryLater
from platformctl.vocabulary import FINAL, FINALIZER, Phase

# In an outage, statuses are updated at this rate: ten thousand take some minutes.
_NOTES_PER_SECOND = 50.0
# Seconds until a parked Job is reconciled anyway, in case the change that it waits for was missed.
_PARKED = 600.0
# Seconds until an explanation is tried again for a Job that was never reconciled.
_FIRST_RECONCILE = 1.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Reconciles Jobs. Its memory between two reconciles only saves requests."""

    def __init__(
        self,
        store: JobStore,
        backends: Mapping[Target, Backend],
        users: Mapping[str, User],
        site: str,
        gates: Gates,
        policy: Policy | None = None,
        rules: Sequence[Rule] = DEFAULT_RULES,
    ) -> None:
        self._store = store
        self._tickets = Tickets(backends, users, site, policy)
        self._ending = Ending(store, self._tickets, gates)
        self._submission = Submission(store, self._tickets, gates, self._ending, rules)
        self._gates = gates
        self._pace = Pace(_NOTES_PER_SECOND)

    async def reconcile(self, job: JobResource) -> float | None:
        """Advance a Job; returns the seconds until the next reconcile, None to wait for a change.

        Raises RetryLater if something did not answer, or the cached Job was old.
        """
        try:
            job, question = await self._answer(job)
            delay = await self._attempt(job)
            return min((seconds for seconds in (delay, question) if seconds is not None), default=None)
        except NotFoundError:
            self._submission.forget(job)
            return None
        except ApiError as error:
            raise RetryLater(str(error)) from error

    async def _attempt(self, job: JobResource) -> float | None:
        try:
            return await self._act(job)
        except AbsentError as error:
            await self._note(job, str(error))
            return _PARKED
        except CircuitOpenError as error:
            error.circuit.park((job.namespace, job.name), job.submitter)
            return await self._note(job, str(error)) or _PARKED
        except Unavailable as error:
            await self._note(job, str(error))
            raise RetryLater(str(error)) from error

    async def _act(self, job: JobResource) -> float | None:
        if job.foreign:
            await self._ending.leave(job)
            return None
        if job.deleting:
            return await self._ending.delete(job)
        if job.final:
            return await self._ending.after_end(job)
        if job.cancel_requested:
            return await self._ending.cancel(job)
        return await (self._follow(job) if job.backend_id else self._submission.advance(job))

    async def _answer(self, job: JobResource) -> tuple[JobResource, float | None]:
        """Answer an explain request; returns the seconds until that is allowed, None if nothing is left."""
        if job.foreign or job.deleting or not asked(job):
            return job, None
        later = pause(job) if job.phase is not None else _FIRST_RECONCILE
        if later:
            return job, later
        ticket, backend = self._tickets.ticket(job), None
        if job.backend is not None:
            backend = self._tickets.backends.get(job.backend)
        line = self._gates.line(job)
        answer = await explain(job, ticket if isinstance(ticket, Ticket) else None, backend, line)
        return await self._store.write_status(job, answer), None

    async def _follow(self, job: JobResource) -> float | None:
        """Write the current state of a job that may have run."""
        backend = self._tickets.backend(job)
        seen = await self._early(job, await backend.read(self._tickets.claim(job), job.backend_id), backend)
        if seen is not None and seen.held and job.phase is Phase.PENDING:
            return await self._release(job, backend)
        changes = status.changed(job, self._news(job, seen))
        if changes:
            job = await self._store.write_status(job, changes)
            log.info("followed", phase=job.phase, reason=job.status.get("reason"), **marks(job))
        if job.final:
            return await self._ending.after_end(job)
        return 0.0 if job.backend is None else backend.reread_after

    async def _release(self, job: JobResource, backend: Backend) -> float | None:
        """Release again: the last router died before the release, or its request was lost."""
        ticket = self._tickets.ticket(job)
        if not isinstance(ticket, Ticket):
            return await self._ending.refuse(job, ticket)
        try:
            return await self._submission.release(job, ticket, backend)
        except Refused as verdict:
            return await self._ending.refuse(job, [Refusal("spec", str(verdict))])

    def _news(self, job: JobResource, seen: Seen | None) -> dict[str, object]:
        """What the back end's answer changes in the status: the attempt's state, or the next attempt.

        Three kinds of jobs are not tried again: those that vanished, because they may have run; those that
        would exceed their wall time again; and those whose command succeeded but whose results are missing.
        """
        if seen is None:
            return status.vanished(job)
        news = status.followed(job, seen)
        if seen.phase is not Phase.FAILED or seen.done or (seen.overran and not seen.again):
            return news
        ticket = self._tickets.ticket(job)
        if not isinstance(ticket, Ticket) or job.backend is None:
            return news
        most = BACK_ENDS[job.backend].attempts(ticket.job)
        rules = ticket.job.batch.failure
        verdict = failure.verdict(rules, seen.exit_code, disrupted=seen.again)
        counted = job.attempt - failure.ignored(rules, job.attempts)
        if verdict is Verdict.FINAL or (verdict is Verdict.COUNTS and counted >= most):
            return news
        why = f"attempt {job.attempt} of {most} failed: {seen.reason}"
        left = left_of(ticket.job, seen.tasks.lost if seen.tasks else ())
        return status.another_attempt(job, news, why, left)

    async def _early(self, job: JobResource, seen: Seen | None, backend: Backend) -> Seen | None:
        """What the back end reports, or a success if a rule of successPolicy is met; that ends the rest."""
        if seen is None or seen.tasks is None or job.spec.get("successPolicy") is None:
            return seen
        ticket = self._tickets.ticket(job)
        if not isinstance(ticket, Ticket) or not succeeded_early(ticket.job, seen.tasks.done):
            return seen
        if seen.phase not in FINAL:
            await backend.cancel(self._tickets.claim(job), job.backend_id)
            raise RetryLater("the rest of its elements is ended, because its successPolicy is met")
        reason = "succeeded as its successPolicy says; the rest was ended"
        return replace(seen, phase=Phase.SUCCEEDED, exit_code=0, reason=reason)

    async def _note(self, job: JobResource, why: str) -> float:
        """Write once in an outage why the Job waits; returns the seconds until it is this Job's turn.

        An error is ignored, because the note is not essential.
        """
        why = unreachable(why) if job.deleting else why
        said = job.unreachable and not (job.deleting and FINALIZER not in str(job.status.get("reason")))
        if job.final or said:
            return 0.0
        turn = self._pace.wait((job.namespace, job.name), job.submitter)
        if turn:
            return turn
        try:
            await self._store.write_status(job, status.unavailable(job, why))
        except ConflictError:
            # This reconcile already wrote something before the outage.
            fresh = await self._store.read(job.namespace, job.name)
            if fresh is not None and fresh.uid == job.uid and not fresh.final:
                await self._store.write_status(fresh, status.unavailable(fresh, why))
        return 0.0
