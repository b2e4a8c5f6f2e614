"""A Job runs exactly once: what the router submits, adopts, records and releases, and in which order."""

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
import structlog

from platformctl.clients.kubernetes import ConflictError
from platformctl.jobs.model import Policy, Priority, Queue, Target
from platformctl.jobs.tokens import parse_token
from platformctl.router.backend import Busy, Claim, Refused, Seen, Ticket, Unavailable
from platformctl.router.breaker import Circuit, CircuitOpenError
from platformctl.router.job import submission
from platformctl.router.job.routing_rules import Rule
from platformctl.router.loop import metrics
from platformctl.router.loop.queue import RetryLater
from platformctl.vocabulary import CANCEL_REQUESTED, RETRY_REQUESTED, Phase
from tests.fakes.scheduler import Scheduler
from tests.integration.router.faults import Executioner
from tests.unit.router.world import World

# Choose, submit, read back, write, release; where nothing is ever forgotten nothing is read back.
STEPS = {False: 5, True: 4}
DURABLE = pytest.mark.parametrize("durable", [False, True], ids=["copies", "durable"])
LATE = pytest.mark.parametrize("late", [False, True], ids=["before", "after"])


def world_of(durable: bool) -> World:
    return World(Scheduler(Target.KUBERNETES if durable else Target.SLURM, durable=durable))


def count(result: str) -> float:
    found = metrics.REGISTRY.get_sample_value(
        "job_router_submissions_total", {"backend": "slurm", "result": result}
    )
    return found or 0.0


def circuit_open(sent: bool) -> CircuitOpenError:
    return CircuitOpenError(Circuit(lambda _key: None, 1), "slurmctld is away", sent)


async def test_a_job_is_held_read_back_recorded_and_then_released() -> None:
    world = World()
    world.api.log = world.slurm.log
    world.submit()
    await world.reconcile()
    assert world.slurm.log == ["unfit", "submit_held", "read", "status", "release"]
    (run,) = world.slurm.jobs.values()
    token = parse_token(world.slurm.started[0])
    assert token == run.ticket.claim.token
    assert token is not None
    assert len(token.copy) == 8
    found = world.status()
    assert {name: found[name] for name in ("phase", "reason", "backend", "backendId", "attempt", "user")} == {
        "phase": "Pending",
        "reason": "",
        "backend": "slurm",
        "backendId": "1",
        "attempt": 1,
        "user": "alice",
    }
    assert found["copy"] == token.copy
    assert "queue" not in found
    assert found["decision"] == "slurm: asked for by spec.target"
    assert world.conditions() == {"Accepted": ("True", "Accepted"), "Released": ("False", "Submitted")}


async def test_where_nothing_is_forgotten_nothing_is_read_back_and_there_is_no_copy() -> None:
    world = world_of(durable=True)
    world.api.log = world.slurm.log
    world.submit()
    await world.reconcile()
    assert world.slurm.log == ["unfit", "submit_held", "status", "release"]
    assert "copy" not in world.status()
    assert world.status()["backendId"] == "default/a-1"


@pytest.mark.parametrize(("reread_after", "seconds"), [(None, 5.0), (2.0, 2.0), (60.0, 5.0)])
async def test_the_first_word_after_the_release_is_asked_for_soon(
    reread_after: float | None, seconds: float
) -> None:
    world = World(Scheduler(reread_after=reread_after))
    world.submit()
    assert await world.reconcile() == seconds


@DURABLE
@LATE
async def test_killed_at_every_step(durable: bool, late: bool) -> None:
    for step in range(STEPS[durable]):
        world = world_of(durable)
        world.submit()
        assert await world.killed(Executioner(step, late))
        await world.settle()
        await world.sweep()
        assert len(world.slurm.started) == 1, f"step {step}"
        assert world.slurm.held() == [], f"step {step}"
        assert world.status()["phase"] == "Running", f"step {step}"


@DURABLE
@LATE
async def test_killed_twice(durable: bool, late: bool) -> None:
    for first, second in itertools.product(range(STEPS[durable] + 1), repeat=2):
        world = world_of(durable)
        world.submit()
        await world.killed(Executioner(first, late))
        await world.killed(Executioner(second, not late))
        await world.settle()
        await world.sweep()
        assert len(world.slurm.started) == 1, f"steps {first} and {second}"
        assert world.slurm.held() == [], f"steps {first} and {second}"


