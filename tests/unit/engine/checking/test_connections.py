"""What a firewall between the hosts has to let through, of the same table as the packet rules."""

from platformctl.engine.checking import connections
from tests.unit.engine.sites import make_fleet

HOSTS = {
    "ctl1": ("slurm_controller", "slurm_rest", "kubernetes_control_plane", "registry"),
    "k1": ("kubernetes_node", "containerd"),
    "n1": ("slurm_node",),
}


def test_each_port_is_there_once_with_all_its_hosts_and_sources() -> None:
    fleet = make_fleet(HOSTS)
    at = {name: host.connection.address for name, host in fleet.hosts.items()}
    found = {opening.port: opening for opening in connections.needed(fleet)}
    assert set(found["tcp 10250"].to) == set(connections.port_rules.collapsed([at["ctl1"], at["k1"]]))
    assert found["tcp 10250"].others == "some pods"
    assert found["tcp 6443"].others == "users' machines, pods"
    assert not found["tcp 6443"].closed
    assert found["tcp 2379"].sources == (at["ctl1"],)
    assert "tcp 3306" not in found
    assert "tcp 10257" not in found


def test_nothing_is_closed_where_the_site_has_a_firewall_of_its_own() -> None:
    fleet = make_fleet(HOSTS, {"firewall_enabled": False})
    assert not any(opening.closed for opening in connections.needed(fleet))
