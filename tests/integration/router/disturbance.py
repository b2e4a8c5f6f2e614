"""An API server and a Slurm that misbehave at random, and a cluster that runs what is released.

The API server's answers come late, twice, not at all, or before the request has arrived; slurmctld is
killed again and again, forgets live jobs, and issues their ids anew. A request that was on its way to a
slurmctld does not outlive it; that of a router does.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from platformctl.clients.kubernetes import (
    ApiError,
    ConflictError,
    KubernetesClient,
    NotFoundError,
    UnavailableError,
)
from platformctl.jobs.tokens import Token, parse_token
from platformctl.router.backend import Refused, Unavailable
from platformctl.vocabulary import TOKEN_ANNOTATION
from tests.fakes.slurmrestd import FakeSlurm
from tests.integration.router.world import BATCH

# The share of requests that find slurmctld dying.
_DEATHS = 0.01
# The share of the jobs in a state that a killed slurmctld forgets.
_FORGETS = {"PENDING": 0.15, "RUNNING": 0.02}
# See the stand-in; each of its deaths takes all that is under way with it, so it has fewer of them.
_FAULTS = (*("refused", "lost", "twice", "slow") * 2, "killed")

type Attempt = tuple[str, int]
"""uid of a Job, and number of the attempt."""


class ShakyClient:
    """The API server behind a bad line. share: of its answers are no plain ones."""

    def __init__(self, inner: KubernetesClient, chance: random.Random, share: float) -> None:
        self._inner = inner
        self._chance = chance
        self._late: set[asyncio.Task[None]] = set()
        self.share = share

    async def get(self, path: str, **query: str) -> Any:
        return await self._shake(lambda: self._inner.get(path, **query))

    async def list_pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        await self._shake(lambda: asyncio.sleep(0))
        async for page in self._inner.list_pages(path, **query):
            yield page

    async def create(self, path: str, body: dict[str, Any]) -> Any:
        return await self._shake(lambda: self._inner.create(path, body))

    async def merge(self, path: str, patch: dict[str, Any]) -> Any:
        return await self._shake(lambda: self._inner.merge(path, patch))

    async def delete(self, path: str, **options: str) -> Any:
        return await self._shake(lambda: self._inner.delete(path, **options))

    async def settle(self) -> None:
        """Until the last late request has arrived."""
        await asyncio.gather(*self._late)

    async def _shake(self, request: Callable[[], Awaitable[Any]]) -> Any:
        if self._chance.random() >= self.share:
            return await request()
        fault = self._chance.choice(("refused", "lost", "late", "twice", "slow"))
        if fault == "slow":
            await asyncio.sleep(self._chance.random() * 0.03)
        if fault == "late":
            self.arrive_later(request)
        if fault in ("refused", "late"):
            raise UnavailableError(0, "Unreachable", fault)
        answer = await request()
        if fault == "twice":
            return await request()
        if fault == "lost":
            raise UnavailableError(0, "Unreachable", fault)
        return answer

    def arrive_later(self, request: Callable[[], Awaitable[Any]], within: float = 0.1) -> None:
        """A request that its sender does not live to see answered."""

        async def arrive() -> None:
            await asyncio.sleep(self._chance.random() * within)
            try:
                await request()
            except (ApiError, Unavailable, Refused):
                # Nobody waits for the answer.
                return

        task = asyncio.get_running_loop().create_task(arrive())
        self._late.add(task)


class Slurmctld:
    """Has a stand-in fail at random: faults of single requests, and deaths of slurmctld."""

    def __init__(self, slurm: FakeSlurm, chance: random.Random, share: float) -> None:
        self._slurm = slurm
        self._chance = chance
        self._share = share
        slurm.fault = self._fault

    def be_well(self) -> None:
        """No more faults."""
        self._slurm.fault = lambda _what: ""

    def _fault(self, _what: str) -> str:
        if self._chance.random() < _DEATHS:
            live = list(self._slurm.jobs.items())
            self._slurm.die(
                [job_id for job_id, job in live if self._chance.random() < _FORGETS.get(job.state, 0.0)]
            )
        if self._chance.random() >= self._share:
            return ""
        return self._chance.choice(_FAULTS)


class Cluster:
    """Runs what is released on either side, and ends it as planned. plan: attempts of a Job that fail.

    started: how often each attempt was started on Kubernetes; Slurm's stand-in counts its own.
    """

    def __init__(self, root: KubernetesClient, slurm: FakeSlurm, chance: random.Random) -> None:
        self._root = root
        self._slurm = slurm
        self._chance = chance
        self._seen: set[str] = set()
        self._batches: Counter[Attempt] = Counter()
        self.plan: dict[str, int] = {}

    @property
    def started(self) -> Counter[Attempt]:
        """How often each attempt was started."""
        tokens = [parse_token(text) for text in self._slurm.ran]
        return self._batches + Counter((token.uid, token.attempt) for token in tokens if token)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(0.05)

    async def turn(self) -> None:
        """End some of what runs."""
        for job_id, job in list(self._slurm.jobs.items()):
            if job.state == "RUNNING" and self._chance.random() < 0.5:
                self._slurm.finish(job_id, self._code(parse_token(job.description["comment"])))
                if self._chance.random() < 0.3:
                    self._slurm.purge(job_id)
        for batch in (await self._root.get(BATCH))["items"]:
            if not batch["spec"].get("suspend") and batch["metadata"]["uid"] not in self._seen:
                await self._run_batch(batch)

    def _code(self, token: Token | None) -> int:
        return 1 if token and token.attempt <= self.plan.get(token.uid, 0) else 0

    async def _run_batch(self, batch: dict[str, Any]) -> None:
        token = parse_token(batch["metadata"]["annotations"][TOKEN_ANNOTATION])
        now = "2026-01-01T00:00:00Z"
        true = {"status": "True", "lastTransitionTime": now, "lastProbeTime": now}
        kinds = ("FailureTarget", "Failed") if self._code(token) else ("SuccessCriteriaMet", "Complete")
        end = {"failed": 1} if self._code(token) else {"succeeded": 1, "completionTime": now}
        status = {
            "startTime": now,
            "conditions": [{"type": kind, **true} for kind in kinds],
            "ready": 0,
            "terminating": 0,
            "uncountedTerminatedPods": {},
            **end,
        }
        try:
            await self._root.merge(f"{BATCH}/{batch['metadata']['name']}/status", {"status": status})
        except (ConflictError, NotFoundError):
            # It was cancelled in the meantime.
            return
        self._seen.add(batch["metadata"]["uid"])
        if token:
            self._batches[token.uid, token.attempt] += 1
