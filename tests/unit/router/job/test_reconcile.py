"""What a look makes of a Job that may run: its news, its next attempt, and what it says of an outage."""

import asyncio
from typing import Any

import pytest

from platformctl.clients.kubernetes import ConflictError
from platformctl.jobs.model import Target
from platformctl.router.backend import Refused, Seen, Tasks, Unavailable
from platformctl.router.breaker import Circuit, CircuitOpenError
from platformctl.router.job.resource import JobStore
from platformctl.router.loop.queue import Key, RetryLater
from platformctl.vocabulary import EXPLAIN_REQUESTED, FINALIZER, Phase
from tests.fakes.scheduler import Scheduler
from tests.integration.router.faults import Executioner
from tests.unit.router.world import World

PATH = "/apis/kfoundry.io/v1alpha1/namespaces/default/jobs/a"
AWAY = "slurmctld is away"


def quiet(world: World) -> None:
    """Forget what was asked so far."""
    world.api.log.clear()
    world.slurm.log.clear()


@pytest.mark.parametrize("reread_after", [None, 7.0])
async def test_a_running_job_is_followed_and_written_once(reread_after: float | None) -> None:
    world = World(Scheduler(reread_after=reread_after))
    await world.run()
    quiet(world)
    assert await world.reconcile() == reread_after
    assert (world.slurm.log, world.api.log) == (["read"], [])
    assert world.conditions() == {"Accepted": ("True", "Accepted"), "Released": ("True", "Released")}


async def test_a_job_that_ended_says_how() -> None:
    world = World()
    await world.run()
    world.slurm.end("1", Phase.FAILED, exit_code=3, reason="ended badly", ended=1200, nodes="n1", output="/x")
    assert await world.reconcile() is None
    found = world.status()
    assert {name: found[name] for name in ("phase", "exitCode", "reason", "nodes", "output")} == {
        "phase": "Failed",
        "exitCode": 3,
        "reason": "ended badly",
        "nodes": "n1",
        "output": "/x",
    }
    assert found["completionTime"] == "1970-01-01T00:20:00Z"
    assert world.conditions()["Finished"] == ("True", "Failed")
    quiet(world)
    assert await world.reconcile() is None
    assert (world.slurm.log, world.api.log) == ([], [])


async def test_a_job_that_ends_is_deleted_in_time_without_another_word() -> None:
    world = World()
    await world.run(ttlAfterFinished="1h")
    world.slurm.end("1", Phase.SUCCEEDED, ended=None)
    left = await world.reconcile()
    assert left is not None
    assert 3590 < left <= 3600


async def test_a_router_that_died_before_the_release_is_followed_by_one_that_releases() -> None:
    world = World()
    world.submit()
    await world.killed(Executioner(4))
    assert world.slurm.started == []
    quiet(world)
    assert await world.reconcile() == 5.0
    assert world.slurm.log == ["read", "release"]
    assert len(world.slurm.started) == 1


async def test_a_job_that_its_user_holds_in_the_back_end_later_stays_held() -> None:
    """scontrol hold, or a requeue: only what was never released is the router's to release."""
    world = World()
    world.submit()
    await world.reconcile()
    world.slurm.jobs["1"].seen = Seen(held=False, phase=Phase.QUEUED, reason="waits for a node")
    await world.reconcile()
    assert world.status()["phase"] == "Queued"
    world.slurm.jobs["1"].seen = Seen(held=True, phase=Phase.QUEUED, reason="is held by its user")
    quiet(world)
    await world.reconcile()
    assert "release" not in world.slurm.log
    assert world.status()["reason"] == "is held by its user"


async def test_a_job_that_the_back_end_forgot_may_have_run_and_is_not_started_again() -> None:
    world = World()
    await world.run(retries=3)
    world.slurm.forget("1")
    await world.settle()
    assert world.status()["phase"] == "Failed"
    assert "may have run, so it is not started again" in world.status()["reason"]
    assert world.conditions()["Finished"] == ("True", "Lost")
    assert len(world.slurm.started) == 1
    assert world.slurm.jobs == {}


