"""What a batch Job and its pods mean for a Job."""

from typing import Any

import pytest

from platformctl.router.backend import Tasks, Usage
from platformctl.router.kubernetes import states as kubernetes_states
from platformctl.router.kubernetes.states import amount, reserved, seen
from platformctl.vocabulary import Phase

THEN = "2026-01-01T00:00:00Z"


def batch(suspend: bool = False, **status: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": "x"}, "spec": {"suspend": suspend}, "status": status}


def pod(phase: str, node: str = "n1", **status: Any) -> dict[str, Any]:
    shown = {"phase": phase, "startTime": THEN, **status}
    return {"metadata": {}, "spec": {"nodeName": node}, "status": shown}


def ended(kind: str) -> list[dict[str, Any]]:
    return [{"type": kind, "status": "True", "lastTransitionTime": THEN}]


def exited(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"terminated": {"exitCode": code, "reason": reason}}}]}


def test_a_suspended_job_is_held() -> None:
    found = seen(batch(suspend=True), [])
    assert (found.held, found.phase) == (True, Phase.QUEUED)


def test_a_running_pod() -> None:
    found = seen(batch(active=1), [pod("Running")])
    assert (found.phase, found.nodes, found.started) == (Phase.RUNNING, "n1", 1767225600)


@pytest.mark.parametrize(("namespace", "more"), [("default", ""), ("team", " -n team")])
def test_its_output_is_read_by_the_name_of_the_job(namespace: str, more: str) -> None:
    there = batch(active=1)
    there["metadata"] |= {"namespace": namespace, "ownerReferences": [{"kind": "Job", "name": "pi"}]}
    assert seen(there, [pod("Running")]).output == f"platformctl job logs pi{more}"


def test_success() -> None:
    found = seen(batch(conditions=ended("Complete")), [pod("Succeeded")])
    assert (found.phase, found.exit_code, found.ended) == (Phase.SUCCEEDED, 0, 1767225600)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (exited(3), 3, "ended with an error"),
        (exited(137, "OOMKilled"), 137, "used more memory than it asked for"),
        ({"reason": "DeadlineExceeded", **exited(137)}, 137, "ran longer than its wall time"),
        ({"reason": "Evicted"}, None, "was evicted from its node"),
        ({"reason": "OutOfnvidia.com/gpu"}, None, "its node rejected it: OutOfnvidia.com/gpu"),
        ({}, None, "ended with an error"),
    ],
)
def test_failure_has_a_code_and_a_reason(status: dict[str, Any], code: int | None, reason: str) -> None:
    found = seen(batch(conditions=ended("Failed")), [pod("Failed", **status)])
    assert (found.phase, found.exit_code, found.reason) == (Phase.FAILED, code, reason)


@pytest.mark.parametrize(
    ("end", "phase", "code", "reason"),
    [
        ({"exitCode": 0}, Phase.SUCCEEDED, 0, ""),
        (
            {"exitCode": 74, "message": "cp: no a\ncannot copy a to b\n"},
            *(Phase.FAILED, 74, "it succeeded, but: cp: no a; cannot copy a to b"),
        ),
        (
            {"exitCode": 137, "reason": "OOMKilled"},
            *(Phase.FAILED, 74),
            "it succeeded, but: copying its files needs more memory than the 128Mi that it has for this",
        ),
        (
            {"exitCode": 137, "reason": "Error"},
            *(Phase.FAILED, 74),
            "it succeeded, but copying its results took longer than its terminationGracePeriodSeconds",
        ),
        (
            {"exitCode": 143},
            *(Phase.FAILED, 74, "it succeeded, but copying its results was stopped (exit code 143)"),
        ),
        (None, Phase.FAILED, 74, "it succeeded, but it is not known whether its results were copied"),
    ],
)
def test_a_job_has_succeeded_when_its_results_are_copied(
    end: dict[str, Any] | None, phase: Phase, code: int, reason: str
) -> None:
    there = batch(conditions=ended("Complete"))
    beside = "kfoundry-stage-out"
    there["spec"]["template"] = {"spec": {"initContainers": [{"name": beside}]}}
    state = {"terminated": end} if end else {"running": {}}
    found = seen(there, [pod("Succeeded", initContainerStatuses=[{"name": beside, "state": state}])])
    assert (found.phase, found.exit_code, found.reason) == (phase, code, reason)
    # A copy that certainly failed may be tried again; what may be complete is not done twice.
    assert found.done == (end is None)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"exitCode": 74, "message": "cannot copy a to b\n", "reason": "Error"}, "cannot copy a to b"),
        (
            {"exitCode": 137, "reason": "OOMKilled"},
            "copying its files needs more memory than the 128Mi that it has for this",
        ),
        ({"exitCode": 137, "reason": "Error"}, "a copy failed"),
    ],
)
def test_what_could_not_be_copied_before_the_start_is_told(end: dict[str, Any], reason: str) -> None:
    copied = [{"name": "kfoundry-stage-in", "state": {"terminated": end}}]
    waits = [{"state": {"waiting": {"reason": "PodInitializing"}}}]
    failed = pod("Failed", initContainerStatuses=copied, containerStatuses=waits)
    found = seen(batch(conditions=ended("Failed")), [failed])
    assert (found.exit_code, found.reason) == (74, reason)


