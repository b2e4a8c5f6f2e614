"""What a Job goes through besides its submission; the router is a process: gates, cancel, retry, expiry."""

from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError
from platformctl.jobs.model import Target
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import CANCEL_REQUESTED, EXPLAIN_REQUESTED, RETRY_REQUESTED, job_path
from tests.integration.router.process import RouterProcess, eventually, until, until_gone
from tests.integration.router.world import BATCH, SCRIPT, World

QUEUES = "/apis/kfoundry.io/v1alpha1/queues"


async def ask(world: World, job: JobResource, **annotations: str | None) -> None:
    """Annotate as the submitter."""
    names = {"cancel": CANCEL_REQUESTED, "retry": RETRY_REQUESTED, "explain": EXPLAIN_REQUESTED}
    patch = {names[name]: value for name, value in annotations.items()}
    await world.alice.merge(job_path("default", job.name), {"metadata": {"annotations": patch}})


async def says(world: World, job: JobResource, words: str, router: RouterProcess) -> dict[str, Any]:
    """The status once its reason holds these words."""

    async def check() -> dict[str, Any] | None:
        found = await world.read(job)
        return found.status if found and words in str(found.status.get("reason")) else None

    return await eventually(check, f"{job.name} never said {words!r}", router)


def running_id(status: dict[str, Any]) -> int:
    return int(status["backendId"])


async def test_a_job_waits_for_one_on_the_other_back_end(world: World, router: RouterProcess) -> None:
    second = await world.submit(Target.KUBERNETES, dependsOn=[{"name": "first"}])
    await says(world, second, "waits for the job first, which does not exist", router)
    first = await world.submit(Target.SLURM, name="first")
    await says(world, second, "waits for the job first to have succeeded", router)
    status = await until(world, first, "Running", router)
    assert await world.batch_jobs(second) == []
    world.slurm.finish(running_id(status))
    await until(world, second, "Queued", router)
    assert await world.starts(Target.KUBERNETES, second) == 1


async def test_a_dependency_that_failed_refuses_those_who_wait(world: World, router: RouterProcess) -> None:
    first = await world.submit(Target.SLURM, name="first")
    second = await world.submit(Target.SLURM, dependsOn=[{"name": "first"}])
    third = await world.submit(Target.SLURM, dependsOn=[{"name": "first", "when": "failed"}])
    world.slurm.finish(running_id(await until(world, first, "Running", router)), code=1)
    status = await until(world, second, "Refused", router)
    assert "first has failed, but should have succeeded" in status["reason"]
    await until(world, third, "Running", router)


