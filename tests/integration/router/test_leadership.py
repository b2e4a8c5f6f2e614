"""Several routers as processes: one works, another takes over, and a Job still runs once."""

import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from platformctl.clients.kubernetes import NotFoundError
from platformctl.jobs.model import Target
from platformctl.router.loop.leader import Terms
from tests.integration.control_plane import ControlPlane
from tests.integration.router.process import RouterProcess, eventually, until
from tests.integration.router.world import World

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/job-router"
# A dead holder's lease runs out, then somebody asks for it; the rest is room for a busy machine.
TAKEOVER = Terms().duration + 2 * Terms().retry + 10


class Replica(RouterProcess):
    """A router that works only while it holds the lease."""

    def __init__(self, plane: ControlPlane, world: World, folder: Path, name: str) -> None:
        (folder / name).mkdir()
        super().__init__(plane, world, folder / name)
        path = folder / name / "router.json"
        lease = {"namespace": "default", "name": "job-router"}
        path.write_text(json.dumps({**json.loads(path.read_text()), "lease": lease}))
        self._environment["POD_NAME"] = name
        self.name = name

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    async def answer(self, path: str) -> str | None:
        """What it answers, None while it does not answer with 200."""
        address = self.health.removesuffix("/healthz") + path
        try:
            async with aiohttp.ClientSession() as session, session.get(address) as answer:
                return await answer.text() if answer.status == 200 else None
        except aiohttp.ClientError:
            return None


@pytest.fixture
async def replicas(
    control_plane: ControlPlane, world: World, tmp_path: Path
) -> AsyncIterator[tuple[Replica, Replica]]:
    await world.root.delete(LEASE)
    both = Replica(control_plane, world, tmp_path, "one"), Replica(control_plane, world, tmp_path, "two")
    for replica in both:
        await replica.start()
        await eventually(lambda replica=replica: replica.answer("/readyz"), "never ready", replica)  # type: ignore[misc]
    yield both
    for replica in both:
        replica.kill()
        assert replica.process
        await replica.process.wait()


async def leader_of(world: World, replicas: tuple[Replica, Replica], besides: str = "") -> Replica:
    """The replica that holds the lease; besides: one that does not count."""

    async def holder() -> Replica | None:
        try:
            spec = (await world.root.get(LEASE))["spec"]
        except NotFoundError:
            return None
        name = str(spec.get("holderIdentity") or "").partition("_")[0]
        return next((found for found in replicas if found.name == name != besides), None)

    return await eventually(holder, "nobody leads", replicas[0])


def other(replicas: tuple[Replica, Replica], leader: Replica) -> Replica:
    return next(found for found in replicas if found is not leader)


async def test_the_other_takes_over_after_sigkill(world: World, replicas: tuple[Replica, Replica]) -> None:
    leader = await leader_of(world, replicas)
    heir = other(replicas, leader)
    assert "job_router_leading 1.0" in str(await leader.answer("/metrics"))
    assert "job_router_leading 0.0" in str(await heir.answer("/metrics"))
    running = await world.submit(Target.SLURM)
    await until(world, running, "Running", leader)
    leader.kill()
    begun = time.monotonic()
    (job_id,) = world.slurm.jobs
    world.slurm.finish(job_id)
    created = await world.submit(Target.SLURM)
    await until(world, created, "Running", heir)
    await until(world, running, "Succeeded", heir)
    assert time.monotonic() - begun < TAKEOVER
    for job in (running, created):
        assert await world.starts(Target.SLURM, job) == 1


async def test_a_leader_that_is_told_to_stop_gives_the_lease_back(
    world: World, replicas: tuple[Replica, Replica]
) -> None:
    leader = await leader_of(world, replicas)
    begun = time.monotonic()
    assert await leader.stop(signal.SIGTERM) == 0
    await leader_of(world, replicas, besides=leader.name)
    assert time.monotonic() - begun < Terms().duration
    job = await world.submit(Target.SLURM)
    await until(world, job, "Running", other(replicas, leader))


async def test_a_leader_that_slept_through_its_lease_harms_nothing(
    world: World, replicas: tuple[Replica, Replica]
) -> None:
    """It is stopped in the middle of its work, and goes on where it was when another has done that work."""
    leader = await leader_of(world, replicas)
    heir = other(replicas, leader)
    stopped = False

    def strike(_number: int, what: str) -> None:
        nonlocal stopped
        if not stopped and what.startswith("POST") and len(world.slurm.jobs) > 10:
            stopped = True
            leader.signal(signal.SIGSTOP)

    world.slurm.before = strike
    jobs = [await world.submit(Target.SLURM) for _ in range(30)]
    await leader_of(world, replicas, besides=leader.name)
    for job in jobs:
        await until(world, job, "Running", heir)
    assert stopped
    leader.signal(signal.SIGCONT)

    async def stands_by() -> bool | None:
        return True if "job_router_leading 0.0" in str(await leader.answer("/metrics")) else None

    await eventually(stands_by, "still leads", leader)

    async def no_copies() -> bool | None:
        return None if world.slurm.tokens(held=True) else True

    await eventually(no_copies, "copies are left", heir)
    for job in jobs:
        assert await world.starts(Target.SLURM, job) == 1
