"""Refusal, cancellation and deletion of Jobs, and what happens after a Job has ended.

These end the job in the back end if the status names it. Submissions that no status names are held, and the
sweep cancels them. A user may retry an ended Job. An ended Job is deleted when its ttlAfterFinished is over.
"""

import time
from datetime import datetime

import structlog

from platformctl.jobs.model import Refusal
from platformctl.jobs.walltime import parse_walltime
from platformctl.router.backend import Backend, Usage
from platformctl.router.job import status
from platformctl.router.job.gates import Gates
from platformctl.router.job.resource import LIFETIMES, JobResource, JobStore
from platformctl.router.job.tickets import AbsentError, Tickets, marks
from platformctl.vocabulary import CANCEL_REQUESTED, FINAL, FINALIZER

# Seconds until a cancelled job is reconciled again if no change is reported.
_ENDING = 2.0
# Seconds to wait while other Jobs still need to see how an expired Job ended.
_STILL_AWAITED = 10.0
_CANCELLED = "was cancelled by its user"

log = structlog.get_logger(__name__)


class Ending:
    """Ends Jobs. All methods return the seconds until the next reconcile, None to wait for a change."""

    def __init__(self, store: JobStore, tickets: Tickets, gates: Gates) -> None:
        self._store = store
        self._tickets = tickets
        self._gates = gates

    async def refuse(self, job: JobResource, refusals: list[Refusal]) -> float | None:
        """Refuse the Job, and end what its attempt has in a back end."""
        if job.backend_id:
            await self._tickets.backend(job).cancel(self._tickets.claim(job), job.backend_id)
        job = await self._store.write_status(job, status.refused(job, refusals))
        log.info("refused", refusals=[str(refusal) for refusal in refusals], **marks(job))
        return await self.after_end(job)

    async def cancel(self, job: JobResource) -> float | None:
        """End the Job for its user; the resource stays."""
        if not job.backend_id:
            return await self._cancelled(job)
        backend, claim = self._tickets.backend(job), self._tickets.claim(job)
        # Read the usage first: after a cancel, the back end may no longer have the job.
        before = await backend.read(claim, job.backend_id)
        if await self._still_runs(job, backend):
            return _ENDING
        seen = await backend.read(claim, job.backend_id)
        if seen is None:
            return await self._cancelled(job, before.usage if before else None)
        job = await self._store.write_status(job, status.followed(job, seen))
        log.info("cancelled", phase=job.phase, **marks(job))
        return await self.after_end(job)

    async def delete(self, job: JobResource) -> float | None:
        """Cancel the job, and remove the finalizer once it has ended.

        If the site no longer has the back end, the finalizer is removed at once. Should the back end come
        back, the sweep finds a job without a Job resource and cancels it. If the back end only does not
        answer, the Job waits; an administrator who cannot wait removes the finalizer, with the same result.
        """
        if not job.guarded:
            return None
        if not job.final and job.backend_id:
            try:
                if await self._still_runs(job, self._tickets.backend(job)):
                    return _ENDING
            except AbsentError as error:
                log.warning("deleted though its job may still run", why=str(error), **marks(job))
        await self._store.let_go(job)
        log.info("deleted", **marks(job))
        return None

    async def after_end(self, job: JobResource) -> float | None:
        """For an ended Job: start another attempt if its user asked, or delete it when it has expired."""
        if job.retry_requested:
            return await self._retry(job)
        return await self._expire(job) if job.expires else None

    async def leave(self, job: JobResource) -> None:
        """Remove the router's finalizer, which admission set, from a Job that another controller manages."""
        if job.deleting and job.guarded:
            await self._store.let_go(job)

    async def _cancelled(self, job: JobResource, usage: Usage | None = None) -> float | None:
        job = await self._store.write_status(job, status.cancelled(job, _CANCELLED, usage))
        log.info("cancelled", phase=job.phase, **marks(job))
        return await self.after_end(job)

    async def _still_runs(self, job: JobResource, backend: Backend) -> bool:
        """Cancel the recorded job; returns whether it still runs."""
        claim = self._tickets.claim(job)
        await backend.cancel(claim, job.backend_id)
        seen = await backend.read(claim, job.backend_id)
        return seen is not None and seen.phase not in FINAL

    async def _retry(self, job: JobResource) -> float | None:
        if job.cancel_requested:
            why = f"the retry waits until the annotation {CANCEL_REQUESTED} is removed"
            said = str(job.status.get("reason"))
            if why not in said:
                await self._store.write_status(job, {"reason": f"{said}; {why}"})
            return None
        changes = status.another_attempt(job, {}, "is tried again, as its user asked")
        job = await self._store.write_status(job, changes)
        log.info("retried by its user", **marks(job))
        return 0.0

    async def _expire(self, job: JobResource) -> float | None:
        left = _expires_at(job) - time.time()
        if left > 0:
            return left
        if self._gates.awaited(job):
            return _STILL_AWAITED
        # The cached Job may be from before a retry.
        fresh = await self._store.read(job.namespace, job.name)
        if fresh is not None and fresh.uid == job.uid and fresh.final and not fresh.retry_requested:
            await self._store.delete(fresh)
            log.info("expired", **marks(job))
        return None


def unreachable(why: str) -> str:
    """The reason of a Job under deletion while its back end does not answer."""
    return f"{why}; deletion waits until it answers, or an administrator removes the finalizer {FINALIZER}"


def _expires_at(job: JobResource) -> float:
    """Seconds since the epoch; infinite if the lifetime is not valid (such a Job was refused for it)."""
    try:
        given = next(job.spec[name] for name in LIFETIMES if job.spec.get(name) is not None)
        # batch/v1 knows 0, for at once.
        lifetime = 0 if given == 0 else parse_walltime(given)
        ended = datetime.fromisoformat(str(job.status["completionTime"])).timestamp()
    except (KeyError, StopIteration, ValueError):
        return float("inf")
    return ended + lifetime
