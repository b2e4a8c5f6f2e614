"""How Jobs end otherwise than by themselves: nothing of them is left, and what is not theirs stays."""

from typing import Any

import pytest
import structlog

from platformctl.clients.kubernetes import ApiError
from platformctl.jobs.model import Target
from platformctl.router.backend import Unavailable, Usage
from platformctl.router.job.resource import JobStore
from platformctl.router.loop.queue import RetryLater
from platformctl.vocabulary import CANCEL_REQUESTED, FINALIZER, RETRY_REQUESTED, Phase
from tests.integration.router.faults import Executioner
from tests.unit.router.world import World

PATH = "/apis/kfoundry.io/v1alpha1/namespaces/default/jobs/a"
LONG_AGO = "2020-01-01T00:00:00Z"


async def write(world: World, **changes: Any) -> None:
    """Have the status say so."""
    api: Any = world.api
    await JobStore(api).write_status(world.api.job("a"), changes)
    world.api.log.clear()


async def ended(world: World, phase: Phase = Phase.SUCCEEDED, **spec: Any) -> None:
    """A Job that has ended by itself, and whose status says so."""
    await world.run(**spec)
    world.slurm.end("1", phase, exit_code=0)
    await world.reconcile()
    assert world.status()["phase"] == phase
    world.slurm.log.clear()
    world.api.log.clear()


async def test_a_job_that_was_never_submitted_is_cancelled_at_once() -> None:
    world = World()
    world.submit()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    assert await world.reconcile() is None
    assert (world.status()["phase"], world.status()["reason"]) == ("Cancelled", "was cancelled by its user")
    assert world.conditions() == {"Finished": ("True", "Cancelled")}
    assert world.slurm.log == []


async def test_a_running_job_is_cancelled_and_says_what_it_used() -> None:
    world = World()
    await world.run()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    assert await world.reconcile() is None
    assert world.slurm.jobs["1"].seen.phase is Phase.CANCELLED
    assert world.status()["phase"] == "Cancelled"
    assert world.status()["usage"] == {"cpuSeconds": 7, "gpuSeconds": 0}
    assert world.conditions()["Finished"] == ("True", "Cancelled")


async def test_a_job_that_takes_a_while_to_end_is_waited_for() -> None:
    world = World()
    await world.run()
    world.slurm.lingers = True
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    assert await world.reconcile() == 2.0
    assert world.status()["phase"] == "Running"
    world.slurm.end("1", Phase.CANCELLED)
    await world.reconcile()
    assert world.status()["phase"] == "Cancelled"


async def test_a_job_that_ended_before_the_cancel_came_keeps_its_end() -> None:
    world = World()
    await world.run()
    world.slurm.end("1", Phase.FAILED, exit_code=3)
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    await world.reconcile()
    assert (world.status()["phase"], world.status()["exitCode"]) == ("Failed", 3)


@pytest.mark.parametrize("known", [True, False], ids=["known before", "unknown before"])
async def test_what_a_cancel_removes_is_charged_as_far_as_it_was_known(known: bool) -> None:
    """A batch Job is gone once it is deleted."""
    world = World()
    await world.run()
    cancel = world.slurm.cancel

    async def remove(claim: Any, job_id: str) -> None:
        await cancel(claim, job_id)
        world.slurm.jobs.clear()

    world.slurm.cancel = remove  # type: ignore[method-assign]
    if not known:
        world.slurm.jobs.clear()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    await world.reconcile()
    assert (world.status()["phase"], world.status()["reason"]) == ("Cancelled", "was cancelled by its user")
    assert world.status().get("usage") == ({"cpuSeconds": 7, "gpuSeconds": 0} if known else None)


async def test_a_cancel_that_the_back_end_never_heard_is_tried_again() -> None:
    world = World()
    await world.run()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    world.slurm.fail("cancel", Unavailable("slurmctld is away"))
    with pytest.raises(RetryLater):
        await world.reconcile()
    assert (world.status()["phase"], world.status()["reason"]) == ("Running", "slurmctld is away")
    await world.reconcile()
    assert world.status()["phase"] == "Cancelled"


async def test_a_held_job_whose_user_has_left_the_site_is_refused_and_nothing_of_it_is_left() -> None:
    """The router died between the record and the release."""
    world = World()
    world.submit()
    await world.killed(Executioner(4))
    assert world.slurm.held() == ["1"]
    del world.users["alice"]
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "'alice' is no user of this site" in world.status()["reason"]
    assert world.slurm.jobs["1"].seen.phase is Phase.CANCELLED
    assert world.slurm.started == []