async def test_a_cycle_is_refused(world: World, router: RouterProcess) -> None:
    jobs = [
        await world.submit(Target.SLURM, name=name, dependsOn=[{"name": other, "when": "finished"}])
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    reasons = [(await until(world, job, "Refused", router))["reason"] for job in jobs]
    assert any("wait for each other: " in reason for reason in reasons)
    assert world.slurm.jobs == {}


async def test_a_suspended_job_waits_until_its_user_lifts_that(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM, suspend=True)
    await says(world, job, "is suspended by its user", router)
    assert world.slurm.jobs == {}
    await world.alice.merge(job_path("default", job.name), {"spec": {"suspend": False}})
    await until(world, job, "Running", router)
    for spec in ({"suspend": True}, {"script": "#!/bin/sh\nid\n"}, {"retries": 3}):
        with pytest.raises(ApiError, match=r"cannot be changed|only be lifted"):
            await world.alice.merge(job_path("default", job.name), {"spec": spec})


async def test_failed_attempts_are_tried_again_and_remembered(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM, retries=2)
    for attempt in (1, 2, 3):
        status = await until(world, job, "Running", router, attempt=attempt)
        world.slurm.finish(running_id(status), code=attempt)
    status = await until(world, job, "Failed", router)
    assert (status["attempt"], status["exitCode"]) == (3, 3)
    assert [(item["attempt"], item["exitCode"], item["phase"]) for item in status["attempts"]] == [
        (1, 1, "Failed"),
        (2, 2, "Failed"),
    ]
    assert await world.starts(Target.SLURM, job) == 3


async def test_a_job_that_used_up_its_walltime_is_not_tried_again(
    world: World, router: RouterProcess
) -> None:
    job = await world.submit(Target.SLURM, retries=2)
    world.slurm.jobs[running_id(await until(world, job, "Running", router))].state = "TIMEOUT"
    assert (await until(world, job, "Failed", router))["attempt"] == 1


@pytest.mark.parametrize("target", [Target.SLURM, Target.KUBERNETES])
async def test_a_cancelled_job_stays_and_may_be_retried(
    world: World, router: RouterProcess, target: Target
) -> None:
    job = await world.submit(target)
    await until(world, job, "Running" if target is Target.SLURM else "Queued", router)
    await ask(world, job, cancel="true")
    status = await until(world, job, "Cancelled", router)
    assert status["completionTime"]
    await ask(world, job, retry="1")
    await says(world, job, "the retry waits until the annotation", router)
    await ask(world, job, cancel=None)
    status = await until(world, job, "Running" if target is Target.SLURM else "Queued", router, attempt=2)
    assert [item["phase"] for item in status["attempts"]] == ["Cancelled"]
    assert await world.starts(target, job) == (2 if target is Target.SLURM else 1)


async def test_a_job_that_waits_is_cancelled_at_once(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM, suspend=True)
    await says(world, job, "suspended", router)
    await ask(world, job, cancel="true")
    await until(world, job, "Cancelled", router)
    assert world.slurm.jobs == {}


async def test_a_retry_works_once(world: World, router: RouterProcess) -> None:
    job = await world.submit(Target.SLURM)
    world.slurm.finish(running_id(await until(world, job, "Running", router)), code=1)
    await until(world, job, "Failed", router)
    await ask(world, job, retry="1")
    world.slurm.finish(running_id(await until(world, job, "Running", router, attempt=2)), code=1)
    status = await until(world, job, "Failed", router)
    assert status["attempt"] == 2
    router.kill()
    await router.start()
    other = await world.submit(Target.SLURM)
    await until(world, other, "Running", router)
    assert await world.starts(Target.SLURM, job) == 2


async def test_an_ended_job_is_deleted_when_its_time_is_over(world: World, router: RouterProcess) -> None:
    kept = await world.submit(Target.SLURM, ttlAfterFinished="1h")
    job = await world.submit(Target.SLURM, ttlAfterFinished=1)
    refused = await world.submit(Target.KUBERNETES, ttlAfterFinished=1, nodes=2, tasks=2)
    for each in (kept, job):
        world.slurm.finish(running_id(await until(world, each, "Running", router)))
    # slurmctld's clock stands still here, so its end is long ago.
    await until_gone(world, job, router)
    await until_gone(world, refused, router)


async def test_a_job_that_somebody_else_manages_is_left_alone(world: World, router: RouterProcess) -> None:
    theirs = await world.submit(Target.SLURM, managedBy="example.com/other")
    ours = await world.submit(Target.SLURM)
    await until(world, ours, "Running", router)
    found = await world.read(theirs)
    assert found is not None
    assert found.status == {}
    await world.alice.delete(job_path("default", theirs.name))
    await until_gone(world, theirs, router)


async def test_a_question_is_answered_once_and_another_a_little_later(
    world: World, router: RouterProcess
) -> None:
    job = await world.submit(Target.SLURM, suspend=True)
    await says(world, job, "suspended", router)
    for question in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"):
        await ask(world, job, explain=question)

        async def answered(question: str = question) -> dict[str, Any] | None:
            found = await world.read(job)
            answer = found.status.get("explanation") if found else None
            return answer if answer and answer["requested"] == question else None

        answer = await eventually(answered, "no answer", router)
        assert answer["sentences"] == ["It is Pending: is suspended by its user."]


async def test_queues_hold_back_refuse_and_give_walltimes(world: World, router: RouterProcess) -> None:
    await world.root.create(
        QUEUES,
        {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Queue",
            "metadata": {"name": "short"},
            "spec": {
                "targets": [{"slurm": {"partition": "main"}}],
                "default": True,
                "defaultWalltime": "10m",
                "limits": {"perUser": {"jobs": 1}},
            },
        },
    )
    try:
        first = await world.submit(Target.SLURM)
        status = await until(world, first, "Running", router)
        assert status["queue"] == "short"
        assert world.slurm.jobs[running_id(status)].description["time_limit"]["number"] == 10
        second = await world.submit(Target.SLURM)
        await says(world, second, "holds less than the 1 jobs allowed in the queue short", router)
        unknown = await world.submit(Target.SLURM, queue="long")
        assert "there are short" in (await until(world, unknown, "Refused", router))["reason"]
        world.slurm.finish(running_id(status))
        await until(world, second, "Running", router)
    finally:
        await world.root.delete(f"{QUEUES}/short")


async def test_a_removed_back_end_keeps_no_job_from_being_deleted(
    world: World, router: RouterProcess
) -> None:
    job = await world.submit(Target.SLURM)
    status = await until(world, job, "Running", router)
    await router.stop()
    with_slurm = router.configure(slurm=None)
    await router.start()
    await world.alice.delete(job_path("default", job.name))
    await until_gone(world, job, router)
    await router.stop()
    router.configure(**with_slurm)
    await router.start()

    async def cancelled() -> bool | None:
        return True if world.slurm.jobs[running_id(status)].state == "CANCELLED" else None

    await eventually(cancelled, "the job that belongs to nobody was left running", router)


async def test_while_slurm_is_away_it_is_left_alone_and_all_jobs_wait_with_the_reason(
    world: World, router: RouterProcess
) -> None:
    world.slurm.away = True
    before = world.slurm.asked
    jobs = [await world.submit(Target.SLURM) for _ in range(40)]
    for job in jobs:
        status = await says(world, job, "slurmctld is away", router)
        assert status["phase"] == "Pending"
    assert world.slurm.asked - before < 40
    world.slurm.away = False
    for job in jobs:
        await until(world, job, "Running", router)
        assert await world.starts(Target.SLURM, job) == 1


async def test_a_full_slurm_is_waited_for(world: World, router: RouterProcess) -> None:
    world.slurm.max_jobs = 5
    jobs = [await world.submit(Target.SLURM) for _ in range(12)]

    async def all_ran() -> bool | None:
        for job_id, job in list(world.slurm.jobs.items()):
            if job.state == "RUNNING":
                world.slurm.finish(job_id)
            elif job.state == "COMPLETED":
                world.slurm.purge(job_id)
        return True if len(world.slurm.ran) == len(jobs) else None

    await eventually(all_ran, "not all jobs ran", router)
    for job in jobs:
        await all_ran()
        await until(world, job, "Succeeded", router)


@pytest.mark.parametrize("phase", ["suspended", "away", "running", "ended", "refused"])
async def test_deletion_in_every_phase_leaves_nothing(
    world: World, router: RouterProcess, phase: str
) -> None:
    world.slurm.away = phase == "away"
    options: dict[str, Any] = {
        "suspended": {"suspend": True},
        "refused": {"script": SCRIPT.replace("date", "#SBATCH -n1\ndate")},
    }
    job = await world.submit(Target.SLURM, **options.get(phase, {}))
    expected = {"running": "Running", "ended": "Running", "refused": "Refused"}.get(phase, "Pending")
    status = await until(world, job, expected, router)
    if phase == "ended":
        world.slurm.finish(running_id(status))
        await until(world, job, "Succeeded", router)
    await world.alice.delete(job_path("default", job.name))
    await until_gone(world, job, router)
    assert world.slurm.tokens(held=True) == world.slurm.tokens(held=False) == []
    assert (await world.root.get(BATCH))["items"] == []