def test_failure_without_a_pod_left() -> None:
    assert seen(batch(conditions=ended("Failed")), []).phase is Phase.FAILED


def test_why_it_waits_for_a_node() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "Insufficient nvidia.com/gpu"}
    found = seen(batch(active=1), [pod("Pending", node="", conditions=[unscheduled])])
    assert (found.phase, found.started) == (Phase.QUEUED, None)
    assert found.reason == "waits for a node: Insufficient nvidia.com/gpu"


def test_why_an_image_does_not_start() -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "a:b: not found"}}, "image": "a:b"}
    found = seen(batch(active=1), [pod("Pending", containerStatuses=[waiting])])
    assert found.reason == "the image a:b cannot be pulled: there is no such image"
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    assert seen(batch(active=1), [pod("Pending", containerStatuses=[starting])]).reason == ""


NEVER: dict[str, Any] = {
    "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "startedAt": None}}}]
}
DELETED = {**pod("Pending"), "metadata": {"deletionTimestamp": THEN}}


@pytest.mark.parametrize(
    ("batch", "pods", "unsettled"),
    [
        (batch(active=1), [pod("Pending")], False),
        (batch(active=1), [DELETED], True),
        (batch(active=1), [DELETED, pod("Pending")], False),
        (batch(active=1), [pod("Failed", **NEVER)], True),
        (batch(active=1), [pod("Failed", reason="Evicted")], True),
        (batch(active=1), [], True),
        (batch(suspend=True), [], False),
        (batch(conditions=ended("FailureTarget")), [pod("Pending")], True),
    ],
)
def test_a_job_that_never_ran_and_is_being_ended_is_between_two_states(
    batch: dict[str, Any], pods: list[dict[str, Any]], unsettled: bool
) -> None:
    found = seen(batch, pods)
    assert (found.phase, found.unsettled) == (Phase.QUEUED, unsettled)


def test_a_container_that_ran_and_failed_has_run() -> None:
    ran: dict[str, Any] = {
        "containerStatuses": [{"state": {"terminated": {"exitCode": 3, "startedAt": THEN}}}]
    }
    found = seen(batch(active=1), [pod("Failed", **ran)])
    assert (found.phase, found.unsettled) == (Phase.RUNNING, False)


@pytest.mark.parametrize("part", ["state", "lastState"])
def test_a_container_that_ran_on_a_node_that_died_has_run(part: str) -> None:
    left: dict[str, Any] = {"containerStatuses": [{part: {"running": {"startedAt": THEN}}}]}
    assert seen(batch(active=1), [pod("Failed", **left), pod("Pending")]).phase is Phase.RUNNING


def test_why_it_has_no_pods_at_all() -> None:
    assert seen(batch(), [], "the quota q is used up").reason == "the quota q is used up"
    assert (
        seen(batch(suspend=True), [], "waits until all 4 tasks fit").reason == "waits until all 4 tasks fit"
    )


