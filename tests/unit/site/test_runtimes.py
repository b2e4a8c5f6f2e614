"""Runtime classes: what their rows become, and what contradicts itself in them."""

from collections.abc import Callable
from typing import Any

import pytest

from platformctl.site import runtimes
from tests.unit.site.conftest import Sandbox

GVISOR: dict[str, Any] = {
    "name": "sandboxed",
    "kind": "gvisor",
    "nodes": ["safe"],
    "overhead": {"memory": "64Mi"},
}
YOUKI: dict[str, Any] = {
    "name": "youki",
    "programs": ["/usr/local/bin/youki"],
    "options": {"BinaryName": "/usr/local/bin/youki"},
}
OWN_USERS: dict[str, Any] = {"name": "own-users", "kind": "rootless", "nodes": ["n2"]}
ROWS = {"kubernetes_runtime_classes": [GVISOR, YOUKI, OWN_USERS]}
NODE = {"kubernetes_node", "containerd"}


def test_a_host_has_the_classes_of_its_groups_and_those_of_all_nodes() -> None:
    def names(host: str, *groups: str) -> list[str]:
        return [row.name for row in runtimes.of_host(ROWS, host, groups)]

    assert names("n1", *NODE, "safe") == ["sandboxed", "youki"]
    assert names("n2", *NODE) == ["youki", "own-users"]
    assert names("ctl1", "kubernetes_control_plane", "containerd", "safe") == []
    assert runtimes.labels(ROWS, "n1", {*NODE, "safe"}) == {
        "runtimes.platformctl.io/sandboxed": "present",
        "runtimes.platformctl.io/youki": "present",
    }


def test_containerd_has_a_section_for_each_handler_that_is_not_runc() -> None:
    youki = {"SystemdCgroup": True, "BinaryName": "/usr/local/bin/youki"}
    assert runtimes.containerd(ROWS, "n1", {*NODE, "safe"}, True) == [
        {"handler": "sandboxed", "type": "io.containerd.runsc.v1", "options": {}},
        {"handler": "youki", "type": "io.containerd.runc.v2", "options": youki},
    ]
    assert [one["handler"] for one in runtimes.containerd(ROWS, "n2", NODE, False)] == ["youki"]


def test_what_debian_has_is_installed() -> None:
    rows = {"kubernetes_runtime_classes": [{"name": "small", "kind": "crun"}, GVISOR]}
    assert runtimes.packages(rows, "n1", {*NODE, "safe"}) == ["crun"]


def test_the_cluster_knows_which_classes_no_node_may_run() -> None:
    members = {"kubernetes_node": ["n1", "n2"], "safe": []}
    found = {one["name"]: one for one in runtimes.objects(ROWS, members)}
    assert {name: one["hosts"] for name, one in found.items()} == {"sandboxed": 0, "youki": 2, "own-users": 1}
    assert found["sandboxed"]["missing"].endswith("names safe")
    assert found["own-users"]["handler"] == "runc"
    assert found["own-users"]["namespaces"]
    none = runtimes.objects({"kubernetes_runtime_classes": [YOUKI | {"nodes": []}]}, members)
    assert none[0]["missing"].endswith("names nothing")


Spoil = Callable[[list[dict[str, Any]]], object]
CASES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "two classes of one name": ([YOUKI, YOUKI], "[1].name", "another class has this name"),
    "nodes that there are not": ([YOUKI | {"nodes": ["node7"]}], "[0].nodes[0]", "node7 is neither a host"),
    "nothing that preflight could look for": (
        [{"name": "a"}],
        "[0]",
        "says nothing of what a node must have",
    ),
    "the handler of all other pods": (
        [YOUKI | {"handler": "runc"}],
        "[0].handler",
        "the handler of all pods without a class",
    ),
    "one handler with two meanings": (
        [YOUKI, YOUKI | {"name": "b", "handler": "youki", "options": {}}],
        "[1].handler",
        "another class has handler youki",
    ),
    "a kind that nobody knows": ([YOUKI | {"kind": "docker"}], "[0].kind", ""),
    "an overhead that is no quantity": (
        [YOUKI | {"overhead": {"cpu": "some"}}],
        "[0].overhead.cpu",
        "quantity",
    ),
    "a name that is no label": ([YOUKI | {"name": "You_ki"}], "[0].name", ""),
    "a name that is too long for a label": (
        [YOUKI | {"name": ".".join(["a" * 40] * 2)}],
        "[0].name",
        "longer",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_contradiction_is_one_mistake_with_its_place(sandbox: Sandbox, case: str) -> None:
    rows, key, problem = CASES[case]
    sandbox.vars["kubernetes_runtime_classes"] = rows
    found = sandbox.only()
    assert found.key == f"kubernetes_runtime_classes{key}"
    assert problem in found.problem


def test_classes_of_hosts_groups_and_of_a_group_that_is_still_empty(sandbox: Sandbox) -> None:
    sandbox.groups["safe"] = []
    sandbox.vars["kubernetes_runtime_classes"] = [
        GVISOR,
        YOUKI | {"nodes": ["node1"]},
        YOUKI | {"name": "b", "handler": "youki"},
    ]
    assert sandbox.mistakes() == []
