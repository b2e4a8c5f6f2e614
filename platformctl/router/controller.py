"""Joins the parts: informers watch, the queue orders, the reconciler acts, back ends are observed in bulk.

It follows the API server all the time and works only while it leads; so a router that stands by knows
every Job when its turn comes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from platformctl.jobs.model import Target
from platformctl.router import metrics
from platformctl.router.backend import Backend, Phase, Unavailable
from platformctl.router.overview import Overview
from platformctl.router.queue import Key, RetryLater, WorkQueue
from platformctl.router.resource import JobResource
from platformctl.router.sweep import Sweeper

# New Jobs are kept as they came until their first look, so that they need not be read again; not more
# than so many, for Jobs may be large.
_MAX_FRESH = 500
# Jobs that only wait for their deletion are looked at so many a second after a start.
_EXPIRING_PER_SECOND = 100.0
_FOLLOWED = frozenset({Phase.QUEUED, Phase.RUNNING})

log = structlog.get_logger(__name__)


class Reader(Protocol):
    """Reads Jobs; JobStore is one."""

    async def read(self, namespace: str, name: str) -> JobResource | None:
        """See JobStore."""
        ...


class Looker(Protocol):
    """Looks at Jobs; Reconciler is one."""

    async def look(self, job: JobResource) -> float | None:
        """See Reconciler."""
        ...


class Controller:
    """What it knows of the Jobs is in the overview; the rest is in the API server and the back ends.

    queue: the one that the overview wakes Jobs by.
    """

    def __init__(
        self,
        store: Reader,
        reconciler: Looker,
        backends: Mapping[Target, Backend],
        overview: Overview,
        queue: WorkQueue,
        workers: int,
        sweep_seconds: float,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._backends = backends
        self._overview = overview
        self._queue = queue
        self._workers = workers
        self._sweep_seconds = sweep_seconds
        self._fresh: dict[Key, JobResource] = {}
        self._expiring: set[Key] = set()
        # By Job, not by the back end's id: a back end may give one id to two Jobs, one after the other.
        self._live: dict[Target, dict[Key, str]] = {target: {} for target in backends}
        queue.close()

    async def lead(self) -> None:
        """Work until cancelled, at any step: that is what the protocol is for."""
        self._queue.open()
        self._add_all()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._queue.run(self._work, self._workers))
                for backend in self._backends.values():
                    group.create_task(self._observe(backend))
                    group.create_task(self._sweep(backend))
        finally:
            self._queue.close()

    async def finish(self, seconds: float) -> None:
        """Begin no new looks, and wait so long for those in progress."""
        await self._queue.finish(seconds)

    def job_changed(self, job: JobResource) -> None:
        """A Job was listed, added or modified."""
        key = (job.namespace, job.name)
        if key in self._fresh or (self._overview.get_job(key) is None and len(self._fresh) < _MAX_FRESH):
            self._fresh[key] = job
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
        self._fresh.pop(key, None)
        self._expiring.discard(key)
        self._overview.drop(job)
        for live in self._live.values():
            live.pop(key, None)

    def concerns(self, key: Key, delay: float = 0.0) -> None:
        """Something that belongs to a Job changed; delay: seconds in which more of the kind may come."""
        self._queue.add(key, delay)

    def count(self) -> None:
        """Bring the metrics up to date that are not counted as things happen."""
        metrics.QUEUE_DEPTH.set(len(self._queue))
        phases = Counter(brief.phase or Phase.PENDING for brief in self._overview.values())
        for phase in Phase:
            metrics.JOBS.labels(phase).set(phases[phase])

    def _add_all(self) -> None:
        """What is to be done at the start. Jobs that a back end has are found by observing it."""
        for brief in self._overview.values():
            waits = not brief.final and brief.phase not in _FOLLOWED
            if waits or any(brief.wishes[1:]):
                self._queue.add(brief.key)
        for number, key in enumerate(self._expiring):
            self._queue.add(key, number / _EXPIRING_PER_SECOND)

    async def _work(self, key: Key) -> float | None:
        job = self._fresh.pop(key, None) or await self._read(key)
        if job is None:
            return None
        begun = time.perf_counter()
        result = "defect"
        with bound_contextvars(namespace=job.namespace, job=job.name, uid=job.uid):
            try:
                delay = await self._reconciler.look(job)
                result = "done"
            except RetryLater as error:
                result = "again"
                log.info("will try again", why=str(error))
                raise
            except Exception:
                log.exception("a look failed")
                raise RetryLater("defect") from None
            finally:
                metrics.LOOK_SECONDS.observe(time.perf_counter() - begun)
                metrics.LOOKS.labels(result).inc()
        return delay

    async def _read(self, key: Key) -> JobResource | None:
        try:
            return await self._store.read(*key)
        except Exception as error:
            raise RetryLater(str(error)) from error

    async def _observe(self, backend: Backend) -> None:
        """Have every live job looked at whose state in the back end changed since the last time."""
        before: dict[Key, str] = {}
        while True:
            await asyncio.sleep(backend.interval)
            live = self._live[backend.target]
            if not live:
                before = {}
                continue
            try:
                states = await backend.states()
            except Unavailable as error:
                log.warning("back end unavailable", backend=backend.target, why=str(error))
                continue
            now = {key: states[job_id] for key, job_id in live.items() if job_id in states}
            for key in live:
                if key not in now or now[key] != before.get(key):
                    self._queue.add(key)
            # Only what was live: a Job that becomes live later is looked at whatever its state.
            before = now

    async def _sweep(self, backend: Backend) -> None:
        sweeper = Sweeper(backend)
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                await sweeper.sweep(self._overview)
            except Unavailable as error:
                log.warning("sweep put off", backend=backend.target, why=str(error))
