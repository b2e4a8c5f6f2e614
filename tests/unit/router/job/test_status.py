import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Refusal, User
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Seen, Tasks, Ticket, Usage
from platformctl.router.job import status
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import Phase

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")
TICKET = Ticket(Claim(Token("lab", "u", 1), "default", "a", "alice"), JobSpec(script="#!/bin/sh\n"), ALICE)


def job(**status_fields: object) -> JobResource:
    return JobResource({"metadata": {"generation": 3}, "status": status_fields})


def conditions(changes: dict[str, object]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in changes["conditions"]}  # type: ignore[attr-defined]


def test_a_refusal_names_every_reason_and_ends_the_job() -> None:
    changes = status.refused(job(), [Refusal("spec.a", "x"), Refusal("spec.b", "y")])
    assert (changes["phase"], changes["reason"]) == (Phase.REFUSED, "spec.a: x; spec.b: y")
    assert conditions(changes) == {"Accepted": ("False", "Refused"), "Finished": ("True", "Refused")}
    assert changes["completionTime"]


def test_a_thousand_refusals_stay_short() -> None:
    changes = status.refused(job(), [Refusal(f"spec.x{n}", "y" * 100) for n in range(1000)])
    assert len(changes["reason"]) <= 1024
    assert changes["conditions"][0]["message"].endswith("and 968 more")


