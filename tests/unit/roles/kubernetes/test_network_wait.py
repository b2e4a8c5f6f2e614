"""Which nodes role kubernetes_network waits for, with a stand-in for kubectl."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from platformctl import paths

_KUBECTL = r"""#!/bin/sh
printf '%s\n' "$*" >> "$CALLS"
case "$*" in
  *"get nodes"*) printf "$NODES" ;;
  *"get -o name"*) case "$*" in *"=$BARE") ;; *) echo pod/flannel-x ;; esac ;;
  *" wait "*"=$BARE") echo "error: no matching resources found" >&2; exit 1 ;;
esac
"""


def waits(folder: Path, nodes: str, bare: str = "none") -> list[str]:
    """What kubectl is asked to wait for. bare: a node without a pod of flannel."""
    tasks = yaml.safe_load((paths.data_dir() / "roles/kubernetes_network/tasks/flannel.yml").read_text())
    (script,) = (task["ansible.builtin.shell"] for task in tasks if "ansible.builtin.shell" in task)
    program, calls = folder / "kubectl", folder / "calls"
    program.write_text(_KUBECTL)
    program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    environment = {"PATH": path, "CALLS": str(calls), "NODES": nodes, "BARE": bare}
    subprocess.run(["sh", "-c", script], env=environment, check=True)
    return [line for line in calls.read_text().splitlines() if " get " not in f" {line} "]


def test_all_nodes_where_all_answer(tmp_path: Path) -> None:
    (wait,) = waits(tmp_path, "ctl1 True\\nn1 False\\n")  # a new node is not ready without the network
    assert "rollout status daemonset/flannel" in wait


@pytest.mark.parametrize("silent", ["n1", "n2"])
def test_a_silent_node_is_not_waited_for(tmp_path: Path, silent: str) -> None:
    nodes = "".join(f"{name} {'Unknown' if name == silent else 'True'}\\n" for name in ("ctl1", "n1", "n2"))
    found = {word.partition("=")[2] for line in waits(tmp_path, nodes) for word in line.split()[-1:]}
    assert found == {"ctl1", "n1", "n2"} - {silent}


def test_a_node_without_a_pod_is_not_waited_for(tmp_path: Path) -> None:
    found = waits(tmp_path, "ctl1 True\\nn1 Unknown\\nn2 False\\n", bare="n2")
    assert [line.rpartition("=")[2] for line in found] == ["ctl1"]
