"""What a node lacks for its runtime classes."""

from dataclasses import replace
from typing import Any

import pytest

from platformctl.engine.checking import runtime_classes
from platformctl.engine.checking.findings import Level
from platformctl.engine.checking.preflight import judge
from tests.ansible_files import load
from tests.unit.engine.checking.test_preflight import subject

ROWS: list[dict[str, Any]] = [
    {"name": "gvisor", "kind": "gvisor"},
    {"name": "kata", "kind": "kata", "nodes": ["n9"]},
    {"name": "small", "kind": "crun"},
]
GROUPS = frozenset({"kubernetes_node", "containerd"})


def errors(rows: list[dict[str, Any]], **parts: Any) -> list[tuple[str, str]]:
    asked = replace(subject(parts=parts), groups=GROUPS, variables={"kubernetes_runtime_classes": rows})
    found = [one for one in judge([asked]) if one.level is Level.ERROR]
    assert {one.check for one in found} <= {"runtime class"}
    return [(one.found, one.remedy) for one in found]


def test_a_host_is_asked_for_what_its_own_classes_need_and_platformctl_does_not_bring() -> None:
    asked = runtime_classes.question({"kubernetes_runtime_classes": ROWS}, "n1", GROUPS)
    assert asked == {
        "programs": ["runsc", "containerd-shim-runsc-v1"],
        "devices": [],
        "containerd": False,
    }
    kata = runtime_classes.question({"kubernetes_runtime_classes": ROWS}, "n9", GROUPS)
    assert kata["devices"] == ["/dev/kvm"]
    assert runtime_classes.question({"kubernetes_runtime_classes": ROWS}, "ctl1", ())["programs"] == []


def test_a_host_that_has_all_is_fine() -> None:
    assert errors(ROWS, no_programs=[], no_nodes=[]) == []


def test_what_is_missing_is_named_with_where_it_comes_from() -> None:
    ((found, remedy),) = errors(ROWS, no_programs=["runsc"])
    assert found == "gvisor needs runsc, and the host has no such thing"
    assert "gvisor.dev" in remedy
    ((found, remedy),) = errors([{"name": "kata", "kind": "kata"}], no_nodes=["/dev/kvm"])
    assert found.startswith("kata needs /dev/kvm")
    assert "hardware virtualisation" in remedy


@pytest.mark.parametrize(
    ("version", "fine"), [("1.7.24~ds1", False), ("2.0.5", True), ("2.2.0~rc1", True), ("", True)]
)
def test_users_of_a_pods_own_need_containerd_2(version: str, fine: bool) -> None:
    found = errors([{"name": "own", "kind": "rootless"}], containerd=version, namespaces=9)
    assert (found == []) == fine


def test_a_kernel_without_user_namespaces() -> None:
    ((found, _),) = errors([{"name": "own", "kind": "rootless"}], containerd="2.0", namespaces=0)
    assert found == "own needs user namespaces, and the kernel allows none"


def test_the_probe_looks_where_containerd_does() -> None:
    probe = load("roles/preflight/library/host_probe.py")
    answer = probe._parts(
        {"programs": ["sh", "no-such-program", "/bin/sh"], "devices": ["/dev/null", "/dev/none"]}
    )
    assert answer["no_programs"] == ["no-such-program"]
    assert answer["no_nodes"] == ["/dev/none"]
    assert answer["containerd"] == ""
