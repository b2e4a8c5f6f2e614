"""Kubernetes' side against an API that is played: the condition of the node."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from platformctl.site import devices
from tests.unit.roles.device_health.package import module

kubernetes = module("kubernetes")
UnansweredError = module("follower").UnansweredError
WHY = "platformctl: device fault: nvidia0: Xid 79"


class Api:
    """One node; conditions: None if there is no such node."""

    def __init__(self) -> None:
        self.conditions: list[dict[str, Any]] | None = [{"type": "Ready", "status": "True"}]
        self.patches = 0

    def run(self, words: Sequence[str], data: str) -> str:
        assert words[0] == "kubectl"
        if "get" in words:
            node = {"metadata": {"resourceVersion": "7"}, "status": {"conditions": self.conditions}}
            return "" if self.conditions is None else json.dumps(node)
        assert "--raw=/api/v1/nodes/n1/status" in words
        self.patches += 1
        written = json.loads(data)
        assert written["metadata"]["resourceVersion"] == "7"
        self.conditions = written["status"]["conditions"]
        return ""


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def kubelet(tmp_path: Path) -> Path:
    path = tmp_path / "kubelet.conf"
    path.touch()
    return path


def test_the_condition_has_the_reason_until_the_fault_is_over(api: Api, kubelet: Path) -> None:
    node = kubernetes.Node("n1", kubelet, api.run)
    assert node.bring("") is None
    assert api.patches == 0
    assert node.bring(WHY) == kubernetes.SETTLED_SECONDS
    node.bring(WHY)
    assert api.patches == 1
    assert api.conditions
    assert [one["type"] for one in api.conditions] == ["Ready", devices.DEVICE_FAULT]
    assert (api.conditions[1]["status"], api.conditions[1]["message"]) == ("True", WHY)
    node.bring("")
    assert [one["status"] for one in api.conditions] == ["True", "False"]


def test_a_host_that_is_no_node_now_is_left_alone(api: Api, tmp_path: Path, kubelet: Path) -> None:
    assert kubernetes.Node("n1", tmp_path / "none", api.run).bring(WHY) == kubernetes.SETTLED_SECONDS
    api.conditions = None
    assert kubernetes.Node("n1", kubelet, api.run).bring(WHY) == kubernetes.SETTLED_SECONDS
    assert kubernetes.Node("n1", kubelet, api.run).bring("") is None
    assert api.patches == 0


def test_an_answer_that_is_none_is_asked_again(kubelet: Path) -> None:
    with pytest.raises(UnansweredError):
        kubernetes.Node("n1", kubelet, lambda _words, _data: "no JSON").bring(WHY)
