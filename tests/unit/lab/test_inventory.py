from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import inventory
from platformctl.site import secrets

SLOT = IPv4Network("198.18.0.64/26")
COMMITTED = paths.data_dir() / "inventories" / "lab"


def test_the_committed_inventory_fits_one_slot() -> None:
    layout = inventory.read_layout(COMMITTED)
    assert list(layout.hosts) == ["ctl1", "node1", "node2"]
    assert layout.slot == IPv4Network("198.51.100.0/26")
    assert layout.fits_slot
    assert layout.inner_networks == (IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/12"))


def test_a_copy_has_every_address_moved_and_its_own_state(tmp_path: Path) -> None:
    copied = tmp_path / "inventory"
    inventory.copy(COMMITTED, copied, SLOT, tmp_path)
    assert inventory.read_layout(copied).hosts == {
        "ctl1": IPv4Address("198.18.0.75"),
        "node1": IPv4Address("198.18.0.76"),
        "node2": IPv4Address("198.18.0.77"),
    }
    everyone: dict[str, object] = {}
    for path in (copied / "group_vars" / "all").glob("*.yml"):
        everyone |= yaml.safe_load(path.read_text())
    assert everyone["lab_state"] == str(tmp_path)
    assert everyone["base_apt_proxy"] == "http://198.18.0.65:3142"
    assert "198.51.100" not in "".join(path.read_text() for path in copied.rglob("*.yml"))
    assert not list(copied.rglob("secrets.vault"))
    # Comments are for the person who reads the copy.
    assert "# Three hosts" in (copied / "hosts.yml").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 198.51.100.1", "a: 198.18.0.65"),
        ("proxy: http://198.51.100.1:3142/x", "proxy: http://198.18.0.65:3142/x"),
        ("sentence: it is 198.51.100.1.", "sentence: it is 198.18.0.65."),
        ("a: 198.51.100.11", "a: 198.51.100.11"),
        ("a: 198.51.100.1.5", "a: 198.51.100.1.5"),
        ("a: 9.198.51.100.1", "a: 9.198.51.100.1"),
    ],
)
def test_only_whole_addresses_are_replaced(text: str, expected: str) -> None:
    moved = {IPv4Address("198.51.100.1"): IPv4Address("198.18.0.65")}
    assert inventory.moved_text(text, moved) == expected


def test_addresses_that_trade_places_are_not_confused() -> None:
    one, two = IPv4Address("198.51.100.11"), IPv4Address("198.51.100.12")
    text = inventory.moved_text(f"[{one}, {two}]", {one: two, two: one})
    assert text == f"[{two}, {one}]"


def test_light_hosts_are_added_once(tmp_path: Path) -> None:
    copied = tmp_path / "inventory"
    inventory.copy(COMMITTED, copied, SLOT, tmp_path)
    for count in (2, 2, 3):
        inventory.add_light_hosts(copied, count, SLOT)
    layout = inventory.read_layout(copied)
    assert list(layout.hosts) == ["ctl1", "node1", "node2", "light1", "light2", "light3"]
    assert layout.fits_slot
    assert len(set(layout.hosts.values())) == 6
    children = yaml.safe_load((copied / "hosts.yml").read_text())["all"]["children"]
    assert "light1" not in str(children)


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ("{}", "it has no hosts"),
        ("{a: {}}", "a: Address cannot be empty"),
        ("{a: {ansible_host: a.example}}", "a: Expected 4 octets in 'a.example'"),
        (
            "{a: {ansible_host: 192.0.2.9}, b: {ansible_host: 192.0.2.9}}",
            "2 hosts have the address 192.0.2.9",
        ),
        ("[a]", "hosts.yml"),
    ],
)
def test_an_inventory_that_makes_no_lab_is_refused(tmp_path: Path, hosts: str, problem: str) -> None:
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts: {hosts}\n")
    with pytest.raises(PlatformError) as refused:
        inventory.read_layout(tmp_path)
    assert refused.value.code == ExitCode.INVALID
    assert problem in str(refused.value)


def test_a_fleet_is_a_site_without_mistakes(tmp_path: Path) -> None:
    from platformctl import site

    copied = tmp_path / "inventory"
    inventory.copy(COMMITTED, copied, SLOT, tmp_path)
    inventory.write_fleet(copied, IPv4Network("198.19.0.0/27"), 21)
    secrets.ensure(copied)
    found = site.load(copied)
    assert len(found.hosts) == 21
    assert found.hosts["n0001"].vars["ansible_host"] == "198.19.0.2"
    assert [len(found.groups[group]) for group in ("kubernetes_node", "slurm_node", "munge")] == [10, 10, 11]
    assert set(found.groups["registry"]) == {"n0000"}
