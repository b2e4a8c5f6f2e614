"""flannel follows the address of its node: decided on nodes as the API server shows them."""

import json
from typing import Any

import pytest

from tests.unit.roles.kubernetes.plugins import load

helper = load("roles/kubernetes_control_plane/files/node_addresses.py")


class Cluster:
    """kubectl on a cluster of one node, whose kubelet and flannel answer after some questions."""

    def __init__(self, announced: str, internal: str, follows: bool = True) -> None:
        self.announced, self.internal, self.follows = announced, internal, follows
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *words: str) -> str:
        self.calls.append(words)
        if "delete" in words and self.follows:
            self.announced = self.internal
        annotations = {helper.ANNOUNCED: self.announced} if self.announced else None
        node: dict[str, Any] = {
            "metadata": {"name": "node1", "annotations": annotations},
            "status": {"addresses": [{"type": "InternalIP", "address": self.internal}]},
        }
        return json.dumps({"items": [node]})

    @property
    def deleted(self) -> bool:
        return any("delete" in words for words in self.calls)


def run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, wanted: str = "192.0.2.20") -> int:
    monkeypatch.setattr(helper, "kubectl", cluster)
    monkeypatch.setattr(helper, "WAIT_SECONDS", 0)
    return int(helper.main({"node1": wanted}))


def test_flannel_is_started_again_for_a_new_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster("192.0.2.12", "192.0.2.20")
    assert run(cluster, monkeypatch) == 0
    assert cluster.deleted
    assert capsys.readouterr().out == "moved node1\n"


@pytest.mark.parametrize("announced", ["192.0.2.20", ""])
def test_a_node_at_its_address_or_without_a_network_is_left_alone(
    announced: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(announced, "192.0.2.20")
    assert run(cluster, monkeypatch) == 0
    assert not cluster.deleted
    assert capsys.readouterr().out == ""


def test_it_waits_for_the_kubelet_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster("192.0.2.12", "192.0.2.12")
    assert run(cluster, monkeypatch) == 1
    assert not cluster.deleted
    assert "node1 does not report its address 192.0.2.20: journalctl -u kubelet" in capsys.readouterr().err


def test_a_network_that_stays_where_it_was_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Cluster("192.0.2.12", "192.0.2.20", follows=False), monkeypatch) == 1
    assert "the pod network of node1 does not use its address 192.0.2.20" in capsys.readouterr().err