@pytest.mark.parametrize(
    ("pods", "message", "again"),
    [
        ([("Failed", {"reason": "Evicted"})], "", True),
        ([("Failed", {"conditions": [{"type": "DisruptionTarget", "status": "True"}]})], "", True),
        ([], "Pod default/x-1 has condition DisruptionTarget matching FailJob rule at index 0", True),
        ([("Failed", {"reason": "OutOfcpu"})], "", True),
        ([("Failed", {"reason": "UnexpectedAdmissionError"})], "", True),
        ([("Failed", exited(137, "OOMKilled"))], "", False),
        ([("Failed", exited(3))], "", False),
        ([("Failed", {"reason": "DeadlineExceeded"})], "", False),
    ],
)
def test_what_another_attempt_may_mend(
    pods: list[tuple[str, dict[str, Any]]], message: str, again: bool
) -> None:
    conditions = [{**ended("Failed")[0], "message": message}]
    found = seen(batch(conditions=conditions), [pod(phase, **status) for phase, status in pods])
    assert found.again is again


def test_the_deadline_of_the_whole_batch_job() -> None:
    conditions = [{**ended("Failed")[0], "reason": "DeadlineExceeded"}]
    found = seen(batch(conditions=conditions), [])
    assert (found.overran, found.reason) == (True, "ran longer than its wall time")


def indexed(completions: int, **status: Any) -> dict[str, Any]:
    found = batch(**status)
    found["spec"] |= {"completionMode": "Indexed", "completions": completions, "parallelism": completions}
    return found


def task(index: int, phase: str, code: int | None = None, **fields: Any) -> dict[str, Any]:
    found = pod(phase, **(exited(code) if code is not None else {}), **fields)
    return {**found, "metadata": {"annotations": {"batch.kubernetes.io/job-completion-index": str(index)}}}


def test_an_array_that_runs() -> None:
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "message": "no nodes available to schedule pods",
    }
    pods = [task(0, "Succeeded", 0), task(1, "Failed", 7), task(2, "Running")]
    pods.append(task(3, "Pending", node="", conditions=[unscheduled]))
    found = seen(indexed(6, succeeded=1, failed=1), pods)
    assert found.phase is Phase.RUNNING
    assert found.tasks == Tasks(waiting=3, running=1, succeeded=1, failed=1, exit_codes=((1, 7),))
    assert found.reason == "1 of its tasks wait: waits for a node: no nodes available to schedule pods"


def test_an_array_of_which_some_failed() -> None:
    pods = [task(0, "Succeeded", 0), task(2, "Failed", 9), task(1, "Failed", 7)]
    found = seen(indexed(3, succeeded=1, failed=2, conditions=ended("Failed")), pods)
    assert (found.phase, found.exit_code) == (Phase.FAILED, 7)
    assert found.tasks == Tasks(succeeded=1, failed=2, exit_codes=((1, 7), (2, 9)))
    assert found.reason == "2 of 3 tasks failed: ended with an error"


def test_usage_is_what_was_asked_for_times_the_seconds() -> None:
    done = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:01:00Z"}}
    held = pod("Succeeded", containerStatuses=[{"state": done}])
    held["spec"]["containers"] = [
        {"resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": "2", "nvidia.com/gpu": "2"}}},
        {"resources": {}},
    ]
    found = seen(batch(conditions=ended("Complete")), [held, held])
    assert found.usage == Usage(180, 240)
    assert seen(batch(conditions=ended("Complete")), []).usage == Usage(0, 0)


def asking(cpu: str, **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([], 2),
        ([asking("1")], 2),
        ([asking("3")], 3),
        ([asking("1", restartPolicy="Always")], 3),
        ([asking("3"), asking("1", restartPolicy="Always")], 3),
        ([asking("1", restartPolicy="Always"), asking("3")], 4),
        ([asking("1", restartPolicy="Always"), asking("1", restartPolicy="Always"), {}], 4),
    ],
)
def test_a_node_keeps_what_runs_of_a_pod_at_a_time(before: list[dict[str, Any]], expected: int) -> None:
    spec = {"initContainers": before, "containers": [asking("1500m"), asking("500m")]}
    assert reserved(spec, "cpu") == expected
    assert amount(spec, "cpu") == 2


def test_a_failure_says_when_it_ended_and_what_it_used() -> None:
    failed = pod("Failed", **exited(3))
    failed["spec"]["containers"] = [{"resources": {"requests": {"cpu": "2"}}}]
    later = [{**ended("Failed")[0], "lastTransitionTime": "2026-01-01T00:00:10Z"}]
    found = seen(batch(conditions=later), [failed])
    assert (found.ended, found.usage) == (1767225610, Usage(20, 0))


