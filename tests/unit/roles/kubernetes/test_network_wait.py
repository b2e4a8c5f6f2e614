"""Which nodes role kubernetes_network waits for, with a stand-in for kubectl."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from platformctl import paths

_KUBECTL = r"""#!/bin/sh
printf '%s\n' "$*" >> "$CALLS"
case "$*" in *"get nodes"*) printf "$NODES" ;; esac
"""


def waits(folder: Path, nodes: str) -> list[str]:
    """What kubectl is asked to wait for."""
    tasks = yaml.safe_load((paths.data_dir() / "roles/kubernetes_network/tasks/flannel.yml").read_text())
    (script,) = (task["ansible.builtin.shell"] for task in tasks if "ansible.builtin.shell" in task)
    program, calls = folder / "kubectl", folder / "calls"
    program.write_text(_KUBECTL)
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "NODES": nodes}
    subprocess.run(["sh", "-c", script], env=environment, check=True)
    return calls.read_text().splitlines()[1:]


def test_all_nodes_where_all_answer(tmp_path: Path) -> None:
    (wait,) = waits(tmp_path, "ctl1 True\\nn1 False\\n")  # a new node is not ready without the network
    assert "rollout status daemonset/flannel" in wait


@pytest.mark.parametrize("silent", ["n1", "n2"])
def test_a_silent_node_is_not_waited_for(tmp_path: Path, silent: str) -> None:
    nodes = "".join(f"{name} {'Unknown' if name == silent else 'True'}\\n" for name in ("ctl1", "n1", "n2"))
    found = {word.partition("=")[2] for line in waits(tmp_path, nodes) for word in line.split()[-1:]}
    assert found == {"ctl1", "n1", "n2"} - {silent}