async def test_another_submission_under_the_recorded_id_is_not_ours() -> None:
    """It came by the id of the one that ran and was forgotten: to release it would run the Job twice."""
    world = World()
    world.submit()
    await world.killed(Executioner(3, late=True))
    assert world.status()["backendId"] == "1"
    ticket = world.slurm.jobs["1"].ticket
    world.slurm.forget("1")
    other = type(ticket.claim)(ticket.claim.token.another_submission(), "default", "a", "alice")
    await world.slurm.submit_held(type(ticket)(other, ticket.job, ticket.user))
    await world.settle()
    assert world.slurm.started == []
    assert "may have run" in world.status()["reason"]
    await world.sweep()
    assert world.slurm.held() == []


async def test_a_failed_attempt_is_followed_by_the_next_until_none_is_left() -> None:
    world = World()
    await world.run(retries=1)
    world.slurm.end("1", Phase.FAILED, exit_code=2, reason="ended with code 2")
    assert await world.reconcile() == 0.0
    assert (world.status()["phase"], world.status()["attempt"]) == ("Pending", 2)
    assert world.status()["reason"] == "attempt 1 of 2 failed: ended with code 2"
    assert "backendId" not in world.status()
    await world.settle(times=2)
    assert world.status()["backendId"] == "2"
    world.slurm.end("2", Phase.FAILED, exit_code=4, reason="ended with code 4")
    await world.settle()
    assert (world.status()["phase"], world.status()["attempt"], world.status()["exitCode"]) == (
        "Failed",
        2,
        4,
    )
    (first,) = world.status()["attempts"]
    assert (first["attempt"], first["backendId"], first["exitCode"]) == (1, "1", 2)
    assert len(world.slurm.started) == 2


@pytest.mark.parametrize(
    ("end", "again"),
    [
        ({"phase": Phase.FAILED}, True),
        ({"phase": Phase.FAILED, "overran": True}, False),
        ({"phase": Phase.FAILED, "overran": True, "again": True}, True),
        ({"phase": Phase.FAILED, "again": True}, True),
        ({"phase": Phase.SUCCEEDED}, False),
        ({"phase": Phase.CANCELLED}, False),
    ],
)
async def test_what_is_worth_another_attempt(end: dict[str, Any], again: bool) -> None:
    world = World()
    await world.run(retries=1)
    world.slurm.end("1", **end)
    await world.settle()
    assert len(world.slurm.started) == (2 if again else 1)
    assert world.status().get("attempt") == (2 if again else 1)


async def test_a_job_whose_user_has_left_is_not_tried_again() -> None:
    world = World()
    await world.run(retries=1)
    del world.users["alice"]
    world.slurm.end("1", Phase.FAILED, exit_code=2)
    await world.settle()
    assert (world.status()["phase"], world.status()["attempt"], world.status()["exitCode"]) == (
        "Failed",
        1,
        2,
    )


async def test_the_end_of_an_attempt_is_written_once_though_two_routers_see_it() -> None:
    world = World()
    await world.run(retries=5)
    world.slurm.end("1", Phase.FAILED, exit_code=2)
    old = world.api.job("a")
    await world.reconcile()
    world.restart()
    with pytest.raises(RetryLater):
        await world.router.reconcile(old)
    assert world.status()["attempt"] == 2


async def test_an_outage_is_said_once_and_forgotten_afterwards() -> None:
    world = World()
    await world.run()
    quiet(world)
    for _ in range(3):
        world.slurm.fail("read", Unavailable(AWAY))
        with pytest.raises(RetryLater, match=AWAY):
            await world.reconcile()
    assert world.api.log == ["status"]
    assert (world.status()["phase"], world.status()["reason"]) == ("Running", AWAY)
    assert world.conditions()["Reachable"] == ("False", "BackendUnavailable")
    await world.reconcile()
    assert world.status()["reason"] == ""
    assert "Reachable" not in world.conditions()


async def test_a_new_job_that_meets_an_outage_is_pending_and_says_why() -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", Unavailable(AWAY))
    with pytest.raises(RetryLater):
        await world.reconcile()
    assert (world.status()["phase"], world.status()["reason"]) == ("Pending", AWAY)


async def test_an_outage_is_said_though_the_look_wrote_something_before() -> None:
    world = World()
    world.submit(guarded=False)
    world.slurm.fail("submit_held", Unavailable(AWAY))
    with pytest.raises(RetryLater, match=AWAY):
        await world.reconcile()
    assert world.status()["reason"] == AWAY
    assert world.api.job("a").guarded


async def test_an_outage_changes_nothing_of_a_job_that_has_ended_meanwhile() -> None:
    world = World()
    await world.run()
    old = world.api.job("a")
    world.slurm.end("1", Phase.SUCCEEDED)
    await world.reconcile()
    before = world.status()
    world.slurm.fail("read", Unavailable(AWAY))
    with pytest.raises(RetryLater):
        await world.router.reconcile(old)
    assert world.status() == before