async def test_a_deleted_job_goes_when_what_it_ran_has_ended() -> None:
    world = World()
    await world.run()
    world.slurm.lingers = True
    await world.api.delete(PATH)
    assert await world.reconcile() == 2.0
    assert world.api.job("a").guarded
    world.slurm.end("1", Phase.CANCELLED)
    assert await world.reconcile() is None
    assert not world.api.exists("a")


async def test_a_deleted_job_ends_what_runs() -> None:
    world = World()
    await world.run()
    await world.api.delete(PATH)
    assert await world.reconcile() is None
    assert world.slurm.jobs["1"].seen.phase is Phase.CANCELLED
    assert not world.api.exists("a")


@pytest.mark.parametrize("submitted", [True, False])
async def test_what_has_ended_or_never_began_goes_without_asking_a_back_end(submitted: bool) -> None:
    world = World()
    if submitted:
        await ended(world)
    else:
        world.submit()
    await world.api.delete(PATH)
    assert await world.reconcile() is None
    assert not world.api.exists("a")
    assert world.slurm.log == []


async def test_only_the_finalizer_of_the_router_is_removed() -> None:
    world = World()
    world.api.create("a", {}, finalizers=["example.org/theirs", FINALIZER])
    await world.api.delete(PATH)
    await world.reconcile()
    assert world.api.job("a").metadata["finalizers"] == ["example.org/theirs"]
    world.api.log.clear()
    assert await world.reconcile() is None
    assert world.api.log == []


async def test_a_deleted_job_waits_for_a_back_end_that_is_away_and_says_what_else_helps() -> None:
    world = World()
    await world.run()
    await world.api.delete(PATH)
    world.slurm.fail("cancel", Unavailable("slurmctld is away"))
    with pytest.raises(RetryLater):
        await world.reconcile()
    assert world.api.job("a").guarded
    words = "deletion waits until it answers, or an administrator removes the finalizer"
    assert world.status()["reason"] == f"slurmctld is away; {words} {FINALIZER}"


async def test_a_deleted_job_does_not_wait_for_a_back_end_that_the_site_gave_up() -> None:
    world = World()
    await world.run()
    del world.backends[Target.SLURM]
    world.restart()
    await world.api.delete(PATH)
    with structlog.testing.capture_logs() as lines:
        assert await world.reconcile() is None
    assert not world.api.exists("a")
    (warning,) = [line for line in lines if line["log_level"] == "warning"]
    assert warning["why"] == "this site no longer has slurm"
    assert (warning["job"], warning["backend_id"]) == ("a", "1")


async def test_a_user_starts_another_attempt_after_the_end() -> None:
    world = World()
    await ended(world, Phase.FAILED)
    world.api.annotate("a", {RETRY_REQUESTED: "1"})
    assert await world.reconcile() == 0.0
    assert (world.status()["phase"], world.status()["attempt"]) == ("Pending", 2)
    assert world.status()["reason"] == "is tried again, as its user asked"
    await world.settle()
    assert (world.status()["phase"], world.status()["attempt"]) == ("Running", 2)
    assert len(world.slurm.started) == 2


@pytest.mark.parametrize("number", ["0", "2", "x", ""])
async def test_a_retry_that_names_another_attempt_does_nothing(number: str) -> None:
    world = World()
    await ended(world)
    world.api.annotate("a", {RETRY_REQUESTED: number})
    assert await world.reconcile() is None
    assert world.api.log == []


async def test_a_retry_waits_until_the_cancel_is_withdrawn_and_says_so_once() -> None:
    world = World()
    await ended(world)
    world.api.annotate("a", {RETRY_REQUESTED: "1", CANCEL_REQUESTED: "true"})
    await write(world, reason="ended")
    for _ in range(2):
        assert await world.reconcile() is None
        assert world.status()["reason"] == (
            f"ended; the retry waits until the annotation {CANCEL_REQUESTED} is removed"
        )
    assert world.api.log == ["status"]
    world.api.annotate("a", {CANCEL_REQUESTED: None})
    await world.settle()
    assert (world.status()["phase"], world.status()["attempt"]) == ("Running", 2)


async def test_an_ended_job_is_deleted_when_its_time_is_over() -> None:
    world = World()
    await ended(world, ttlAfterFinished="1h")
    await write(world, completionTime=LONG_AGO)
    assert await world.reconcile() is None
    assert world.api.log == ["delete"]
    await world.reconcile()
    assert not world.api.exists("a")


async def test_until_then_it_stays() -> None:
    world = World()
    world.submit(ttlAfterFinished="1h")
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    left = await world.reconcile()
    assert left is not None
    assert 3590 < left <= 3600
    assert world.api.log == ["status"]


async def test_without_a_lifetime_it_stays_for_ever() -> None:
    world = World()
    await ended(world)
    await write(world, completionTime=LONG_AGO)
    assert await world.reconcile() is None
    assert "delete" not in world.api.log


