"""Many Jobs, everything failing around them: each attempt runs exactly once.

Routers die before, after and during their requests, two lead at once, they look at old copies of Jobs;
the API server and slurmctld misbehave as `disturbance` says. To repeat a run, set FAULT_SEED to the seed
that it printed.
"""

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from platformctl.jobs.model import Target
from platformctl.router.job import submission
from platformctl.router.job.reconcile import Reconciler
from platformctl.router.job.resource import JobResource
from platformctl.router.loop.queue import RetryLater
from platformctl.vocabulary import CANCEL_REQUESTED, RETRY_REQUESTED, Phase, job_path
from tests.fakes.slurmrestd import RESTART_SECONDS
from tests.integration.router.disturbance import Cluster, ShakyClient, Slurmctld
from tests.integration.router.faults import Executioner, Killed
from tests.integration.router.world import BATCH, World

JOBS = int(os.environ.get("FAULT_JOBS", "500"))
AT_ONCE = 24
MANY_LOOKS = 1000


class Fate(StrEnum):
    """What its user does with a Job, some time after its submission."""

    RUNS = "runs"
    CANCELLED = "cancelled"
    DELETED = "deleted"


@dataclass
class Life:
    """One Job. failing: the attempts up to this one fail, where they run at all."""

    job: JobResource
    fate: Fate
    failing: int
    retries: int


class Storm:
    """Routers that come and go. kills: how often each kind of death struck."""

    def __init__(self, world: World, api: ShakyClient, chance: random.Random) -> None:
        self._world = world
        self._api = api
        self._chance = chance
        self._lasting = [self._router() for _ in range(2)]
        self.kills: Counter[str] = Counter()
        self.looks = 0

    async def live(self, life: Life) -> None:
        """Look at a Job, most of the time disturbed, until it has ended or is gone.

        What was lost is tried again by its user.
        """
        copies = [life.job]
        patience = self._chance.randrange(2, 10)
        while (fresh := await self._world.read(life.job)) is not None:
            if fresh.final and life.fate is not Fate.DELETED:
                if life.fate is Fate.CANCELLED or not was_lost(fresh.status):
                    return
                fresh = await self._ask(fresh, RETRY_REQUESTED, str(fresh.attempt))
            self._world.overview.put(fresh)
            copies.append(fresh)
            assert len(copies) < MANY_LOOKS, fresh.raw
            if len(copies) == patience:
                await self._meet(life)
            await self._disturbed_look(self._chance.choice(copies[-3:]) if self._rarely() else fresh)
            if fresh.phase is Phase.RUNNING:
                await asyncio.sleep(0.02)

    async def _meet(self, life: Life) -> None:
        """The Job's fate, unless it ended before."""
        if life.fate is Fate.CANCELLED:
            await self._ask(life.job, CANCEL_REQUESTED, "true")
        elif life.fate is Fate.DELETED:
            await self._world.alice.delete(job_path("default", life.job.name))

    async def _ask(self, job: JobResource, annotation: str, value: str) -> JobResource:
        patch = {"metadata": {"annotations": {annotation: value}}}
        return JobResource(await self._world.alice.merge(job_path("default", job.name), patch))

    async def _disturbed_look(self, seen: JobResource) -> None:
        """By one router, or by two at once."""
        routers = [self._some_router() for _ in range(2 if self._chance.random() < 0.2 else 1)]
        await asyncio.gather(*(self._look(router, seen) for router in routers))

    def _rarely(self) -> bool:
        return self._chance.random() < 0.1

    def _some_router(self) -> Reconciler:
        draw = self._chance.random()
        if draw < 0.4:
            return self._chance.choice(self._lasting)
        return self._router(self._death() if draw < 0.8 else None)

    def _router(self, executioner: Executioner | None = None) -> Reconciler:
        return self._world.router(executioner, self._api)

    def _death(self) -> Executioner:
        kind = self._chance.choice(("before", "after", "in flight"))
        executioner = Executioner(self._chance.randrange(6), kind == "after", kind == "in flight")
        executioner.struck = lambda: self._count(kind, executioner)
        return executioner

    def _count(self, kind: str, executioner: Executioner) -> None:
        self.kills[kind] += 1
        if executioner.under_way is not None:
            self._api.arrive_later(executioner.under_way, within=RESTART_SECONDS / 4)

    async def _look(self, router: Reconciler, job: JobResource) -> None:
        self.looks += 1
        with suppress(RetryLater, Killed):
            await router.reconcile(job)


