"""An inventory of a real site made into one of a lab: nothing of it may lead to the site's own hosts."""

import json
import shutil
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.plugins.loader import become_loader, connection_loader

from platformctl import paths
from platformctl.engine import loading
from platformctl.engine.fleet import Connection
from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import connection, inventory
from platformctl.site.effective import Effective
from platformctl.site.inventory import read_inventory

SLOT = IPv4Network("198.18.0.64/26")
COMMITTED = paths.data_dir() / "inventories" / "lab"
EXAMPLE = paths.data_dir() / "inventories" / "example-site"
JUMP = "-o ProxyJump=bastion.example -o ControlMaster=no"
EVERYTHING = {
    "ansible_connection": "local",
    "ansible_port": 2222,
    "ansible_user": "root",
    "ansible_password": "of the site",
    "ansible_ssh_private_key_file": "~/.ssh/id_site",
    "ansible_private_key_file": "~/.ssh/id_site",
    "ansible_ssh_args": JUMP,
    "ansible_ssh_common_args": JUMP,
    "ansible_ssh_extra_args": JUMP,
    "ansible_ssh_host": "192.0.2.99",
    "ansible_ssh_executable": "/usr/local/bin/ssh-of-the-site",
    "ansible_become": False,
    "ansible_become_method": "su",
    "ansible_become_user": "nobody",
    "ansible_become_password": "of the site",
    "ansible_python_interpreter": "/opt/python",
    "base_address": "10.9.8.7",
    "kubernetes_kubelet_address": "10.9.8.6",
    "lab_state": "/of/another/lab",
}
HOSTS = "all:\n  hosts:\n    a: {ansible_host: 192.0.2.11}\n    b: {ansible_host: 192.0.2.12}\n"


