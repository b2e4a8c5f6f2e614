"""From an inventory to the fleet: values that are encrypted by themselves are opened, and stay secret."""

import shutil
from pathlib import Path

import pytest
import yaml

from platformctl import paths
from platformctl.engine.loading import evaluated, load
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets
from tests.vaulted import encrypted, site_key


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's inventory with secrets of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(secrets.KEY_VARIABLE, raising=False)
    found = tmp_path / "site"
    ignored = shutil.ignore_patterns(secrets.VAULT_NAME)
    shutil.copytree(paths.data_dir() / "inventories/lab", found, ignore=ignored)
    secrets.ensure(found)
    return found


def write(inventory: Path, text: str) -> None:
    (inventory / "group_vars/all/more.yml").write_text(text)


def test_a_vaulted_password_is_opened_and_kept_out_of_logs(inventory: Path) -> None:
    write(inventory, encrypted("ansible_become_password", "open sesame", site_key(inventory)))
    fleet = load(inventory)
    assert {host.connection.become_password for host in fleet.hosts.values()} == {"open sesame"}
    assert "open sesame" in fleet.secrets


def test_vaulted_values_are_opened_wherever_they_stand(inventory: Path) -> None:
    text = encrypted("site_domain", "site.example", site_key(inventory))
    write(inventory, f"base_packages:\n  - {text.partition(': ')[2]}")
    fleet = load(inventory)
    assert fleet.variables["base_packages"] == ["site.example"]
    assert "site.example" in fleet.secrets


def test_all_values_that_do_not_open_are_named(inventory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("another key\n")
    names = ("ansible_become_password", "ansible_ssh_common_args", "x_own")
    write(inventory, "".join(encrypted(name, "closed", other) for name in names))
    with pytest.raises(PlatformError) as refused:
        load(inventory)
    assert refused.value.code == ExitCode.INVALID
    # What is the site's own is nothing of ours.
    assert [line.partition(":")[0] for line in refused.value.details] == list(names[:2])
    assert f"--vault-password-file {site_key(inventory)}" in refused.value.next


def test_a_value_that_stays_closed_does_not_hinder_jinja_in_others(inventory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("another key\n")
    write(inventory, encrypted("x_own", "closed", other) + 'x_user: carol\nansible_user: "{{ x_user }}"\n')
    assert {host.connection.user for host in load(inventory).hosts.values()} == {"carol"}


def test_variables_are_evaluated_when_they_are_read(inventory: Path) -> None:
    write(
        inventory,
        "x_rack: 7\nx_uid: 10009\nbase_address: \"{{ ansible_host | replace('.', '-') }}\"\n"
        'x_users: [{name: dora, uid: "{{ x_uid }}"}]\nshared_home_kubernetes: "{{ x_rack != 7 }}"\n'
        'x_facts: "{{ ansible_facts.hostname }}"\n',
    )
    fleet = evaluated(load(inventory))
    assert fleet.variables["x_users"] == [{"name": "dora", "uid": 10009}]
    assert yaml.safe_dump(fleet.variables["x_users"]) == "- name: dora\n  uid: 10009\n"
    assert fleet.variables["shared_home_kubernetes"] is False
    assert fleet.variables["x_rack"] == 7
    assert "x_none" not in fleet.variables
    for host in fleet.hosts.values():
        assert host.variables["base_address"] == host.connection.address.replace(".", "-")
    with pytest.raises(PlatformError, match="x_facts is not known outside of a play") as refused:
        fleet.variables["x_facts"]
    assert refused.value.code == ExitCode.INVALID