async def test_every_attempt_runs_exactly_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # The slurmctld of this test restarts much faster than a real one. Half of that is left for a release to
    # arrive, also where the machine is busy.
    monkeypatch.setattr(submission, "VERIFIED_FOR", RESTART_SECONDS / 4)
    seed = int(os.environ.get("FAULT_SEED", random.randrange(2**32)))
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    api, slurmctld = ShakyClient(world.api, chance, 0.1), Slurmctld(world.slurm, chance, 0.1)
    cluster = Cluster(world.root, world.slurm, chance)
    storm = Storm(world, api, chance)
    lives: list[Life] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with slots:
            target = Target.SLURM if chance.random() < 0.7 else Target.KUBERNETES
            job = await world.submit(target, retries=chance.choice((0, 0, 1, 2)))
            fate = chance.choice((Fate.RUNS, *Fate)) if chance.random() < 0.3 else Fate.RUNS
            life = Life(job, fate, chance.choice((0, 0, 1, 2, 3)), job.spec.get("retries", 0))
            lives.append(life)
            cluster.plan[life.job.uid] = life.failing
            await storm.live(life)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.run())
        await asyncio.gather(*(one() for _ in range(JOBS)))
        running.cancel()
    slurmctld.be_well()
    api.share = 0.0
    await api.settle()
    await cluster.turn()
    await world.sweep()
    fates = dict(Counter(str(life.fate) for life in lives))
    print(f"{JOBS} jobs {fates}, {storm.looks} looks, deaths of routers {dict(storm.kills)}")  # noqa: T201
    print(f"{world.slurm.deaths} deaths of slurmctld")  # noqa: T201
    lost = [await check(world, cluster, life) for life in lives]
    print(f"{cluster.started.total()} attempts ran, {sum(lost)} were lost and said so")  # noqa: T201
    await check_nothing_is_left(world)


async def check(world: World, cluster: Cluster, life: Life) -> int:
    """Every attempt ran once; of some the status says that they may not have, and how many is returned."""
    job = await world.read(life.job)
    starts = {number: count for (uid, number), count in cluster.started.items() if uid == life.job.uid}
    if life.fate is Fate.DELETED or (job is not None and job.phase is Phase.CANCELLED):
        assert life.fate is not Fate.RUNS
        assert all(count == 1 for count in starts.values()), starts
        return 0
    assert job is not None
    history = [*job.attempts, job.status]
    assert [item["attempt"] for item in history] == list(range(1, job.attempt + 1))
    for number, item in enumerate(history, 1):
        assert starts.pop(number, 0) in ((0, 1) if was_lost(item) else (1,)), item
        if not was_lost(item):
            assert item["phase"] == ("Failed" if number <= life.failing else "Succeeded"), item
        assert number == job.attempt or item["phase"] == "Failed"
    assert starts == {}
    done = job.phase is Phase.SUCCEEDED or job.attempt > life.retries
    assert done or life.fate is Fate.CANCELLED
    return sum(was_lost(item) for item in history)


async def check_nothing_is_left(world: World) -> None:
    """Neither copies that are held, nor anything that runs."""
    assert world.slurm.tokens(held=True) == world.slurm.tokens(held=False) == []
    batches = (await world.root.get(BATCH))["items"]
    assert all((batch.get("status") or {}).get("startTime") for batch in batches)


def was_lost(status: dict[str, Any]) -> bool:
    """Whether Slurm forgot the job when it may have run, as far as a router can know."""
    return "may have run" in str(status.get("reason"))