async def test_a_lifetime_that_cannot_be_read_never_ends() -> None:
    world = World()
    world.submit(ttlAfterFinished="soon")
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    await write(world, completionTime=LONG_AGO)
    left = await world.reconcile()
    assert left == float("inf")
    assert world.api.exists("a")


async def test_an_expired_job_stays_while_another_waits_for_it() -> None:
    world = World()
    await ended(world, ttlAfterFinished="1h")
    await write(world, completionTime=LONG_AGO)
    world.overview.put(world.submit("b", suspend=True, dependsOn=[{"name": "a"}]))
    assert await world.reconcile() == 10.0
    assert "delete" not in world.api.log


async def test_what_a_user_tries_again_meanwhile_is_not_deleted() -> None:
    """The copy that the router decides by is older than the wish, and than what came of it."""
    world = World()
    await ended(world, ttlAfterFinished="1h")
    await write(world, completionTime=LONG_AGO)
    old = world.api.job("a")
    world.api.annotate("a", {RETRY_REQUESTED: "1"})
    assert await world.router.reconcile(old) is None
    assert "delete" not in world.api.log
    await world.settle(times=2)
    assert await world.router.reconcile(old) is None
    assert "delete" not in world.api.log


async def test_a_later_job_of_the_same_name_is_not_deleted_in_its_place() -> None:
    world = World()
    await ended(world, ttlAfterFinished="1h")
    await write(world, completionTime=LONG_AGO)
    old = world.api.job("a")
    world.submit("a", ttlAfterFinished="1h")
    await write(world, phase="Succeeded", completionTime=LONG_AGO)
    assert await world.router.reconcile(old) is None
    assert world.api.log == []


async def test_a_job_that_somebody_else_deleted_first_has_expired_too() -> None:
    world = World()
    await ended(world, ttlAfterFinished="1h")
    await write(world, completionTime=LONG_AGO)
    old = world.api.job("a")
    await world.api.delete(PATH)
    await world.settle()
    world.api.log.clear()
    assert await world.router.reconcile(old) is None
    assert world.api.log == []


async def test_a_job_that_somebody_else_manages_is_theirs() -> None:
    world = World()
    world.submit(managedBy="example.org/other")
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    assert await world.reconcile() is None
    assert (world.api.log, world.slurm.log) == ([], [])
    await world.api.delete(PATH)
    assert await world.reconcile() is None
    assert not world.api.exists("a")


async def test_a_write_that_the_api_server_refuses_is_tried_again() -> None:
    world = World()
    world.submit()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    world.api.failing.append(ApiError(500, "InternalError", "etcd is away"))
    with pytest.raises(RetryLater, match="etcd is away"):
        await world.reconcile()
    await world.reconcile()
    assert world.status()["phase"] == "Cancelled"


async def test_the_ledger_adds_up_over_attempts() -> None:
    world = World()
    await world.run(retries=1)
    world.slurm.end("1", Phase.FAILED, usage=Usage(100, 10))
    await world.settle()
    assert world.status()["usage"] == {"cpuSeconds": 100, "gpuSeconds": 10}
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    await world.reconcile()
    assert world.status()["usage"] == {"cpuSeconds": 107, "gpuSeconds": 10}


async def test_every_end_is_in_the_log_with_the_job_it_is_about() -> None:
    """What an administrator searches for by namespace, job or uid."""
    world = World()
    with structlog.testing.capture_logs() as lines:
        job = await world.run(ttlAfterFinished="1h")
        world.api.annotate("a", {CANCEL_REQUESTED: "true"})
        await world.reconcile()
        world.api.annotate("a", {CANCEL_REQUESTED: None, RETRY_REQUESTED: "1"})
        await world.reconcile()
        world.api.annotate("a", {CANCEL_REQUESTED: "true"})
        await world.reconcile()
        await write(world, phase="Pending")
        world.api.annotate("a", {CANCEL_REQUESTED: None})
        world.users.clear()
        await world.reconcile()
        await write(world, completionTime=LONG_AGO)
        await world.reconcile()
        await world.reconcile()
    events = ["submitted", "released", "followed", "cancelled", "retried by its user", "cancelled"]
    assert [line["event"] for line in lines] == [*events, "refused", "expired", "deleted"]
    assert {(line["namespace"], line["job"], line["uid"]) for line in lines} == {("default", "a", job.uid)}
    assert [line.get("phase") for line in lines if line["event"] == "cancelled"] == ["Cancelled"] * 2
    (refused,) = [line for line in lines if line["event"] == "refused"]
    (why,) = refused["refusals"]
    assert why.startswith("metadata.annotations: 'alice' is no user of this site")