async def test_an_outage_says_nothing_in_a_later_job_of_the_same_name() -> None:
    world = World()
    await world.run()
    old = world.api.job("a")
    world.submit()
    world.slurm.fail("read", Unavailable(AWAY))
    with pytest.raises(RetryLater):
        await world.router.reconcile(old)
    assert world.status() == {}


async def test_what_an_outage_cannot_say_is_tried_again_like_the_rest() -> None:
    world = World()
    await world.run()
    world.slurm.fail("read", Unavailable(AWAY))
    world.api.failing += [ConflictError(409, "Conflict", "modified")] * 2
    with pytest.raises(RetryLater):
        await world.reconcile()
    assert world.status()["reason"] == ""


async def test_a_back_end_that_the_site_gave_up_leaves_its_jobs_as_they_are() -> None:
    world = World()
    await world.run()
    del world.backends[Target.SLURM]
    world.restart()
    quiet(world)
    for _ in range(2):
        assert await world.reconcile() == 600.0
    assert (world.status()["phase"], world.status()["reason"]) == (
        "Running",
        "this site no longer has slurm",
    )
    assert world.api.log == ["status"]


async def test_while_the_circuit_is_open_jobs_are_parked_and_told_one_after_the_other() -> None:
    woken: list[Key] = []
    circuit = Circuit(woken.append, 1)
    world = World()
    for name in ("a", "b", "c"):
        world.submit(name)
        world.slurm.fail("submit_held", CircuitOpenError(circuit, AWAY, sent=False))
    assert await world.reconcile("a") == 600.0
    second, third = await world.reconcile("b"), await world.reconcile("c")
    assert second is not None
    assert third is not None
    assert 0 < second <= 0.02 < third <= 0.04
    assert (world.status("a")["reason"], world.status("b"), world.status("c")) == (AWAY, {}, {})
    world.slurm.fail("submit_held", CircuitOpenError(circuit, AWAY, sent=False))
    assert await world.reconcile("a") == 600.0
    circuit._release(9)
    assert woken == [("default", name) for name in ("a", "b", "c")]


async def test_a_job_that_is_deleted_in_an_outage_says_what_else_helps_and_says_it_once() -> None:
    world = World()
    await world.run()
    world.slurm.fail("read", Unavailable(AWAY))
    await world.settle(times=1)
    await world.api.delete(PATH)
    quiet(world)
    for _ in range(3):
        # Such words have their turns, fifty a second.
        await asyncio.sleep(0.025)
        world.slurm.fail("cancel", Unavailable(AWAY))
        await world.settle(times=1)
    assert FINALIZER in world.status()["reason"]
    assert world.api.log == ["status"]


async def test_a_job_that_is_gone_needs_no_more_looks() -> None:
    world = World()
    job = world.submit(guarded=False)
    await world.api.delete(PATH)
    assert await world.router.reconcile(job) is None


async def test_whoever_asks_is_told_why_a_job_waits() -> None:
    world = World(Scheduler(reread_after=60.0))
    world.submit()
    await world.reconcile()
    world.slurm.jobs["1"].seen = Seen(held=False, phase=Phase.QUEUED)
    await world.reconcile()
    world.api.annotate("a", {EXPLAIN_REQUESTED: "2026-01-01T00:00:00Z"})
    assert await world.reconcile() == 60.0
    answer = world.status()["explanation"]
    assert answer["requested"] == "2026-01-01T00:00:00Z"
    assert answer["sentences"][0] == "Job 1 waits for a node."
    quiet(world)
    await world.reconcile()
    assert "explain" not in world.slurm.log
    world.api.annotate("a", {EXPLAIN_REQUESTED: "2026-01-01T00:00:01Z"})
    seconds = await world.reconcile()
    assert seconds is not None
    assert 0 < seconds <= 5.0
    assert world.status()["explanation"] == answer


async def test_a_job_that_nobody_has_looked_at_yet_is_explained_after_the_first_look() -> None:
    world = World()
    world.submit(suspend=True)
    world.api.annotate("a", {EXPLAIN_REQUESTED: "now"})
    assert await world.reconcile() == 1.0
    assert "explanation" not in world.status()
    await world.reconcile()
    assert world.status()["explanation"]["sentences"] == ["It is Pending: is suspended by its user."]