def test_what_ended_well_but_was_not_copied_is_charged_too() -> None:
    there = batch(conditions=[{**ended("Complete")[0], "lastTransitionTime": "2026-01-01T00:00:10Z"}])
    there["spec"]["template"] = {"spec": {"initContainers": [{"name": "kfoundry-stage-out"}]}}
    done = pod("Succeeded")
    done["spec"]["containers"] = [{"resources": {"requests": {"cpu": "1"}}}]
    found = seen(there, [done])
    assert (found.phase, found.ended, found.usage) == (Phase.FAILED, 1767225610, Usage(10, 0))


def test_a_part_of_a_second_of_a_part_of_a_core_counts_as_one() -> None:
    done = pod("Succeeded")
    done["spec"]["containers"] = [{"resources": {"requests": {"cpu": "100m"}}}]
    end = [{**ended("Complete")[0], "lastTransitionTime": "2026-01-01T00:00:01Z"}]
    assert seen(batch(conditions=end), [done]).usage == Usage(1, 0)


def test_clocks_that_differ_and_pods_that_never_started_charge_nothing() -> None:
    early = pod("Succeeded", startTime="2026-01-01T00:01:00Z")
    never = pod("Failed", startTime=None)
    for one in (early, never):
        one["spec"]["containers"] = [{"resources": {"requests": {"cpu": "1"}}}]
    assert seen(batch(conditions=ended("Complete")), [early, never]).usage == Usage(0, 0)


def test_a_start_that_no_pod_tells_is_the_batch_jobs() -> None:
    then = {"startTime": "2025-12-31T23:59:00Z"}
    assert seen(batch(conditions=ended("Complete"), **then), []).started == 1767225540
    assert seen(batch(conditions=ended("Complete"), **then), [pod("Succeeded")]).started == 1767225600


def test_a_batch_job_that_its_controller_has_not_seen_yet_waits() -> None:
    new = {"metadata": {"namespace": "default", "name": "x"}, "spec": {"suspend": False}}
    bare = {"metadata": {}, "spec": {}}
    assert seen(new, [bare]).phase is Phase.QUEUED
    assert seen(new, []).phase is Phase.QUEUED


@pytest.mark.parametrize("counted", ["succeeded", "failed"])
def test_tasks_that_ended_and_whose_pods_are_gone_have_run(counted: str) -> None:
    assert seen(indexed(3, **{counted: 1}), []).phase is Phase.RUNNING


def test_a_pod_that_ended_before_it_was_looked_at_has_run() -> None:
    assert seen(batch(active=1), [pod("Succeeded")]).phase is Phase.RUNNING


def test_a_job_that_copied_its_files_and_then_failed_has_run() -> None:
    copied = [{"name": "kfoundry-stage-in", "state": {"terminated": {"exitCode": 0, "startedAt": THEN}}}]
    found = seen(batch(active=1), [pod("Failed", initContainerStatuses=copied)])
    assert (found.phase, found.unsettled) == (Phase.RUNNING, False)


def test_a_reason_for_having_no_pods_is_settled() -> None:
    assert not seen(batch(), [], "the quota q is used up").unsettled


def test_an_image_of_the_container_that_copies_may_be_missing_too() -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "a:b: not found"}}, "image": "a:b"}
    found = seen(batch(active=1), [pod("Pending", initContainerStatuses=[waiting])])
    assert found.reason == "the image a:b cannot be pulled: there is no such image"


def test_a_pod_that_has_a_node_does_not_wait_for_one() -> None:
    unready = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "False", "message": "containers with unready status: [a]"},
    ]
    assert seen(batch(active=1), [pod("Pending", conditions=unready)]).reason == ""


def test_the_pod_that_failed_says_why_wherever_it_stands() -> None:
    found = seen(batch(conditions=ended("Failed")), [pod("Succeeded"), pod("Failed", **exited(3))])
    assert found.exit_code == 3


def test_a_disruption_is_told_as_what_it_is() -> None:
    disrupted = {"conditions": [{"type": "DisruptionTarget", "status": "True"}], **exited(137)}
    found = seen(batch(conditions=ended("Failed")), [pod("Failed", **disrupted)])
    assert (found.again, found.reason) == (True, "lost its node, or was preempted by a more urgent job")


