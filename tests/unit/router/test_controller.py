"""When the controller has a Job looked at."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from platformctl.jobs.model import Target
from platformctl.router.backend import Unavailable
from platformctl.router.controller import Controller
from platformctl.router.job.cache import JobCache
from platformctl.router.job.overview import Overview
from platformctl.router.job.resource import JobResource
from platformctl.router.loop.queue import WorkQueue
from platformctl.vocabulary import Phase


class Slurm:
    target = Target.SLURM
    interval = 0.01
    reread_after = None

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.away = False
        self.asked = 0

    async def states(self) -> dict[str, str]:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return self.now

    def phase_of(self, state: str) -> Phase | None:
        return {"PENDING": Phase.QUEUED, "RUNNING": Phase.RUNNING}.get(state)

    async def claimed(self) -> list[Any]:
        return []


class Looks:
    """Stands for the store and the reconciler: remembers what was looked at, and how it was come by."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.read_names: list[str] = []
        self.begun = 0
        self.lasting: asyncio.Event | None = None

    async def read(self, namespace: str, name: str) -> JobResource:
        self.read_names.append(name)
        return JobResource({"metadata": {"namespace": namespace, "name": name, "uid": name}})

    async def reconcile(self, job: JobResource) -> None:
        self.begun += 1
        if self.lasting:
            await self.lasting.wait()
        self.names.append(job.name)


def job(name: str, job_id: str = "", phase: str = "", deleting: bool = False, **spec: Any) -> JobResource:
    metadata: dict[str, Any] = {"namespace": "ns", "name": name, "uid": name}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    metadata["finalizers"] = ["kfoundry.io/router"]
    status = {"phase": phase, "backend": "slurm", "backendId": job_id} if phase else {}
    return JobResource({"metadata": metadata, "spec": spec, "status": status})


class Running:
    """A controller that leads once it is told to."""

    def __init__(self, watched: dict[Target, Any] | None = None) -> None:
        self.slurm, self.looks = Slurm(), Looks()
        queue = self.queue = WorkQueue(workers=2)
        overview = Overview({}, queue.add)
        looks: Any = self.looks
        backends: Any = {Target.SLURM: self.slurm}
        self.controller = Controller(
            looks, looks, backends, overview, queue, JobCache(), watched or {}, sweep_seconds=60
        )
        self._task: asyncio.Task[None] | None = None

    def lead(self) -> None:
        self._task = asyncio.create_task(self.controller.lead())

    async def __aenter__(self) -> "Running":
        self.lead()
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def observed(self, times: int = 2) -> None:
        """Wait until the back end was asked so often, and what came of it was looked at."""
        asked = self.slurm.asked
        await until(lambda: self.slurm.asked >= asked + times)

    def seen(self) -> list[str]:
        """The names looked at since the last time."""
        found, self.looks.names = sorted(set(self.looks.names)), []
        return found


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while True:
            if check():
                return
            await asyncio.sleep(0.002)


async def test_a_new_job_is_looked_at_without_reading_it_again() -> None:
    async with Running() as running:
        running.controller.job_changed(job("a"))
        await until(lambda: running.looks.names == ["a"])
        assert running.looks.read_names == []


async def test_the_routers_own_writes_are_no_news() -> None:
    async with Running() as running:
        running.controller.job_changed(job("a"))
        await until(lambda: running.looks.names == ["a"])
        running.controller.job_changed(job("a", "", "Pending"))
        running.controller.job_changed(job("b"))
        await until(lambda: "b" in running.looks.names)
        assert running.looks.names == ["a", "b"]


async def test_a_changed_state_is_looked_at_once() -> None:
    async with Running() as running:
        running.slurm.now = {"1": "PENDING", "2": "PENDING"}
        running.controller.job_changed(job("a", "1", "Queued"))
        running.controller.job_changed(job("b", "2", "Queued"))
        await until(lambda: running.seen() == ["a", "b"])
        await running.observed(3)
        assert running.seen() == []
        running.slurm.now = {"1": "RUNNING", "2": "PENDING"}
        await running.observed()
        assert running.seen() == ["a"]
        running.slurm.away = True
        await running.observed()
        assert running.seen() == []
        running.slurm.away = False
        running.slurm.now = {"2": "PENDING"}
        await running.observed()
        assert running.seen() == ["a"]