def _site(folder: Path, files: dict[str, str]) -> Path:
    for name, text in ({"hosts.yml": HOSTS} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _copied(tmp_path: Path, files: dict[str, str]) -> Path:
    inventory.copy(_site(tmp_path / "site", files), tmp_path / "copy", SLOT, tmp_path / "state")
    return tmp_path / "copy"


def _connections(folder: Path) -> dict[str, dict[str, Any]]:
    effective = Effective(read_inventory(folder))
    return {
        host: {name: value for name, value in effective.variables(host).items() if connection.concerns(name)}
        for host in effective.hosts
    }


def _expected(state: Path, hosts: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {
        host: connection.variables(str(state)) | {"ansible_host": address} for host, address in hosts.items()
    }


def _everywhere() -> dict[str, str]:
    """EVERYTHING in each place that can hold variables."""
    inline = json.dumps(EVERYTHING)
    return {
        "hosts.yml": f"""\
all:
  vars: {{<<: &shared {inline}, ansible_group_priority: 5}}
  hosts:
    a:
      ansible_host: 192.0.2.11  # the first
      ansible_connection: local
    b: {{ansible_host: 192.0.2.12, "ansible_connection": 'local', base_address: "{{{{ x_net }}}}.7"}}
    c[1:2]: {{<<: *shared}}
  children:
    rack:
      vars: *shared
      hosts: {{a: {{}}, c1: {{}}, c2: {{}}}}
""",
        "group_vars/all/site.yml": f"site_name: s\n{yaml.safe_dump(EVERYTHING)}",
        "group_vars/all/more.json": inline,
        "group_vars/all/plain": yaml.safe_dump(EVERYTHING).replace("\n", "\r\n"),
        "group_vars/all/zz/zz.yaml": yaml.safe_dump(EVERYTHING),
        "group_vars/rack.json": inline,
        "host_vars/a.yaml": "# Wo ä steht, zählen Zeichen.\n" + yaml.safe_dump(EVERYTHING),
        "host_vars/b": yaml.safe_dump(EVERYTHING),
        "host_vars/c1/zz.yml": yaml.safe_dump(EVERYTHING) + "ansible_host: 192.0.2.13\n",
        "host_vars/c2.json": json.dumps(EVERYTHING | {"ansible_host": "192.0.2.14"}),
    }


HOSTS_OF_EVERYWHERE = {
    "a": "198.18.0.75",
    "b": "198.18.0.76",
    "c1": "198.18.0.77",
    "c2": "198.18.0.78",
}


def test_nothing_of_the_sites_connections_is_left_in_any_place(tmp_path: Path) -> None:
    copied = _copied(tmp_path, _everywhere())
    assert _connections(copied) == _expected(tmp_path / "state", HOSTS_OF_EVERYWHERE)
    # The person who reads the copy sees what the site says.
    assert "x_site_ansible_connection: local" in (copied / "hosts.yml").read_text()
    assert "# the first" in (copied / "hosts.yml").read_text()
    # Not of connections, and it decides which group wins.
    assert "ansible_group_priority: 5" in (copied / "hosts.yml").read_text()


def test_ansible_itself_reads_the_copy_so(tmp_path: Path) -> None:
    copied = _copied(tmp_path, _everywhere())
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run(
        [program, "--inventory", copied, "--list"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    found = {
        host: {name: value for name, value in variables.items() if connection.concerns(name)}
        for host, variables in json.loads(done.stdout)["_meta"]["hostvars"].items()
    }
    assert found == _expected(tmp_path / "state", HOSTS_OF_EVERYWHERE)


def test_the_engines_own_commands_have_no_settings_but_the_labs(tmp_path: Path) -> None:
    copied = _copied(tmp_path, _everywhere())
    found = loading._connection("a", Effective(read_inventory(copied)).variables("a"), copied)
    assert found == Connection(
        address="198.18.0.75",
        user="ops",
        key=f"{tmp_path}/state/id_ed25519",
        arguments=(
            *("-F", "none", "-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={tmp_path}/state/known_hosts"),
        ),
    )


@pytest.mark.parametrize("place", ["all.yml", "all.yaml", "all.json", "all"])
def test_a_single_file_for_all_hosts_stays_beside_the_labs(tmp_path: Path, place: str) -> None:
    copied = _copied(tmp_path, {f"group_vars/{place}": json.dumps(EVERYTHING | {"site_name": "s"})})
    hosts = {"a": "198.18.0.75", "b": "198.18.0.76"}
    assert _connections(copied) == _expected(tmp_path / "state", hosts)
    assert Effective(read_inventory(copied)).variables("a")["site_name"] == "s"


def test_the_example_site_becomes_a_labs(tmp_path: Path) -> None:
    inventory.copy(EXAMPLE, tmp_path / "copy", SLOT, tmp_path / "state")
    found = _connections(tmp_path / "copy")
    assert len(found) == 6
    for own in found.values():
        assert IPv4Address(own["ansible_host"]) in SLOT
        assert own["ansible_connection"] == "ssh"
        assert own["ansible_ssh_private_key_file"] == "{{ lab_state }}/id_ed25519"


def test_what_is_named_by_a_second_address_moves_with_its_host(tmp_path: Path) -> None:
    copied = _copied(
        tmp_path,
        {
            "host_vars/a.yml": "base_address: 10.9.8.7\n",
            "group_vars/all/x.yml": "slurm_node_image_registry: 10.9.8.7:5000\n",
        },
    )
    found = Effective(read_inventory(copied)).variables("b")
    assert found["slurm_node_image_registry"] == "198.18.0.75:5000"


def test_what_could_not_be_set_aside_is_refused(tmp_path: Path) -> None:
    # The name that the parser gives is not in the text.
    hidden = {"host_vars/a.yml": '# A\n"ansible_\\u0063onnection": local\n'}
    with pytest.raises(PlatformError) as caught:
        _copied(tmp_path, hidden)
    assert caught.value.code is ExitCode.REFUSED
    (detail,) = caught.value.details
    assert detail.startswith("a: ansible_connection is not the lab's (")
    assert detail.endswith("host_vars/a.yml:2)")
    assert str(tmp_path / "site") in caught.value.next
    assert not (tmp_path / "copy").exists()


def test_the_committed_inventory_is_a_labs_as_it_is() -> None:
    connection.check(COMMITTED, IPv4Network("198.51.100.0/26"), connection.IN_PLACE, "")


@pytest.mark.parametrize(
    ("place", "text", "named"),
    [
        ("host_vars/node1.yml", "ansible_connection: local\n", "node1: ansible_connection"),
        ("host_vars/node1.yml", "ansible_host: 203.0.113.9\n", "node1: ansible_host"),
        ("host_vars/node1.yml", "ansible_host: '{{ x_address }}'\n", "node1: ansible_host"),
        (
            "host_vars/node1.yml",
            "ansible_become_password: not to be shown\n",
            "node1: ansible_become_password",
        ),
        ("host_vars/node1.yml", "base_address: 203.0.113.9\n", "node1: base_address"),
        ("group_vars/slurm.yml", f"ansible_ssh_common_args: {JUMP}\n", "ctl1: ansible_ssh_common_args"),
        ("group_vars/all/connection.yml", "ansible_user: ops\n", "ctl1: ansible_connection"),
        ("other.ini", "ctl1 ansible_connection=local\n", "second inventory"),
    ],
)
def test_a_changed_inventory_of_a_lab_is_refused(tmp_path: Path, place: str, text: str, named: str) -> None:
    changed = tmp_path / "inventory"
    shutil.copytree(COMMITTED, changed, ignore=shutil.ignore_patterns("secrets.vault"))
    (changed / place).parent.mkdir(exist_ok=True)
    (changed / place).write_text(text)
    with pytest.raises(PlatformError) as caught:
        connection.check(
            changed, IPv4Network("198.51.100.0/26"), connection.IN_PLACE, "platformctl lab down --name x"
        )
    assert caught.value.code is ExitCode.REFUSED
    assert caught.value.where == str(changed)
    assert caught.value.next == "platformctl lab down --name x"
    assert named in str(caught.value)
    assert "not to be shown" not in str(caught.value)


def test_all_that_ansible_reads_for_a_connection_is_the_labs() -> None:
    """A variable of a later Ansible that this rule misses would be left in the copies of sites."""
    names = set()
    for loader, name in ((connection_loader, "ssh"), (connection_loader, "local"), (become_loader, "sudo")):
        text = Path(loader.find_plugin(name)).read_text()
        documentation = yaml.safe_load(text.split('DOCUMENTATION = """', 1)[1].split('"""', 1)[0])
        for option in documentation["options"].values():
            names |= {variable["name"] for variable in option.get("vars", ())}
    assert len(names) > 20
    assert {name for name in names if not connection.concerns(name)} == {"inventory_hostname"}
