from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths, site

EXAMPLE = paths.data_dir() / "inventories" / "example-site"
LAB = paths.data_dir() / "inventories" / "lab"


class Sandbox:
    """A small valid inventory that a test spoils, and the mistakes found then.

    lab: whether it is one of a lab, which may have the addresses and users of examples.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = True
        self.hosts: dict[str, Any] = {
            "ctl1": {"ansible_host": "192.0.2.11"},
            "node1": {"ansible_host": "192.0.2.12", "node_owner": "kubernetes"},
            "node2": {"ansible_host": "192.0.2.13", "node_owner": "slurm"},
        }
        self.groups: dict[str, Any] = {
            "registry": ["ctl1"],
            "containerd": ["ctl1", "node1"],
            "kubernetes_control_plane": ["ctl1"],
            "kubernetes_node": ["node1"],
            "munge": ["ctl1", "node2"],
            "slurm_accounting": ["ctl1"],
            "slurm_controller": ["ctl1"],
            "slurm_rest": ["ctl1"],
            "slurm_node": ["node2"],
        }
        self.vars: dict[str, Any] = {
            "site_name": "tiny",
            "site_domain": "tiny.example",
            "kubernetes_pod_network": "10.244.0.0/16",
            "kubernetes_service_network": "10.96.0.0/12",
            "slurm_cluster_name": "tiny",
            "slurm_partitions": [{"name": "main", "nodes": "all", "default": True}],
            "users_groups": [{"name": "physics", "gid": 20001}],
            "users_accounts": [
                {"name": "alice", "uid": 10001, "groups": ["physics"], "slurm_account": "physics"},
                {"name": "bob", "uid": 10002},
            ],
            "artifacts_source": "modules",
        }

    def write(self) -> Path:
        children = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in self.groups.items()}
        marks = {"vars": {"lab_state": "/nowhere"}} if self.lab else {}
        self.text("hosts.yml", yaml.safe_dump({"all": {"hosts": self.hosts, "children": children, **marks}}))
        self.text("group_vars/all/main.yml", yaml.safe_dump(self.vars))
        return self.folder

    def text(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def mistakes(self) -> list[site.Mistake]:
        return site.check(self.write())

    def only(self) -> site.Mistake:
        found = self.mistakes()
        assert len(found) == 1, "\n".join(map(str, found))
        return found[0]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "inventory")


@pytest.fixture(autouse=True)
def own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys of vaults never go to the person's own folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    return tmp_path / "config" / "platformctl" / "keys"
