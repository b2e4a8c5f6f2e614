"""Joins the parts: kopf watches, the queue orders, the reconciler acts, the back ends are observed in bulk.

kopf is used for its watch streams, credentials and signals only. No kopf handler changes an object, so
no bookkeeping of its own ends up in users' Jobs.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import kopf
import structlog

from platformctl.jobs.kubernetes import JOB_UID_LABEL
from platformctl.jobs.model import Target
from platformctl.router.backend import Backend, Unavailable
from platformctl.router.queue import Key, RetryLater, WorkQueue
from platformctl.router.reconcile import Reconciler
from platformctl.router.resource import GROUP, PLURAL, VERSION, JobResource, JobStore
from platformctl.router.sweep import Known, Sweeper

log = structlog.get_logger(__name__)


class Controller:
    """Knows the ids of live jobs, and all Jobs by uid; the rest is in the API server and the back ends."""

    def __init__(
        self,
        store: JobStore,
        reconciler: Reconciler,
        backends: Mapping[Target, Backend],
        workers: int,
        sweep_seconds: float,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._backends = backends
        self._workers = workers
        self._sweep_seconds = sweep_seconds
        self._queue = WorkQueue()
        self._fresh: dict[Key, JobResource] = {}
        self._jobs: dict[str, Known] = {}
        # By Job, not by the back end's id: a back end may give one id to two Jobs, one after the other.
        self._live: dict[Target, dict[Key, str]] = {target: {} for target in backends}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until stopped. Work may be cut off at any step: that is what the protocol is for."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._queue.run(self._work, self._workers))]
            tasks += [group.create_task(self._observe(backend)) for backend in self._backends.values()]
            tasks += [group.create_task(self._sweep(backend)) for backend in self._backends.values()]
            await stop.wait()
            for task in tasks:
                task.cancel()

    def job_event(self, kind: str | None, raw: dict[str, Any]) -> None:
        """A Job was listed (kind None), added, modified or deleted."""
        job = JobResource(raw)
        key = (job.namespace, job.name)
        if kind == "DELETED":
            self._forget(job)
            return
        self._remember(job)
        # Between its first look and its end only the router writes a Job's status: that is no news.
        if (job.deleting and job.guarded) or (kind in (None, "ADDED") and not job.final):
            self._fresh[key] = job
            self._queue.add(key)

    def batch_event(self, raw: dict[str, Any]) -> None:
        """A batch Job of the router changed."""
        metadata = raw["metadata"]
        owner = next(
            (owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")), None
        )
        if owner and raw.get("status"):
            self._queue.add((metadata["namespace"], owner["name"]))

    async def _work(self, key: Key) -> float | None:
        job = self._fresh.pop(key, None) or await self._read(key)
        if job is None:
            return None
        try:
            return await self._reconciler.look(job)
        except RetryLater as error:
            log.info("will try again", namespace=job.namespace, job=job.name, uid=job.uid, why=str(error))
            raise
        except Exception:
            log.exception("a look failed", namespace=job.namespace, job=job.name, uid=job.uid)
            raise RetryLater("defect") from None

    async def _read(self, key: Key) -> JobResource | None:
        try:
            return await self._store.read(*key)
        except Exception as error:
            raise RetryLater(str(error)) from error

    def _remember(self, job: JobResource) -> None:
        self._jobs[job.uid] = Known(job.attempt, job.backend, job.backend_id)
        if job.backend in self._live and job.backend_id:
            key = (job.namespace, job.name)
            if job.final:
                self._live[job.backend].pop(key, None)
            else:
                self._live[job.backend][key] = job.backend_id

    def _forget(self, job: JobResource) -> None:
        self._jobs.pop(job.uid, None)
        if job.backend in self._live:
            self._live[job.backend].pop((job.namespace, job.name), None)

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
                await sweeper.sweep(self._jobs)
            except Unavailable as error:
                log.warning("sweep put off", backend=backend.target, why=str(error))


def watch(controller: Controller) -> kopf.OperatorRegistry:
    """The kopf handlers that feed a controller."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_job(event: kopf.RawEvent, **_: Any) -> None:
        controller.job_event(event["type"], dict(event["object"]))

    @kopf.on.event("batch", "v1", "jobs", labels={JOB_UID_LABEL: kopf.PRESENT}, registry=registry)
    async def on_batch_job(event: kopf.RawEvent, **_: Any) -> None:
        controller.batch_event(dict(event["object"]))

    return registry
