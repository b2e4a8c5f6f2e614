"""A Job runs exactly once, at whatever step the router is killed; against a real API server."""

import contextlib
import itertools
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError
from platformctl.jobs.model import Target
from platformctl.router.backend import Unavailable
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import job_path
from tests.integration.router.faults import Executioner
from tests.integration.router.world import SCRIPT, World

# Choose, submit, read back, write, release; where nothing is ever lost nothing is read back.
STEPS = {Target.SLURM: 5, Target.KUBERNETES: 4}
TARGETS = pytest.mark.parametrize("target", [Target.SLURM, Target.KUBERNETES])


async def steps_of(world: World, target: Target) -> int:
    """How many steps an undisturbed submission takes."""
    counter = Executioner()
    job = await world.submit(target)
    await world.reconcile(job, counter)
    assert await world.starts(target, job) == 1
    return counter.taken


@TARGETS
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_killed_at_every_step_of_the_submission(world: World, target: Target, late: bool) -> None:
    steps = await steps_of(world, target)
    assert steps == STEPS[target]
    for step in range(steps):
        job = await world.submit(target)
        assert not await world.reconcile(job, Executioner(step, late))
        world.finish_all()
        await world.reconcile(job, times=3)
        await world.sweep()
        assert await world.starts(target, job) == 1, f"step {step}"
        assert await world.held(target, job) == 0, f"step {step}"


@TARGETS
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_killed_twice(world: World, target: Target, late: bool) -> None:
    """A second router dies while it picks up what the first one left, at all pairs of steps."""
    steps = await steps_of(world, target)
    for first, second in itertools.product(range(steps + 1), repeat=2):
        job = await world.submit(target)
        await world.reconcile(job, Executioner(first, late))
        await world.reconcile(job, Executioner(second, not late))
        await world.reconcile(job, times=3)
        await world.sweep()
        assert await world.starts(target, job) == 1, f"steps {first} and {second}"
        assert await world.held(target, job) == 0, f"steps {first} and {second}"


@TARGETS
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_deleted_after_a_kill_nothing_is_left(world: World, target: Target, late: bool) -> None:
    steps = await steps_of(world, target)
    for step in range(steps):
        job = await world.submit(target)
        await world.reconcile(job, Executioner(step, late))
        await world.alice.delete(job_path("default", job.name))
        for deletion_step in (0, 1, 2):
            await world.reconcile(job, Executioner(deletion_step, late))
        await world.reconcile(job, times=3)
        await world.sweep()
        assert await world.read(job) is None, f"step {step}"
        assert await world.held(target, job) == 0, f"step {step}"
        assert not any(job.uid in token for token in world.slurm.tokens(held=False)), f"step {step}"


@TARGETS
async def test_a_request_that_arrives_after_the_next_router_did_its_work(
    world: World, target: Target
) -> None:
    for step in range(await steps_of(world, target)):
        job = await world.submit(target)
        executioner = Executioner(step, in_flight=True)
        assert not await world.reconcile(job, executioner)
        await world.reconcile(job, times=3)
        assert executioner.under_way is not None
        # What is refused by now, such as a write to a changed Job, has no effect.
        with contextlib.suppress(ApiError, Unavailable):
            await executioner.under_way()
        await world.reconcile(job, times=3)
        await world.sweep()
        assert await world.starts(target, job) == 1, f"step {step}"
        assert await world.held(target, job) == 0, f"step {step}"


async def test_a_copy_that_a_lost_answer_left_behind_is_cancelled(world: World) -> None:
    """The first submission arrives only after a second router has found nothing and submitted again."""
    job = await world.submit(Target.SLURM)
    executioner = Executioner()
    await world.reconcile(job, executioner)
    first = next(iter(world.slurm.jobs.values()))
    late_copy = type(first)(99, "alice", first.description)
    world.slurm.jobs[99] = late_copy
    await world.sweep()
    assert late_copy.state == "CANCELLED"
    assert await world.starts(Target.SLURM, job) == 1


async def test_a_job_lost_before_its_release_is_submitted_again(world: World) -> None:
    """slurmctld is killed after it answered: it forgets the job and gives the id to somebody else's."""
    job = await world.submit(Target.SLURM)
    assert not await world.reconcile(job, Executioner(STEPS[Target.SLURM] - 3))
    (job_id,) = world.slurm.jobs
    theirs = type(world.slurm.jobs[job_id])(
        job_id, "bob", {**world.slurm.jobs[job_id].description, "comment": "x"}
    )
    world.slurm.lose(job_id)
    world.slurm.jobs[job_id], world.slurm.next_id = theirs, job_id + 1
    await world.reconcile(job, times=3)
    assert await world.starts(Target.SLURM, job) == 1
    assert theirs.held
    assert theirs.state == "PENDING"


