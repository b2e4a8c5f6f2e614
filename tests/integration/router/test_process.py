"""The router as the process that runs in the cluster, with the rights that the chart gives it."""

import asyncio
import random

import aiohttp

from platformctl.jobs.model import Target
from platformctl.vocabulary import job_path
from tests.integration.router.process import RouterProcess, eventually, until, until_gone
from tests.integration.router.world import BATCH, World


async def test_a_job_on_slurm_from_submission_to_its_end(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM, walltime="5m")
    status = await until(world, job, "Running", router)
    (job_id,) = world.slurm.jobs
    assert (status["backendId"], status["user"], status["nodes"]) == (str(job_id), "alice", "node1")
    assert world.slurm.jobs[job_id].user == "alice"
    world.slurm.finish(job_id, code=7)
    status = await until(world, job, "Failed", router)
    assert status["exitCode"] == 7
    assert status["output"] == f"/home/alice/{job.name}-{job_id}.out"
    await world.alice.delete(job_path("default", job.name))
    await until_gone(world, job, router)
    assert world.slurm.jobs[job_id].state == "FAILED"


async def test_deleting_a_running_job_cancels_it(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM)
    await until(world, job, "Running", router)
    (job_id,) = world.slurm.jobs
    await world.alice.delete(job_path("default", job.name))
    await until_gone(world, job, router)
    assert world.slurm.jobs[job_id].state == "CANCELLED"


async def test_a_job_on_kubernetes_from_submission_to_its_end(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.KUBERNETES)
    status = await until(world, job, "Queued", router)
    name = status["backendId"].split("/")[1]
    batch = await world.root.get(f"{BATCH}/{name}")
    assert batch["spec"]["suspend"] is False
    config_map = await world.root.get(f"/api/v1/namespaces/default/configmaps/{name}")
    assert config_map["metadata"]["ownerReferences"][0]["uid"] == batch["metadata"]["uid"]
    # There is no job controller here; this is what it would write.
    now = "2026-01-01T00:00:00Z"
    true = {"status": "True", "lastTransitionTime": now, "lastProbeTime": now}
    conditions = [{"type": "SuccessCriteriaMet", **true}, {"type": "Complete", **true}]
    await world.root.merge(
        f"{BATCH}/{name}/status",
        {"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions,
                    "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}},
    )  # fmt: skip
    assert (await until(world, job, "Succeeded", router))["exitCode"] == 0
    await world.alice.delete(job_path("default", job.name))
    await until_gone(world, job, router)
    # Its batch Job has ended; a cluster's garbage collector removes it with its owner.
    (batch,) = await world.batch_jobs(job)
    assert [owner["uid"] for owner in batch["metadata"]["ownerReferences"]] == [job.uid]


async def test_slurm_comes_back_after_a_while(world: World, router: RouterProcess) -> None:
    world.slurm.away = True
    job = await world.submit(Target.SLURM)

    async def says_why() -> bool | None:
        status = await until(world, job, "Pending", router)
        return True if "slurmctld is away" in status.get("reason", "") else None

    await eventually(says_why, "no reason", router)
    world.slurm.away = False
    await until(world, job, "Running", router)


async def test_sigkill_at_random_moments(world: World, router: RouterProcess) -> None:
    """Many jobs at once, and the process is killed before or after some of its requests to Slurm."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    count, kills = 30, 0
    killed = []

    def strike(_number: int, _what: str) -> None:
        nonlocal kills
        if kills < 6 and chance.random() < 0.08:
            kills += 1
            killed.append(router.process)
            router.kill()

    world.slurm.before = world.slurm.after = strike
    jobs = [await world.submit(Target.SLURM) for _ in range(count)]

    async def all_ran() -> bool | None:
        assert router.process
        if router.process.returncode is not None:
            await router.start()
        return True if len(set(world.slurm.ran)) == count else None

    await eventually(all_ran, "not all jobs ran", router)
    kills = 99
    await asyncio.gather(*(process.wait() for process in killed if process))
    await all_ran()
    for job in jobs:
        await until(world, job, "Running", router)

    async def no_copies() -> bool | None:
        return None if world.slurm.tokens(held=True) else True

    await eventually(no_copies, "copies are left", router)
    for job in jobs:
        assert await world.starts(Target.SLURM, job) == 1


async def test_sigterm_ends_it_soon_and_cleanly(router: RouterProcess) -> None:
    async def healthy() -> bool | None:
        try:
            async with aiohttp.ClientSession() as session, session.get(router.health) as answer:
                return True if answer.status == 200 else None
        except aiohttp.ClientError:
            return None

    await eventually(healthy, "never became healthy", router)
    assert await router.stop() == 0