async def test_a_job_of_a_user_who_left_or_of_a_back_end_that_is_gone_is_explained_by_its_status() -> None:
    world = World()
    await world.run()
    world.slurm.jobs["1"].seen = Seen(held=False, phase=Phase.QUEUED)
    await world.reconcile()
    del world.users["alice"]
    world.api.annotate("a", {EXPLAIN_REQUESTED: "now"})
    await world.reconcile()
    assert world.status()["explanation"]["sentences"][0] == "It is Queued."
    api: Any = world.api
    await JobStore(api).write_status(world.api.job("a"), {"explanation": None})
    del world.backends[Target.SLURM]
    world.restart()
    await world.reconcile()
    assert world.status()["explanation"]["sentences"][0] == "It is Queued."


@pytest.mark.parametrize("spec", [{"managedBy": "example.org/other"}, {}], ids=["foreign", "deleting"])
async def test_what_is_not_the_routers_any_more_is_not_explained(spec: dict[str, Any]) -> None:
    world = World()
    world.submit(suspend=True, **spec)
    await world.reconcile()
    world.api.annotate("a", {EXPLAIN_REQUESTED: "now"})
    if not spec:
        await world.api.delete(PATH)
    quiet(world)
    await world.reconcile()
    assert "status" not in world.api.log


async def test_a_release_that_the_back_end_refuses_ends_the_job_with_its_words() -> None:
    world = World()
    world.submit()
    await world.killed(Executioner(4))
    world.slurm.fail("release", Refused("the script is not what it was"))
    await world.settle()
    assert world.status()["phase"] == "Refused"
    assert "the script is not what it was" in world.status()["reason"]
    assert world.slurm.started == []
    assert world.slurm.held() == []


async def test_a_job_whose_results_alone_may_be_missing_is_not_run_again() -> None:
    world = World()
    await world.run(retries=3)
    world.slurm.end("1", Phase.FAILED, exit_code=74, reason="ended well, but", done=True)
    await world.settle()
    assert (world.status()["phase"], world.status()["reason"]) == ("Failed", "ended well, but")
    assert len(world.slurm.started) == 1


def indexed(**more: Any) -> dict[str, Any]:
    container = {"name": "a", "image": "b", "command": ["true"]}
    return {
        "target": "slurm",
        "template": {"spec": {"containers": [container]}},
        "completions": 4,
        "completionMode": "Indexed",
        "script": None,
        **more,
    }


async def test_the_next_attempt_has_only_the_elements_that_failed() -> None:
    world = World()
    await world.run(**indexed(backoffLimit=1))
    tasks = Tasks(succeeded=2, failed=2, exit_codes=((1, 3), (3, 3)), lost=(1, 3), done=(0, 2))
    world.slurm.end("1", Phase.FAILED, exit_code=3, reason="ended with an error", tasks=tasks)
    await world.settle()
    assert (world.status()["attempt"], world.status()["remaining"]) == (2, "1,3")
    array = world.slurm.jobs["2"].ticket.job.array
    assert array is not None
    assert array.indices == (1, 3)


async def test_rules_of_a_failure_policy_decide_about_attempts() -> None:
    rules = [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
    ]
    world = World()
    await world.run(retries=1, podFailurePolicy={"rules": rules})
    for number in ("1", "2"):
        world.slurm.end(number, Phase.FAILED, exit_code=7, reason="ended with code 7")
        await world.settle()
    assert (world.status()["attempt"], world.status()["backendId"]) == (3, "3")
    world.slurm.end("3", Phase.FAILED, exit_code=42, reason="ended with code 42")
    await world.settle()
    assert (world.status()["phase"], world.status()["attempt"]) == ("Failed", 3)


async def test_an_array_ends_as_soon_as_its_success_policy_is_met() -> None:
    world = World()
    await world.run(**indexed(successPolicy={"rules": [{"succeededIndexes": "2", "succeededCount": 1}]}))
    tasks = Tasks(running=2, succeeded=2, done=(0, 2))
    world.slurm.jobs["1"].seen = Seen(False, Phase.RUNNING, tasks=tasks)
    with pytest.raises(RetryLater, match="successPolicy"):
        await world.reconcile()
    assert world.slurm.jobs["1"].seen.phase is Phase.CANCELLED
    await world.settle()
    assert (world.status()["phase"], world.status()["exitCode"]) == ("Succeeded", 0)
