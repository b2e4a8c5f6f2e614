"""Which addresses the control plane signs for a kubelet, as Ansible evaluates them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from platformctl import paths

INVENTORY = """
[kubernetes_control_plane]
cp1 ansible_host=192.0.2.1
[kubernetes_node]
w1 ansible_host=192.0.2.2 base_address=198.51.100.2
w2 ansible_host=192.0.2.3 base_address=198.51.100.3 kubernetes_kubelet_address=203.0.113.3
[all:vars]
site_domain=site.internal
"""


def test_a_kubelet_may_name_the_address_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(INVENTORY)
    variables = paths.data_dir() / "roles/kubernetes_kubelet/vars/main.yml"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"),
            "cp1",
            f"--inventory={tmp_path / 'hosts'}",
            f"--extra-vars=@{variables}",
            "--module-name=ansible.builtin.debug",
            "--args=var=_kubernetes_kubelet_inventory",
        ],
        env=os.environ | {"ANSIBLE_LOCAL_TEMP": str(tmp_path), "ANSIBLE_STDOUT_CALLBACK": "minimal"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.partition("=>")[2])["_kubernetes_kubelet_inventory"]
    assert {name: entry["addresses"] for name, entry in found.items()} == {
        "cp1": ["192.0.2.1"],
        "w1": ["198.51.100.2"],
        "w2": ["203.0.113.3"],
    }