def test_failed_tasks_are_counted_among_all() -> None:
    pods = [task(1, "Failed", 7), task(2, "Running")]
    found = seen(indexed(9, succeeded=2, failed=1, conditions=ended("Failed")), pods)
    assert found.reason == "1 of 9 tasks failed: ended with an error"
    gone = seen(indexed(3, failed=1, conditions=ended("Failed")), [])
    assert (gone.phase, gone.exit_code) == (Phase.FAILED, None)


def test_a_copy_that_said_nothing() -> None:
    copied = [{"name": "kfoundry-stage-in", "state": {"terminated": {"exitCode": 74}}}]
    found = seen(batch(conditions=ended("Failed")), [pod("Failed", initContainerStatuses=copied)])
    assert (found.exit_code, found.reason) == (74, "a copy failed")


@pytest.mark.parametrize(("count", "end"), [(20, "n19"), (21, "n19,...")])
def test_many_nodes_are_cut_short(count: int, end: str) -> None:
    found = seen(indexed(30), [pod("Running", node=f"n{number:02}") for number in range(count)])
    assert found.nodes.endswith(f"n18,{end}")
    assert found.nodes.startswith("n00,n01,")


def test_tasks_that_nobody_has_counted_yet_wait() -> None:
    found = seen(indexed(3), [task(0, "Pending", node="")])
    assert found.tasks == Tasks(waiting=3)
    assert seen(indexed(3, succeeded=1), [task(1, "Pending", node="")]).reason == ""


def test_each_container_that_copies_speaks_for_itself() -> None:
    failed = {"terminated": {"exitCode": 74, "message": "cannot copy a to b"}}
    copied = [
        {"name": "kfoundry-stage-out", "state": {"terminated": {"exitCode": 0}}},
        {"name": "kfoundry-stage-in", "state": failed},
    ]
    found = seen(batch(conditions=ended("Failed")), [pod("Failed", initContainerStatuses=copied)])
    assert (found.exit_code, found.reason) == (74, "cannot copy a to b")


@pytest.mark.parametrize(
    ("conditions", "over"),
    [
        (ended("Complete"), True),
        (ended("Failed"), True),
        (ended("FailureTarget"), False),
        ([{**ended("Complete")[0], "status": "False"}], False),
        ([], False),
    ],
)
def test_what_is_only_about_to_end_has_not_ended(conditions: list[dict[str, Any]], over: bool) -> None:
    assert kubernetes_states.ended(batch(conditions=conditions)) is over


def test_completions_that_kubernetes_runs_again() -> None:
    """While it tries again, a failed pod is no failed completion."""
    runs = batch(succeeded=2, failed=3)
    runs["spec"] |= {"completions": 5, "parallelism": 2, "backoffLimit": 4, "completionMode": "NonIndexed"}
    found = seen(runs, [pod("Running"), pod("Failed", **exited(1))])
    assert found.tasks == Tasks(waiting=2, running=1, succeeded=2)
    over = batch(succeeded=2, failed=5, conditions=ended("Failed"))
    over["spec"] |= runs["spec"]
    assert seen(over, []).tasks == Tasks(succeeded=2, failed=3)


def test_indices_that_failed_for_good() -> None:
    runs = indexed(5, succeeded=1, failed=4, failedIndexes="0,2-3")
    runs["spec"]["backoffLimitPerIndex"] = 1
    assert seen(runs, []).tasks == Tasks(waiting=1, succeeded=1, failed=3)


def test_a_queue_of_work_has_as_many_tasks_as_run_at_once() -> None:
    runs = batch(succeeded=1)
    runs["spec"] |= {"parallelism": 3, "completionMode": "NonIndexed"}
    assert seen(runs, [pod("Running")]).tasks == Tasks(waiting=1, running=1, succeeded=1)


def test_a_failure_that_a_rule_makes_final_is_not_tried_again() -> None:
    condition = [{**ended("Failed")[0], "reason": "PodFailurePolicy"}]
    found = seen(batch(conditions=condition), [pod("Failed", **exited(42))])
    assert (found.phase, found.exit_code, found.done) == (Phase.FAILED, 42, True)
