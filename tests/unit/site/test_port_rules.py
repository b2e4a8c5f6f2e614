"""Which addresses packet rules let through to which ports, and that everything is made of one table."""

from typing import Any

from platformctl.engine.stages import STAGES
from platformctl.site import port_rules
from platformctl.site.ports import GUARDED, PORTS, Pods
from tests.ansible_files import load

HOSTS = {
    "ctl1": {"ansible_host": "192.0.2.1"},
    "k1": {"ansible_host": "198.51.100.7", "base_address": "192.0.2.2"},
    "n1": {"ansible_host": "192.0.2.3", "slurm_node_port": 7000},
}
GROUPS = {
    "all": ["ctl1", "k1", "n1"],
    "kubernetes_control_plane": ["ctl1"],
    "kubernetes_node": ["k1"],
    "slurm_controller": ["ctl1"],
    "slurm_accounting": ["ctl1"],
    "slurm_node": ["n1"],
    "slurm_rest": ["ctl1"],
}


def site(trusted: tuple[str, ...] = ()) -> dict[str, Any]:
    filters = load("roles/firewall/filter_plugins/firewall.py").FilterModule().filters()
    found: dict[str, Any] = filters["firewall_site"](GROUPS, HOSTS, trusted)
    return found


def sources(host: str, number: int, trusted: tuple[str, ...] = ()) -> list[str]:
    groups = [group for group, names in GROUPS.items() if host in names]
    rows = port_rules.of_host(site(trusted), groups, HOSTS[host])
    (found,) = (row["ip"] for row in rows if row["number"] == number)
    return list(found)


def test_a_port_is_open_to_the_hosts_of_its_groups_by_all_their_addresses() -> None:
    assert sources("ctl1", 2379) == ["192.0.2.1"]
    assert sources("ctl1", 6820) == ["192.0.2.1", "192.0.2.2", "198.51.100.7"]
    assert sources("ctl1", 6817) == ["192.0.2.1", "192.0.2.3"]
    assert sources("n1", 7000) == ["192.0.2.1", "192.0.2.3"]


def test_a_port_of_the_host_alone_is_open_to_nobody() -> None:
    assert sources("ctl1", 3306) == []
    assert sources("k1", 10249) == []


def test_networks_that_the_site_trusts_are_let_through_everywhere() -> None:
    assert sources("ctl1", 2379, ("203.0.113.0/24",)) == ["192.0.2.1", "203.0.113.0/24"]


def test_pods_and_people_are_kept_from_what_is_not_theirs() -> None:
    found = site()
    assert "192.0.2.1 . 2379" in found["closed_to_pods"]["tcp"]
    assert {"192.0.2.1 . 8472", "192.0.2.2 . 8472"} <= set(found["closed_to_pods"]["udp"])
    assert {"192.0.2.1 . 6820", "192.0.2.2 . 10250", "198.51.100.7 . 10250"} <= set(found["asked_for_pods"])
    assert "192.0.2.1 . 6820" in found["closed_to_users"]
    own = {element.rpartition(" ")[2] for element in found["closed_to_users"]}
    assert not own & {"6817", "6819", "7000", "6443"}, "sbatch, sacct and kubectl are typed by people"


def test_the_api_server_is_not_guarded_and_pods_reach_it() -> None:
    (api,) = (port for port in PORTS["kubernetes_control_plane"] if port.number == 6443)
    assert (api.guarded, api.pods) == (False, Pods.ALWAYS)
    assert api not in GUARDED["kubernetes_control_plane"]


def test_stages_and_rules_have_the_same_ports() -> None:
    assert {stage.name: stage.ports for stage in STAGES if stage.ports} == PORTS


def test_networks_are_written_as_short_as_possible() -> None:
    assert port_rules.collapsed(["192.0.2.3", "192.0.2.2", "2001:db8::1", "a-name"]) == [
        "192.0.2.2/31",
        "2001:db8::1",
    ]
    assert port_rules.networks(["192.0.2.1", "10.0.0.0/8", "10.1.0.0/16"]) == ["10.0.0.0/8", "192.0.2.1/32"]
