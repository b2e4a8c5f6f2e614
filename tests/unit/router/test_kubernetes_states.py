"""What a batch Job and its pods mean for a Job."""

from typing import Any

import pytest

from platformctl.router.backend import Phase
from platformctl.router.kubernetes import seen

THEN = "2026-01-01T00:00:00Z"


def batch(suspend: bool = False, **status: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": "x"}, "spec": {"suspend": suspend}, "status": status}


def pod(phase: str, node: str = "n1", **status: Any) -> dict[str, Any]:
    return {"spec": {"nodeName": node}, "status": {"phase": phase, "startTime": THEN, **status}}


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
        ({}, None, "ended with an error"),
    ],
)
def test_failure_has_a_code_and_a_reason(status: dict[str, Any], code: int | None, reason: str) -> None:
    found = seen(batch(conditions=ended("Failed")), [pod("Failed", **status)])
    assert (found.phase, found.exit_code, found.reason) == (Phase.FAILED, code, reason)


def test_failure_without_a_pod_left() -> None:
    assert seen(batch(conditions=ended("Failed")), []).phase is Phase.FAILED


def test_why_it_waits_for_a_node() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "Insufficient nvidia.com/gpu"}
    found = seen(batch(active=1), [pod("Pending", node="", conditions=[unscheduled])])
    assert (found.phase, found.started) == (Phase.QUEUED, None)
    assert found.reason == "waits for a node: Insufficient nvidia.com/gpu"


def test_why_an_image_does_not_start() -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    found = seen(batch(active=1), [pod("Pending", containerStatuses=[waiting])])
    assert found.reason == "ErrImagePull: not found"
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    assert seen(batch(active=1), [pod("Pending", containerStatuses=[starting])]).reason == ""
