"""The commands on Jobs against Jobs in memory, at one point of time."""

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from platformctl.cli import cluster
from platformctl.cli.cluster import Access
from platformctl.cli.main import app
from platformctl.clients.kubernetes import NotFoundError

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC


class MemoryJobs:
    """Stands for JobsClient.

    asked: what the router was asked for. later: states that a Job goes through while it is watched.
    printed: the output of all Jobs, in which a page holds so many bytes; printed_by: that of an attempt,
    where it is another. attempts: the last attempt's number after each end of a followed output. lost:
    attempts without an output. names: of the queues. error: what a list of anything ends with.
    """

    def __init__(self, *jobs: dict[str, Any], who: str = "alice") -> None:
        self.jobs = list(jobs)
        self.who = who
        self.namespace = "default"
        self.asked: list[tuple[str, dict[str, str | None]]] = []
        self.resumed: list[str] = []
        self.deleted: list[str] = []
        self.later: list[dict[str, Any]] = []
        self.answers = True
        self.printed = b""
        self.printed_by: dict[int, bytes] = {}
        self.attempts: list[int] = []
        self.lost: set[int | None] = set()
        self.page_bytes = 1024 * 1024
        self.names: Sequence[str] = ()
        self.error: Exception | None = None

    def at(self, namespace: str) -> "MemoryJobs":
        self.namespace = namespace or self.namespace
        return self

    async def whoami(self) -> str:
        return self.who

    async def queues(self) -> Sequence[str]:
        if self.error:
            raise self.error
        return self.names

    async def list(self, everywhere: bool = False, labels: str = "") -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        return [
            copy.deepcopy(job)
            for job in self.jobs
            if wanted.items() <= (job["metadata"].get("labels") or {}).items()
        ]

    async def get(self, name: str) -> dict[str, Any]:
        for job in self.jobs:
            if job["metadata"]["name"] == name:
                return copy.deepcopy(job)
        raise NotFoundError(404, "NotFound", f'jobs.kfoundry.io "{name}" not found')

    async def submit(self, document: dict[str, Any]) -> dict[str, Any]:
        stored = copy.deepcopy(document)
        stem = stored["metadata"].pop("generateName", "")
        stored["metadata"].setdefault("name", f"{stem}x7k2p")
        self.jobs.append(stored)
        return stored

    async def ask(self, job: dict[str, Any], annotations: Mapping[str, str | None]) -> dict[str, Any]:
        self.asked.append((job["metadata"]["name"], dict(annotations)))
        wish = annotations.get("kfoundry.io/explain-requested")
        for state in self.later:
            if "explanation" in state and self.answers:
                state["explanation"]["requested"] = wish
        return job

    async def resume(self, job: dict[str, Any]) -> None:
        self.resumed.append(job["metadata"]["name"])

    async def changes(self, name: str) -> AsyncGenerator[dict[str, Any]]:
        job = await self.get(name)
        yield job
        for state in self.later:
            yield {**job, "status": {**(job.get("status") or {}), **state}}
        if not self.answers:
            await asyncio.Event().wait()

    async def page(
        self,
        name: str,
        offset: int | None = None,
        tail: int | None = None,
        index: int | None = None,
        attempt: int | None = None,
    ) -> tuple[int, bytes, bool]:
        printed = self._printed(index, attempt)
        start = offset or 0 if tail is None else max(0, len(printed) - tail)
        body = printed[start : start + self.page_bytes]
        return start, body, start + len(body) == len(printed) and not self.later

    async def follow(
        self, name: str, offset: int = 0, index: int | None = None, attempt: int | None = None
    ) -> AsyncGenerator[bytes]:
        if attempt in self.lost:
            raise NotFoundError(404, "NotFound", "its pods are gone")
        yield self._printed(index, attempt)[offset:]
        yield b"and more\n"
        for job in self.jobs:
            if job["metadata"]["name"] == name and self.attempts:
                job.setdefault("status", {})["attempt"] = self.attempts.pop(0)

    def _printed(self, index: int | None, attempt: int | None) -> bytes:
        if index is not None:
            return b"element %d\n" % index
        return self.printed_by.get(attempt or 0, self.printed)

    async def delete(self, job: dict[str, Any]) -> None:
        self.deleted.append(job["metadata"]["name"])


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> MemoryJobs:
    """What `platformctl job` finds."""
    memory = MemoryJobs()

    @asynccontextmanager
    async def jobs_of(access: Access) -> AsyncIterator[MemoryJobs]:
        yield memory.at(access.namespace)

    monkeypatch.setattr(cluster, "jobs_of", jobs_of)
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    return memory


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs platformctl with these words."""

    def invoke(*words: str, text: str | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, words, input=text, env=env)

    return invoke
