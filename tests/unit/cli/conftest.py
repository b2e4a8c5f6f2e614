"""The commands on Jobs against Jobs in memory, at one point of time."""

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from platformctl.cli import job as commands
from platformctl.cli.cluster import Access
from platformctl.cli.main import app
from platformctl.clients.kubernetes import NotFoundError

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC


class MemoryJobs:
    """Stands for JobsClient; asked records what the router was asked for."""

    def __init__(self, *jobs: dict[str, Any], who: str = "alice") -> None:
        self.jobs = list(jobs)
        self.who = who
        self.namespace = "default"
        self.asked: list[tuple[str, str, str]] = []
        self.deleted: list[str] = []

    def at(self, namespace: str) -> "MemoryJobs":
        self.namespace = namespace or self.namespace
        return self

    async def whoami(self) -> str:
        return self.who

    async def list(self, everywhere: bool = False) -> list[dict[str, Any]]:
        return copy.deepcopy(self.jobs)

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

    async def ask(self, job: dict[str, Any], annotation: str, value: str) -> dict[str, Any]:
        self.asked.append((job["metadata"]["name"], annotation, value))
        return job

    async def delete(self, job: dict[str, Any]) -> None:
        self.deleted.append(job["metadata"]["name"])


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> MemoryJobs:
    """What `platformctl job` finds."""
    memory = MemoryJobs()

    @asynccontextmanager
    async def jobs_of(access: Access) -> AsyncIterator[MemoryJobs]:
        yield memory.at(access.namespace)

    monkeypatch.setattr(commands, "jobs_of", jobs_of)
    monkeypatch.setattr("platformctl.cli.job.time.time", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    return memory


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs platformctl with these words."""

    def invoke(*words: str, text: str | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, words, input=text, env=env)

    return invoke