async def test_a_job_lost_after_its_release_is_not_started_again(world: World) -> None:
    job = await world.submit(Target.SLURM)
    await world.reconcile(job)
    (job_id,) = world.slurm.jobs
    world.slurm.lose(job_id)
    await world.reconcile(job, times=3)
    found = await world.read(job)
    assert found is not None
    assert found.status["phase"] == "Failed"
    assert "may have run" in found.status["reason"]
    assert await world.starts(Target.SLURM, job) == 1


async def test_another_submission_that_comes_by_the_id_of_the_lost_one_is_not_started(world: World) -> None:
    """A request to submit arrives after slurmctld has forgotten what ran: same attempt, and the same id."""
    job = await world.submit(Target.SLURM)
    executioner = Executioner(1, in_flight=True)
    assert not await world.reconcile(job, executioner)
    await world.reconcile(job)
    (job_id,) = world.slurm.jobs
    world.slurm.lose(job_id)
    assert executioner.under_way is not None
    assert await executioner.under_way() == str(job_id)
    await world.reconcile(job, times=3)
    found = await world.read(job)
    assert found is not None
    assert "may have run" in found.status["reason"]
    assert await world.starts(Target.SLURM, job) == 1
    await world.sweep()
    assert await world.held(Target.SLURM, job) == 0


async def test_the_end_of_a_purged_job_is_read_from_accounting(world: World) -> None:
    job = await world.submit(Target.SLURM)
    await world.reconcile(job)
    (job_id,) = world.slurm.jobs
    world.slurm.finish(job_id, code=3)
    world.slurm.purge(job_id)
    await world.reconcile(job)
    found = await world.read(job)
    assert found is not None
    assert (found.status["phase"], found.status["exitCode"]) == ("Failed", 3)


async def test_while_slurm_is_away_a_job_is_pending_with_the_reason(world: World) -> None:
    world.slurm.away = True
    job = await world.submit(Target.SLURM)
    await world.reconcile(job, times=3)
    found = await world.read(job)
    assert found is not None
    assert found.status["phase"] == "Pending"
    assert "slurmctld is away" in found.status["reason"]
    world.slurm.away = False
    await world.reconcile(job, times=2)
    assert await world.starts(Target.SLURM, job) == 1
    found = await world.read(job)
    assert found is not None
    assert (found.status["phase"], found.status["reason"]) == ("Running", "")
    assert "Reachable" not in {condition["type"] for condition in found.status["conditions"]}


@pytest.mark.parametrize(
    "spec",
    [
        {"queue": "nowhere"},
        {
            "script": None,
            "template": {"spec": {"containers": [{"name": "a", "image": "b"}], "hostPID": True}},
        },
        {"script": "#!/bin/sh\n#SBATCH --uid=0\ndate\n"},
    ],
)
async def test_what_is_refused_leaves_nothing_behind(world: World, spec: dict[str, Any]) -> None:
    body = {key: value for key, value in {"script": SCRIPT, **spec}.items() if value is not None}
    created = await world.alice.create(
        job_path("default"),
        {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Job",
            "metadata": {"generateName": "refused-"},
            "spec": {**body, "target": "slurm"},
        },
    )
    job = JobResource(created)
    await world.reconcile(job)
    found = await world.read(job)
    assert found is not None
    assert found.status["phase"] == "Refused"
    assert world.slurm.jobs == {}


async def test_a_submitter_that_is_no_user_of_the_site_is_refused(world: World) -> None:
    job = JobResource(
        await world.root.create(
            job_path("default"),
            {
                "apiVersion": "kfoundry.io/v1alpha1",
                "kind": "Job",
                "metadata": {"generateName": "root-", "annotations": {"kfoundry.io/submitter": "alice"}},
                "spec": {"script": SCRIPT},
            },
        )
    )
    await world.reconcile(job)
    found = await world.read(job)
    assert found is not None
    assert found.status["phase"] == "Refused"
    assert "'root' is no user of this site" in found.status["reason"]
    assert world.slurm.jobs == {}