async def test_deletion_waits_for_the_router_before_anything_is_submitted() -> None:
    world = World()
    world.api.log = world.slurm.log
    world.submit(guarded=False)
    await world.reconcile()
    assert world.slurm.log[:3] == ["unfit", "finalizers", "submit_held"]
    assert world.api.job("a").guarded
    assert len(world.slurm.started) == 1


async def test_a_job_that_was_lost_before_it_was_recorded_is_submitted_again() -> None:
    world = World()
    world.submit()
    await world.killed(Executioner(1, late=True))
    world.slurm.forget("1")
    await world.settle()
    assert len(world.slurm.started) == 1


async def test_an_id_that_means_another_job_by_now_is_not_recorded() -> None:
    """The back end answers, forgets, and gives the id to a stranger before the job is read back."""

    class Forgetful(Scheduler):
        async def submit_held(self, ticket: Ticket) -> str:
            job_id = await super().submit_held(ticket)
            if job_id == "1":
                token = replace(ticket.claim.token, uid="0" * 36)
                self.jobs[job_id].ticket = replace(ticket, claim=replace(ticket.claim, token=token))
            return job_id

    world = World(Forgetful())
    world.submit()
    with pytest.raises(RetryLater, match="lost"):
        await world.reconcile()
    assert "backendId" not in world.status()
    await world.settle()
    assert world.status()["backendId"] == "2"
    assert len(world.slurm.started) == 1
    assert world.slurm.held() == ["1"]