async def test_another_attempt_that_ends_as_the_last_one_did_is_looked_at() -> None:
    """Both between two looks at the states."""
    async with Running() as running:
        running.slurm.now = {"1": "FAILED"}
        running.controller.job_changed(job("a", "1", "Running"))
        await until(lambda: running.seen() == ["a"])
        running.slurm.now = {"1": "FAILED", "2": "FAILED"}
        running.controller.job_changed(job("a", "2", "Running"))
        await until(lambda: running.seen() == ["a"])


async def test_a_state_that_is_not_what_the_status_says_is_looked_at_once() -> None:
    """As after a restart."""
    running = Running()
    running.slurm.now = {"1": "RUNNING", "2": "PENDING", "3": "RUNNING", "4": "odd"}
    for number, phase in enumerate(("Queued", "Queued", "Running", "Running"), start=1):
        running.controller.job_changed(job(f"j{number}", str(number), phase))
    running.lead()
    await running.observed(3)
    assert sorted(running.looks.names) == ["j1", "j4"]
    await running.stop()


async def test_what_is_watched_is_compared_once_and_not_polled() -> None:
    running = Running(
        watched={Target.SLURM: lambda briefs: [brief.key for brief in briefs if brief.uid == "b"]}
    )
    running.controller.job_changed(job("a", "1", "Running"))
    running.controller.job_changed(job("b", "2", "Running"))
    running.lead()
    await until(lambda: running.looks.names == ["b"])
    assert running.slurm.asked == 0
    await running.stop()


async def test_two_jobs_with_one_id_are_both_followed() -> None:
    async with Running() as running:
        running.slurm.now = {"1": "PENDING"}
        running.controller.job_changed(job("a", "1", "Running"))
        running.controller.job_changed(job("b", "1", "Queued"))
        running.controller.job_changed(job("a", "1", "Failed"))
        await running.observed()
        running.seen()
        running.slurm.now = {"1": "RUNNING"}
        await running.observed()
        assert running.seen() == ["b"]


async def test_on_standby_nothing_is_looked_at_and_then_what_is_left_to_do() -> None:
    running = Running()
    running.slurm.now = {"1": "PENDING"}
    for known in (
        job("new"),
        job("waits", "", "Pending"),
        job("queued", "2", "Queued"),
        job("ended", "3", "Succeeded"),
        job("deleted", "4", "Succeeded", deleting=True),
        job("expires", "5", "Succeeded", ttlAfterFinished="1h"),
    ):
        running.controller.job_changed(known)
    # Time to look, if it did.
    await asyncio.sleep(0.02)
    assert running.seen() == []
    running.lead()
    await until(lambda: len(running.looks.names) >= 5)
    assert running.seen() == ["deleted", "expires", "new", "queued", "waits"]
    await running.stop()


async def test_what_is_gone_is_not_looked_at() -> None:
    running = Running()
    running.controller.job_changed(job("a"))
    running.controller.job_changed(job("b"))
    running.controller.job_gone(job("a"))
    running.lead()
    await until(lambda: "b" in running.looks.names)
    assert running.looks.names == ["b"]
    await running.stop()


async def test_a_look_in_progress_may_end_and_none_is_begun() -> None:
    async with Running() as running:
        running.looks.lasting = asyncio.Event()
        running.controller.job_changed(job("a"))
        running.controller.job_changed(job("b"))
        running.controller.job_changed(job("c"))
        await until(lambda: running.looks.begun == 2)
        finishing = asyncio.create_task(running.controller.finish(5))
        # Time to end, if it did not wait.
        await asyncio.sleep(0.01)
        assert not finishing.done()
        running.looks.lasting.set()
        await finishing
        assert running.seen() == ["a", "b"]


async def test_finishing_is_bounded() -> None:
    async with Running() as running:
        running.looks.lasting = asyncio.Event()
        running.controller.job_changed(job("a"))
        await until(lambda: running.looks.begun == 1)
        await asyncio.wait_for(running.controller.finish(0.02), 2)
        assert running.seen() == []


@pytest.mark.parametrize("delay", [0.0, 0.01])
async def test_what_belongs_to_a_job_has_it_looked_at(delay: float) -> None:
    async with Running() as running:
        running.controller.job_changed(job("a", "1", "Queued"))
        running.queue.add(("ns", "a"), delay, urgent=False)
        await until(lambda: "a" in running.looks.names)