def test_conditions_keep_their_time_until_they_flip() -> None:
    old = {
        "type": "Accepted",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    changes = status.submitted(job(conditions=[old]), TICKET, "slurm", "why", "7")
    accepted = next(item for item in changes["conditions"] if item["type"] == "Accepted")
    assert accepted["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert accepted["observedGeneration"] == 3
    flipped = status.refused(job(conditions=[old]), [Refusal("spec", "x")])
    assert flipped["conditions"][0]["lastTransitionTime"] != "2020-01-01T00:00:00Z"


def test_what_is_known_already_is_not_written_again() -> None:
    seen = Seen(held=False, phase=Phase.RUNNING, started=1, nodes="n1", output="/x")
    first = job()
    changes = status.changed(first, status.followed(first, seen))
    second = job(**changes)
    assert status.changed(second, status.followed(second, seen)) == {}


def test_a_back_end_that_answers_again_loses_its_condition() -> None:
    away = status.unavailable(job(), "slurmctld is away")
    assert conditions(away) == {"Reachable": ("False", "BackendUnavailable")}
    back = status.followed(job(**away), Seen(held=False, phase=Phase.RUNNING))
    assert conditions(back) == {}
    assert back["reason"] == ""


def test_the_first_word_after_the_release_confirms_it() -> None:
    seen = Seen(held=False, phase=Phase.QUEUED, estimated_start=86400)
    confirmed = status.followed(job(backendId="7"), seen)
    assert conditions(confirmed) == {"Released": ("True", "Released")}
    assert confirmed["estimatedStart"] == "1970-01-02T00:00:00Z"
    assert conditions(status.followed(job(), seen)) == {}


def test_what_a_job_waited_for_until_its_wall_time_was_over_is_kept() -> None:
    over = Seen(False, Phase.FAILED, "ran longer than its wall time", overran=True)
    waits = "Kubernetes: cannot pull the image nowhere.example/x"
    never = status.followed(job(phase="Queued", reason=waits, backendId="7"), over)
    assert never["reason"] == f"ran longer than its wall time; until then: {waits}"
    ran = status.followed(job(phase="Running", reason="", backendId="7"), over)
    assert ran["reason"] == "ran longer than its wall time"
    failed = status.followed(job(phase="Queued", reason=waits, backendId="7"), Seen(False, Phase.FAILED, "x"))
    assert failed["reason"] == "x"


@pytest.mark.parametrize(("phase", "kept"), [("Queued", True), ("Running", True), ("Pending", False)])
def test_what_was_said_holds_while_its_back_end_is_between_two_states(phase: str, kept: bool) -> None:
    unsettled = Seen(False, Phase.QUEUED, nodes="n1", unsettled=True)
    found = status.followed(job(phase=phase, reason="waits", backendId="7"), unsettled)
    assert ("phase" not in found and "reason" not in found) == kept
    assert conditions(found)["Released"] == ("True", "Released")


def test_an_attempt_becomes_history_and_its_usage_is_kept() -> None:
    tasks = Tasks(succeeded=1, failed=2, exit_codes=((1, 3), (2, 4)))
    seen = Seen(False, Phase.FAILED, "ended with an error", 3, 60, 120, "n1", tasks=tasks, usage=Usage(40, 2))
    first = job(
        phase="Running",
        backend="slurm",
        backendId="7",
        copy="0a1b2c3d",
        usage={"cpuSeconds": 2, "gpuSeconds": 0},
    )
    ended = status.followed(first, seen)
    assert (ended["tasks"]["failed"], ended["exitCodes"]) == (
        2,
        [{"index": 1, "code": 3}, {"index": 2, "code": 4}],
    )
    assert ended["usage"] == {"cpuSeconds": 42, "gpuSeconds": 2}
    changes = status.another_attempt(first, ended, "again")
    assert changes["attempts"] == [
        {
            "attempt": 1,
            "backend": "slurm",
            "backendId": "7",
            "phase": "Failed",
            "reason": "ended with an error",
            "exitCode": 3,
            "startTime": "1970-01-01T00:01:00Z",
            "completionTime": "1970-01-01T00:02:00Z",
            "nodes": "n1",
        }
    ]
    assert (changes["attempt"], changes["phase"], changes["usage"]) == (2, "Pending", ended["usage"])
    gone = {"backend", "backendId", "copy", "decision", "queue", "nodes", "output", "tasks", "estimatedStart"}
    gone |= {"exitCode", "exitCodes", "startTime", "completionTime", "remaining"}
    assert {key for key, value in changes.items() if value is None} == gone
    assert changes["reason"] == "again"


def test_conditions_of_an_attempt_end_with_it() -> None:
    away = job(**status.unavailable(job(), "slurmctld is away"), backendId="7")
    failed = Seen(False, Phase.FAILED, "x")
    ended = status.followed(away, failed)
    assert conditions(ended) == {"Released": ("True", "Released"), "Finished": ("True", "Failed")}
    again = status.another_attempt(away, ended, "again")
    assert conditions(again) == {"Released": ("False", "Retrying")}
    finished = job(**status.followed(job(backendId="7"), failed))
    assert conditions(status.another_attempt(finished, {}, "again")) == {"Released": ("False", "Retrying")}


def test_whoever_submits_or_cancels_has_reached_the_back_end() -> None:
    away = job(**status.unavailable(job(), "slurmctld is away"))
    assert set(conditions(status.submitted(away, TICKET, "slurm", "why", "7"))) == {"Accepted", "Released"}
    assert set(conditions(status.cancelled(away, "was cancelled", None))) == {"Finished"}


def test_a_guess_of_the_start_is_given_only_while_a_job_waits() -> None:
    running = status.followed(job(), Seen(held=False, phase=Phase.RUNNING, estimated_start=86400))
    assert running["estimatedStart"] is None
    assert status.cancelled(job(), "was cancelled", None)["estimatedStart"] is None


def test_tasks_are_counted_by_what_became_of_them() -> None:
    tasks = Tasks(waiting=4, running=3, succeeded=2, failed=1)
    found = status.followed(job(), Seen(held=False, phase=Phase.RUNNING, tasks=tasks))
    assert found["tasks"] == {"waiting": 4, "running": 3, "succeeded": 2, "failed": 1}
    assert found["exitCodes"] is None


def test_times_are_of_utc_wherever_the_router_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        found = status.followed(job(), Seen(False, Phase.SUCCEEDED, started=3600, ended=7200))
        now = status.cancelled(job(), "was cancelled", None)["completionTime"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (found["startTime"], found["completionTime"]) == ("1970-01-01T01:00:00Z", "1970-01-01T02:00:00Z")
    assert abs(datetime.fromisoformat(now).timestamp() - time.time()) < 60


def test_the_status_says_of_which_generation_it_is() -> None:
    assert status.waiting(job(), "is suspended")["observedGeneration"] == 3


def test_the_history_has_an_end() -> None:
    old = job(attempt=20, attempts=[{"attempt": number} for number in range(9, 20)])
    numbers = [item["attempt"] for item in status.another_attempt(old, {}, "again")["attempts"]]
    assert numbers == list(range(10, 21))


def test_an_interactive_job_says_how_it_is_entered_while_it_runs() -> None:
    raw = job(backend="slurm", backendId="17").raw
    interactive = JobResource({**raw, "spec": {"interactive": True}})
    running = status.followed(interactive, Seen(held=False, phase=Phase.RUNNING))
    assert running["reason"] == "enter it with: srun --jobid=17 --overlap --pty bash"
    spec = {"interactive": True}
    ways: tuple[tuple[dict[str, Any], str], ...] = (({}, "bash"), ({"template": {}}, "sh"))
    for more, shell in ways:
        there = JobResource({**job(backend="kubernetes", backendId="team/a-1").raw, "spec": spec | more})
        reason = status.followed(there, Seen(held=False, phase=Phase.RUNNING))["reason"]
        assert reason == f"enter it with: kubectl exec -it -n team job/a-1 -- {shell}"
    ended = status.followed(interactive, Seen(held=False, phase=Phase.SUCCEEDED))
    assert ended["reason"] == ""


def test_the_file_that_a_job_names_is_known_at_once_and_stays() -> None:
    spec = JobSpec(script="#!/bin/sh\n", slurm={"output": "logs/%x-%j.out", "jobName": "fit"})
    changes = status.submitted(job(), replace(TICKET, job=spec), "slurm", "why", "17")
    assert changes["output"] == "/home/alice/logs/fit-17.out"
    submitted = JobResource({"metadata": {}, "spec": {"slurm": {"output": "x"}}, "status": changes})
    seen = Seen(held=False, phase=Phase.RUNNING, output="/home/alice/logs/%x-17.out")
    assert "output" not in status.followed(submitted, seen)
    elsewhere = status.submitted(job(), replace(TICKET, job=spec), "kubernetes", "why", "default/a")
    assert "output" not in elsewhere
    on_kubernetes = JobResource(
        {"metadata": {}, "spec": {"slurm": {"output": "x"}}, "status": {"backend": "kubernetes"}}
    )
    assert status.followed(on_kubernetes, seen)["output"] == seen.output


def test_a_job_with_rdma_has_a_condition_that_says_which() -> None:
    fast = replace(TICKET, job=replace(TICKET.job, rdma={"rdma/hca": "1"}))
    changes = status.submitted(job(), fast, "kubernetes", "why", "7")
    assert conditions(changes)["Transport"] == ("True", "RDMA")
    # The next attempt may be of a job without.
    again = status.submitted(job(conditions=changes["conditions"]), TICKET, "kubernetes", "why", "8")
    assert "Transport" not in conditions(again)