async def test_what_was_read_too_long_ago_is_read_again_before_the_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Meanwhile the back end may have forgotten the job and given its id to another."""
    monkeypatch.setattr(submission, "VERIFIED_FOR", 0.02)
    world = World()
    write = world.api.merge

    async def slow(where: str, patch: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return await write(where, patch)

    monkeypatch.setattr(world.api, "merge", slow)
    world.submit()
    assert await world.reconcile() == 0.0
    assert world.slurm.started == []
    assert world.status()["backendId"] == "1"
    world.slurm.log.clear()
    await world.reconcile()
    assert world.slurm.log == ["read", "release"]
    assert len(world.slurm.started) == 1


async def test_where_nothing_is_forgotten_the_release_does_not_hang_on_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(submission, "VERIFIED_FOR", 0.0)
    world = world_of(durable=True)
    world.submit()
    await world.reconcile()
    assert len(world.slurm.started) == 1


async def test_a_job_that_somebody_released_meanwhile_is_not_released_by_its_id_again() -> None:

    class Hasty(Scheduler):
        async def read(self, claim: Claim, job_id: str) -> Seen | None:
            return Seen(held=False, phase=Phase.RUNNING)

    world = World(Hasty())
    world.submit()
    assert await world.reconcile() == 0.0
    assert "release" not in world.slurm.log
    assert world.status()["backendId"] == "1"


async def test_two_routers_record_one_job_and_the_sweep_ends_the_other() -> None:
    world = World()
    old = world.submit()
    await world.reconcile()
    world.restart()
    with pytest.raises(RetryLater, match="modified"):
        await world.router.reconcile(old)
    assert list(world.slurm.jobs) == ["1", "2"]
    assert len(world.slurm.started) == 1
    await world.sweep()
    assert world.slurm.held() == []
    assert world.slurm.jobs["1"].seen.phase is Phase.RUNNING


async def test_after_a_lost_answer_the_copy_is_adopted() -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", Unavailable("no answer"), carried_out=True)
    with pytest.raises(RetryLater):
        await world.reconcile()
    await world.reconcile()
    assert list(world.slurm.jobs) == ["1"]
    assert world.status()["backendId"] == "1"
    assert world.status()["copy"] == world.slurm.jobs["1"].ticket.claim.token.copy
    assert world.slurm.started == [str(world.slurm.jobs["1"].ticket.claim.token)]


async def test_after_a_request_that_never_arrived_it_is_submitted() -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", Unavailable("no answer"))
    with pytest.raises(RetryLater):
        await world.reconcile()
    await world.reconcile()
    assert world.slurm.log.count("find") == 1
    assert len(world.slurm.started) == 1


@pytest.mark.parametrize("error", [Busy("MaxJobCount"), circuit_open(sent=False)])
async def test_whoever_was_turned_away_left_no_copy_to_look_for(error: Unavailable) -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", error)
    await world.settle(times=2)
    assert "find" not in world.slurm.log
    assert len(world.slurm.started) == 1


async def test_a_request_that_was_sent_may_have_left_a_copy_though_the_circuit_opened() -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", circuit_open(sent=True), carried_out=True)
    await world.settle(times=2)
    assert list(world.slurm.jobs) == ["1"]
    assert len(world.slurm.started) == 1


async def test_a_copy_that_a_lost_answer_left_is_not_forgotten_when_the_next_is_turned_away() -> None:
    """The first request is carried out only after the second was answered."""
    world = World()
    world.submit()
    world.slurm.fail("submit_held", Unavailable("no answer"))
    await world.settle(times=1)
    world.slurm.fail("submit_held", Busy("MaxJobCount"))
    await world.settle(times=1)
    world.slurm.log.clear()
    await world.settle(times=1)
    assert world.slurm.log == ["unfit", "find", "submit_held", "read", "release"]


async def test_what_was_recorded_is_no_longer_unsure() -> None:
    """Else each retry of an array of thousands would ask for copies that are not there."""
    world = World()
    world.submit(retries=1)
    world.slurm.fail("submit_held", Unavailable("no answer"))
    await world.settle(times=3)
    world.slurm.end("1", Phase.FAILED, exit_code=1)
    world.slurm.log.clear()
    await world.settle(times=2)
    assert world.status()["attempt"] == 2
    assert "submit_held" in world.slurm.log
    assert "find" not in world.slurm.log


async def test_what_was_refused_is_no_longer_unsure() -> None:
    world = World()
    world.submit()
    world.slurm.fail("submit_held", Refused("the partition is closed"))
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    world.api.annotate("a", {RETRY_REQUESTED: "1"})
    await world.settle()
    assert "find" not in world.slurm.log
    assert len(world.slurm.started) == 1


async def test_a_job_that_is_gone_is_no_longer_unsure() -> None:
    world = World()
    job = world.submit()
    world.slurm.fail("submit_held", Unavailable("no answer"))
    await world.settle(times=1)
    await world.api.delete("/apis/kfoundry.io/v1alpha1/namespaces/default/jobs/a")
    await world.settle()
    assert not world.api.exists("a")
    assert await world.router.reconcile(job) is None
    world.slurm.log.clear()
    world.api.create("a", job.spec, uid=job.uid, annotations=job.metadata["annotations"])
    await world.reconcile()
    assert "find" not in world.slurm.log


async def test_what_the_back_end_will_never_take_is_refused() -> None:
    world = World()
    before = count("refused")
    world.submit()
    world.slurm.fail("submit_held", Refused("the partition is closed"))
    assert await world.reconcile() is None
    assert (world.status()["phase"], world.status()["reason"]) == ("Refused", "spec: the partition is closed")
    assert world.conditions() == {"Accepted": ("False", "Refused"), "Finished": ("True", "Refused")}
    assert world.slurm.jobs == {}
    assert count("refused") == before + 1


async def test_submissions_are_counted_by_their_end() -> None:
    world = World()
    before = count("accepted"), count("unavailable")
    world.submit()
    world.slurm.fail("submit_held", Unavailable("no answer"))
    await world.settle(times=2)
    assert (count("accepted"), count("unavailable")) == (before[0] + 1, before[1] + 1)


async def test_what_is_wrong_with_a_job_refuses_it_and_nothing_is_submitted() -> None:
    world = World()
    world.submit(walltime="soon")
    assert await world.reconcile() is None
    assert world.status()["phase"] == "Refused"
    assert "spec.walltime" in world.status()["reason"]
    assert world.slurm.log == []


async def test_a_queue_that_does_not_take_the_job_refuses_it() -> None:
    world = World()
    world.queues["short"] = Queue("short", max_walltime=60)
    world.submit(queue="short", walltime="2h")
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "at most 0:01:00" in world.status()["reason"]
    assert world.slurm.log == []


async def test_the_queue_that_took_the_job_is_recorded_and_told_to_the_back_end() -> None:
    world = World()
    world.queues["short"] = Queue("short", partition="fast")
    world.submit(queue="short")
    await world.reconcile()
    assert world.status()["queue"] == "short"
    assert world.slurm.jobs["1"].ticket.queue == world.queues["short"]


async def test_a_job_that_can_run_nowhere_is_refused() -> None:
    world = World()
    world.slurm.barred = "no node has 9 GPUs"
    world.submit(target="auto")
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "no node has 9 GPUs" in world.status()["reason"]
    assert world.slurm.jobs == {}


@pytest.mark.parametrize("spec", [{}, {"suspend": True}], ids=["now", "behind a gate"])
async def test_a_rule_of_the_site_keeps_a_job_from_where_it_wants_to_go(spec: dict[str, Any]) -> None:
    world = World()
    world.rules = [Rule(refuse=(Target.SLURM,), because="it is being moved")]
    world.restart()
    world.submit(**spec)
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "it is being moved" in world.status()["reason"]
    assert world.slurm.jobs == {}


async def test_a_class_of_the_site_is_told_to_the_back_end() -> None:
    world = World()
    world.policy = Policy({"urgent": Priority(qos="high")})
    world.restart()
    world.submit(priorityClassName="urgent")
    await world.reconcile()
    assert world.slurm.jobs["1"].ticket.job.priority == Priority(qos="high")


async def test_every_request_is_made_as_the_jobs_user() -> None:
    world = World()
    await world.run()
    world.api.annotate("a", {CANCEL_REQUESTED: "true"})
    await world.settle()
    assert {"submit_held", "read", "release", "cancel"} <= set(world.slurm.log)
    assert world.slurm.asked_as == {"alice"}


async def test_every_line_of_the_log_says_which_job_it_is_about() -> None:
    world = World()
    with structlog.testing.capture_logs() as lines:
        job = await world.run()
    assert [line["event"] for line in lines] == ["submitted", "released", "followed"]
    assert (lines[-1]["phase"], lines[-1]["reason"]) == ("Running", "")
    for line in lines:
        about = {name: line[name] for name in ("namespace", "job", "uid", "backend", "backend_id")}
        assert about == {
            **{"namespace": "default", "job": "a", "uid": job.uid},
            **{"backend": "slurm", "backend_id": "1"},
        }


async def test_a_closed_gate_keeps_a_job_back_and_says_why_once() -> None:
    world = World()
    world.submit(suspend=True)
    assert await world.reconcile() == 300.0
    assert world.slurm.jobs == {}
    assert (world.status()["phase"], world.status()["reason"]) == ("Pending", "is suspended by its user")
    assert world.conditions() == {"Accepted": ("True", "Accepted"), "Released": ("False", "Waiting")}
    world.api.log.clear()
    assert await world.reconcile() == 300.0
    assert world.api.log == []


async def test_a_job_behind_a_gate_that_can_run_nowhere_is_told_so_now() -> None:
    world = World()
    world.slurm.barred = "no node has 9 GPUs"
    world.submit(suspend=True, target="auto")
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "no node has 9 GPUs" in world.status()["reason"]


async def test_a_job_behind_a_gate_waits_though_the_back_end_is_away() -> None:
    world = World()
    world.slurm.fail("unfit", Unavailable("slurmctld is away"))
    world.submit(suspend=True, target="auto")
    assert await world.reconcile() == 300.0
    assert world.status()["reason"] == "is suspended by its user"


async def test_a_gate_that_never_opens_refuses_the_job() -> None:
    world = World()
    world.submit(dependsOn=[{"name": "a"}])
    await world.reconcile()
    assert world.status()["phase"] == "Refused"
    assert "wait for each other" in world.status()["reason"]
    assert world.slurm.jobs == {}


async def test_a_write_that_is_refused_leaves_nothing_released() -> None:
    world = World()
    world.submit()
    world.api.failing.append(ConflictError(409, "Conflict", "modified"))
    with pytest.raises(RetryLater):
        await world.reconcile()
    assert world.slurm.started == []
    await world.settle()
    await world.sweep()
    assert len(world.slurm.started) == 1
    assert world.slurm.held() == []
