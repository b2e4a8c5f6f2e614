"""What runtime classes become on hosts and in the cluster: containerd's file, labels, objects, policies."""

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths
from tests.ansible_files import load, rendered

containerd = load("roles/containerd/filter_plugins/runtimes.py")
parts = load("roles/kubernetes_kubelet/filter_plugins/node_parts.py")
addons = load("roles/kubernetes_addons/filter_plugins/runtime_classes.py")
ROWS: list[dict[str, Any]] = [
    {"name": "gvisor", "kind": "gvisor", "overhead": {"memory": "64Mi"}},
    {"name": "second", "programs": ["/opt/runc"], "options": {"BinaryName": "/opt/runc"}, "nodes": ["n1"]},
    {"name": "own-users", "kind": "rootless", "nodes": ["later"]},
]
HOSTS: dict[str, dict[str, Any]] = {
    name: {"kubernetes_runtime_classes": ROWS, "group_names": ["containerd", "kubernetes_node"]}
    for name in ("n1", "n2")
}
GROUPS = {"all": ["ctl1", "n1", "n2"], "kubernetes_node": ["n1", "n2"], "later": []}


def config(host: str) -> dict[str, Any]:
    """containerd's file of a host."""
    text = rendered(
        "roles/containerd/templates/config.toml.j2",
        _containerd_pause="pause:1",
        _containerd_cdi=False,
        _containerd_runtimes=containerd.containerd_runtimes(HOSTS[host], host, False),
        containerd_restrict_oom_score_adj=False,
        containerd_systemd_cgroup=False,
    )
    found: dict[str, Any] = tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]
    return found


def test_containerd_has_the_runtimes_of_the_host_beside_the_usual_one() -> None:
    first, second = config("n1"), config("n2")
    assert first["default_runtime_name"] == "runc"
    assert first["runtimes"].keys() == {"runc", "gvisor", "second"}
    assert second["runtimes"].keys() == {"runc", "gvisor"}
    assert first["runtimes"]["gvisor"] == {"runtime_type": "io.containerd.runsc.v1"}
    assert first["runtimes"]["second"]["options"] == {"SystemdCgroup": False, "BinaryName": "/opt/runc"}


def test_nodes_are_labelled_with_their_runtimes() -> None:
    lines = parts.kubernetes_node_labels(["n1", "n2"], HOSTS).splitlines()
    assert lines == [
        "n1 runtimes.platformctl.io/gvisor=present",
        "n1 runtimes.platformctl.io/second=present",
        "n2 runtimes.platformctl.io/gvisor=present",
    ]


def objects(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the cluster gets, by kind and name."""
    text = rendered(
        "roles/kubernetes_addons/templates/runtime-classes.yaml.j2",
        _kubernetes_addons_runtimes=addons.kubernetes_runtime_objects(rows, GROUPS),
    )
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}


def test_the_cluster_sends_pods_to_the_nodes_that_have_the_runtime() -> None:
    found = objects(ROWS)
    gvisor = found["RuntimeClass", "gvisor"]
    assert gvisor["handler"] == "gvisor"
    assert gvisor["overhead"] == {"podFixed": {"memory": "64Mi"}}
    assert gvisor["scheduling"]["nodeSelector"] == {"runtimes.platformctl.io/gvisor": "present"}
    assert "overhead" not in found["RuntimeClass", "second"]
    own = found["RuntimeClass", "own-users"]
    assert own["handler"] == "runc"
    assert own["metadata"]["annotations"]["platformctl.io/missing"].endswith("names later")


def test_only_classes_without_nodes_are_refused_and_only_those_of_that_kind_changed() -> None:
    found = objects(ROWS)
    for binding, chosen in (("Validating", {"own-users"}), ("Mutating", {"own-users"})):
        ((_, bound),) = [item for item in found.items() if item[0][0] == f"{binding}AdmissionPolicyBinding"]
        wanted = bound["spec"]["paramRef"]["selector"]["matchLabels"]
        assert bound["spec"]["paramRef"]["parameterNotFoundAction"] == "Allow"
        matched = {
            name
            for (kind, name), one in found.items()
            if kind == "RuntimeClass" and wanted.items() <= one["metadata"]["labels"].items()
        }
        assert matched == chosen
    assert not any(kind.startswith("Mutating") for kind, _ in objects(ROWS[:2]))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("a,b", ["apply --force -f -", "delete runtimeclasses", "platformctl.io/class notin (a,b)"]),
        ("", ["delete runtimeclasses,mutatingadmissionpolicies", "validatingadmissionpolicybindings"]),
    ],
)
def test_classes_of_rows_that_are_gone_are_removed(tmp_path: Path, names: str, words: list[str]) -> None:
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    script = (paths.data_dir() / "roles/kubernetes_addons/files/runtime_classes.sh").read_text()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "-c", script, "runtime_classes", names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert all(word in done.stdout for word in words)
    assert ("apply" in done.stdout) == bool(names)
