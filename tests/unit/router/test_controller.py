"""When the controller has a Job looked at."""

import asyncio
from typing import Any

import pytest

from platformctl.jobs.model import Target
from platformctl.router.backend import Unavailable
from platformctl.router.controller import Controller
from platformctl.router.resource import JobResource


class Slurm:
    target = Target.SLURM
    interval = 0.01
    look_again = None

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.away = False

    async def states(self) -> dict[str, str]:
        if self.away:
            raise Unavailable("away")
        return self.now

    async def claimed(self) -> list[Any]:
        return []


class Looks:
    """Stands for the store and the reconciler: remembers what was looked at."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def read(self, namespace: str, name: str) -> JobResource:
        return JobResource({"metadata": {"namespace": namespace, "name": name, "uid": name}})

    async def look(self, job: JobResource) -> None:
        self.names.append(job.name)


def job(
    name: str, job_id: str = "", phase: str = "", deleting: bool = False, guarded: bool = True
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": "ns", "name": name, "uid": name}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if guarded:
        metadata["finalizers"] = ["kfoundry.io/router"]
    status = {"phase": phase, "backend": "slurm", "backendId": job_id} if phase else {}
    return {"metadata": metadata, "status": status}


class Running:
    """A controller at work."""

    def __init__(self) -> None:
        self.slurm, self.looks = Slurm(), Looks()
        parts: Any = (self.looks, self.looks, {Target.SLURM: self.slurm})
        self.controller = Controller(*parts, workers=2, sweep_seconds=60)
        self._stop = asyncio.Event()

    async def __aenter__(self) -> "Running":
        self._task = asyncio.create_task(self.controller.run(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._task

    async def seen(self) -> list[str]:
        """The names looked at since the last time."""
        await asyncio.sleep(0.08)
        found, self.looks.names = sorted(set(self.looks.names)), []
        return found


@pytest.mark.parametrize(
    ("kind", "raw", "looked"),
    [
        ("ADDED", job("a"), True),
        (None, job("a"), True),
        (None, job("a", "1", "Succeeded"), False),
        ("MODIFIED", job("a", "", "Pending"), False),
        ("MODIFIED", job("a", "1", "Succeeded", deleting=True), True),
        ("MODIFIED", job("a", "1", "Succeeded", deleting=True, guarded=False), False),
    ],
)
async def test_events_that_are_news(kind: str | None, raw: dict[str, Any], looked: bool) -> None:
    async with Running() as running:
        running.controller.job_event(kind, raw)
        assert (await running.seen() == ["a"]) is looked


async def test_a_changed_state_is_looked_at_once() -> None:
    async with Running() as running:
        running.slurm.now = {"1": "PENDING", "2": "PENDING"}
        running.controller.job_event("MODIFIED", job("a", "1", "Queued"))
        running.controller.job_event("MODIFIED", job("b", "2", "Queued"))
        assert await running.seen() == ["a", "b"]
        assert await running.seen() == []
        running.slurm.now = {"1": "RUNNING", "2": "PENDING"}
        assert await running.seen() == ["a"]
        running.slurm.away = True
        assert await running.seen() == []
        running.slurm.away = False
        running.slurm.now = {"2": "PENDING"}
        assert await running.seen() == ["a"]


async def test_two_jobs_with_one_id_are_both_followed() -> None:
    async with Running() as running:
        running.slurm.now = {"1": "PENDING"}
        running.controller.job_event("MODIFIED", job("a", "1", "Running"))
        running.controller.job_event("MODIFIED", job("b", "1", "Queued"))
        running.controller.job_event("MODIFIED", job("a", "1", "Failed"))
        await running.seen()
        running.slurm.now = {"1": "RUNNING"}
        assert await running.seen() == ["b"]


async def test_a_batch_job_belongs_to_its_owner() -> None:
    async with Running() as running:
        owners = [{"name": "a", "controller": True}]
        raw = {
            "metadata": {"namespace": "ns", "name": "a-1", "ownerReferences": owners},
            "status": {"ready": 1},
        }
        running.controller.batch_event(raw)
        running.controller.batch_event({"metadata": {"namespace": "ns", "name": "x"}, "status": {"ready": 1}})
        assert await running.seen() == ["a"]
