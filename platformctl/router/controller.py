"""Connects informers, work queue and reconciler, and polls the back ends in bulk.

It follows the API server all the time, but acts only while it is the leader. So a router on standby already
knows every Job when it becomes the leader.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

import structlog
from structlog.contextvars import bound_contextvars

from platformctl.jobs.model import Target
from platformctl.router import metrics
from platformctl.router.assembly import Differing
from platformctl.router.backend import Backend, Unavailable
from platformctl.router.job.cache import JobCache
from platformctl.router.job.overview import Overview
from platformctl.router.job.reconcile import Reconciler
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.job.sweep import Sweeper
from platformctl.router.loop.queue import Key, RetryLater, WorkQueue
from platformctl.router.loop.slots import Slots
from platformctl.vocabulary import Phase

# After a start, how many ended Jobs a second are reconciled that only wait for their deletion.
_EXPIRING_PER_SECOND = 100.0
# The pause between two polls of a back end: this many times the poll's duration, at most this many seconds.
_PAUSE_TO_WORK, _LONGEST_PAUSE = 80.0, 2.0
# How many large Jobs are reconciled at the same time: each takes ten times the size of its text.
_LARGE_AT_ONCE = 4
_FOLLOWED = frozenset({Phase.QUEUED, Phase.RUNNING})

log = structlog.get_logger(__name__)


class Controller:
    """Stores nothing itself: the overview has the Jobs in short; the rest is in the API server and back ends.

    queue: the work queue; the overview adds Jobs to it too. watched: back ends that are not polled, because a
    watch reports their changes; each with a function that finds what changed before the start.
    """

    def __init__(
        self,
        store: JobStore,
        reconciler: Reconciler,
        backends: Mapping[Target, Backend],
        overview: Overview,
        queue: WorkQueue,
        cache: JobCache,
        watched: Mapping[Target, Differing],
        sweep_seconds: float,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._backends = backends
        self._overview = overview
        self._queue = queue
        self._sweep_seconds = sweep_seconds
        self._watched = watched
        self._cache = cache
        self._expiring: set[Key] = set()
        self._large = Slots(_LARGE_AT_ONCE)
        # By Job, not by the back end's id: a back end may give one id to two Jobs, one after the other.
        self._live: dict[Target, dict[Key, str]] = {target: {} for target in backends}
        queue.close()

    async def lead(self) -> None:
        """Work until cancelled. It may be cancelled at any step, because the protocol allows that."""
        self._queue.open()
        self._add_all()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._queue.run(self._work))
                for target, backend in self._backends.items():
                    if target not in self._watched:
                        group.create_task(self._observe(backend))
                    group.create_task(self._sweep(backend))
        finally:
            self._queue.close()

    async def finish(self, seconds: float) -> None:
        """Start no new reconciles, and wait at most this many seconds for those in progress."""
        await self._queue.finish(seconds)

    def job_changed(self, job: JobResource) -> None:
        """A Job was listed, added or modified."""
        key = (job.namespace, job.name)
        self._cache.put(key, job)
        if job.final and job.expires:
            self._expiring.add(key)
        self._overview.put(job)
        for target, live in self._live.items():
            if target is job.backend and job.backend_id and not job.final:
                live[key] = job.backend_id
            else:
                live.pop(key, None)

    def job_gone(self, job: JobResource) -> None:
        """A Job was deleted."""
        key = (job.namespace, job.name)
        self._cache.forget(key)
        self._expiring.discard(key)
        self._overview.drop(job)
        for live in self._live.values():
            live.pop(key, None)

    def count(self) -> None:
        """Update the metrics that are not counted when something happens."""
        metrics.QUEUE_DEPTH.set(len(self._queue))
        phases = Counter(brief.phase or Phase.PENDING for brief in self._overview.values())
        for phase in Phase:
            metrics.JOBS.labels(phase).set(phases[phase])

    def _add_all(self) -> None:
        """Queue what needs a reconcile at the start. For polled back ends the first poll adds the rest."""
        for brief in self._overview.values():
            waits = not brief.final and not brief.foreign and brief.phase not in _FOLLOWED
            if waits or any(brief.wishes[1:]):
                # Jobs that a back end already has may wait for Jobs that no back end has.
                self._queue.add(brief.key, urgent=brief.backend is None or any(brief.wishes[1:]))
        for target, differing in self._watched.items():
            live = [self._overview.get_job(key) for key in self._live[target]]
            for key in differing(known for known in live if known is not None):
                self._queue.add(key, urgent=False)
        for number, key in enumerate(self._expiring):
            self._queue.add(key, number / _EXPIRING_PER_SECOND)

    async def _work(self, key: Key) -> float | None:
        if not self._cache.large(key):
            return await self._reconcile(key)
        async with self._large.hold(self._overview.submitter(key)):
            return await self._reconcile(key)

    async def _reconcile(self, key: Key) -> float | None:
        job = self._cache.get(key) or await self._read(key)
        if job is None:
            return None
        begun = time.perf_counter()
        result = "defect"
        with bound_contextvars(namespace=job.namespace, job=job.name, uid=job.uid):
            try:
                delay = await self._reconciler.reconcile(job)
                result = "done"
            except RetryLater as error:
                result = "retry"
                # The cached Job may have been too old.
                self._cache.drop(key)
                log.info("will try again", why=str(error))
                raise
            except Exception:
                log.exception("a reconcile failed")
                raise RetryLater("defect") from None
            finally:
                metrics.RECONCILE_SECONDS.observe(time.perf_counter() - begun)
                metrics.RECONCILES.labels(result).inc()
        return delay

    async def _read(self, key: Key) -> JobResource | None:
        try:
            return await self._store.read(*key)
        except Exception as error:
            raise RetryLater(str(error)) from error

    async def _observe(self, backend: Backend) -> None:
        """Queue every live Job whose state in the back end changed since the last poll."""
        before: dict[tuple[Key, str], str] = {}
        pause = backend.interval
        while True:
            await asyncio.sleep(pause)
            live = self._live[backend.target]
            if not live:
                before = {}
                continue
            spent = time.thread_time()
            try:
                states = await backend.states()
            except Unavailable as error:
                log.warning("back end unavailable", backend=backend.target, why=str(error))
                continue
            # Compare the id too: between two polls, a new attempt may end in the same state as the last one.
            now = {(key, job_id): states[job_id] for key, job_id in live.items() if job_id in states}
            if now != before or len(now) < len(live):
                for key, job_id in live.items():
                    if self._is_news(backend, key, now.get((key, job_id)), before.get((key, job_id))):
                        self._queue.add(key, urgent=False)
            # If a poll takes long, poll less often.
            spent = time.thread_time() - spent
            pause = max(backend.interval, min(_LONGEST_PAUSE, spent * _PAUSE_TO_WORK))
            # Only Jobs that were live: one that becomes live later is compared with its status.
            before = now

    def _is_news(self, backend: Backend, key: Key, now: str | None, before: str | None) -> bool:
        """Whether a live job has to be read: its state changed, or is new and differs from the status."""
        if now is None or before is not None:
            return now is None or now != before
        brief = self._overview.get_job(key)
        return brief is None or brief.phase is None or backend.phase_of(now) is not brief.phase

    async def _sweep(self, backend: Backend) -> None:
        sweeper = Sweeper(backend)
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                await sweeper.sweep(self._overview)
            except Unavailable as error:
                log.warning("sweep postponed", backend=backend.target, why=str(error))
