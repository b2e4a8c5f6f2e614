from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from platformctl.errors import PlatformError
from platformctl.lab import addresses

OWN = IPv4Network("198.51.100.0/26")


def test_a_lab_takes_the_network_that_its_inventory_names() -> None:
    assert addresses.choose_slot(OWN, []) == OWN


def test_a_network_that_the_machine_reaches_is_never_used() -> None:
    # A wider route of the machine, a narrower one, and one in the pool.
    for taken in ("198.51.0.0/16", "198.51.100.60/32"):
        assert addresses.choose_slot(OWN, [IPv4Network(taken)]) == IPv4Network("198.18.0.0/26")
    assert addresses.choose_slot(None, [IPv4Network("198.18.0.0/25")]) == IPv4Network("198.18.0.128/26")


def test_labs_side_by_side_get_networks_of_their_own() -> None:
    slots = list(addresses.POOL.subnets(new_prefix=addresses.PREFIX))
    assert len(slots) == 256
    assert addresses.choose_slot(None, slots[:3]) == slots[3]
    with pytest.raises(PlatformError, match="every network for labs is in use"):
        addresses.choose_slot(None, [addresses.POOL])


def test_hosts_keep_their_offset_in_the_new_network() -> None:
    placed = addresses.place(
        {"ctl1": IPv4Address("198.51.100.11"), "node1": IPv4Address("198.51.100.62")},
        IPv4Network("198.18.0.64/26"),
    )
    assert placed == {"ctl1": IPv4Address("198.18.0.75"), "node1": IPv4Address("198.18.0.126")}


def test_hosts_that_cannot_keep_their_offset_get_a_free_address() -> None:
    # a is the machine's, b and c meet in one slot, d would be the broadcast address.
    old = {"a": "198.51.100.1", "b": "198.51.100.11", "c": "198.51.100.75", "d": "203.0.113.127"}
    slot = IPv4Network("198.18.0.0/26")
    placed = addresses.place({host: IPv4Address(text) for host, text in old.items()}, slot)
    assert list(placed) == list(old)
    assert placed["b"] == IPv4Address("198.18.0.11")
    assert len(set(placed.values())) == 4
    assert all(address in slot.hosts() and address != slot[1] for address in placed.values())


def test_too_many_hosts_are_refused() -> None:
    hosts = {f"h{number}": IPv4Address("192.0.2.1") for number in range(60)}
    with pytest.raises(PlatformError, match="60 hosts"):
        addresses.place(hosts, OWN)


def test_pod_networks_that_the_machine_uses_are_refused() -> None:
    machine = [IPv4Network("10.100.0.0/24")]
    addresses.refuse_overlap([IPv4Network("10.244.0.0/16")], machine)
    with pytest.raises(PlatformError, match=r"10\.96\.0\.0/12 overlaps 10\.100\.0\.0/24"):
        addresses.refuse_overlap([IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/12")], machine)


def test_this_machines_networks_have_its_loopback_free_routes() -> None:
    networks = addresses.machine_networks()
    assert networks
    assert IPv4Network("0.0.0.0/0") not in networks


def test_a_name_server_in_a_pod_network_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text(
        "# by hand\nsearch site.example\nnameserver 2001:db8::53\nnameserver 10.255.255.53\n"
    )
    monkeypatch.setattr(addresses, "_RESOLVERS", resolvers)
    machine = addresses.machine_networks()
    assert IPv4Network("10.255.255.53/32") in machine
    with pytest.raises(PlatformError, match=r"10\.240\.0\.0/12 overlaps 10\.255\.255\.53/32"):
        addresses.refuse_overlap([IPv4Network("10.240.0.0/12")], machine)
    resolvers.unlink()
    assert IPv4Network("10.255.255.53/32") not in addresses.machine_networks()


def test_a_fleet_gets_the_smallest_free_network_that_holds_its_hosts() -> None:
    assert addresses.choose_routed(1000, []) == IPv4Network("198.19.0.0/22")
    # Neither the first nor the last address is a host's.
    assert addresses.choose_routed(254, []).num_addresses == 256
    assert addresses.choose_routed(255, []).num_addresses == 512
    taken = [IPv4Network("198.19.0.0/24")]
    assert addresses.choose_routed(20, taken) == IPv4Network("198.19.1.0/27")
    with pytest.raises(PlatformError, match="every network for fleets is in use"):
        addresses.choose_routed(20, [addresses.ROUTED_POOL])
