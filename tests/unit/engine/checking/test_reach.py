"""Which ports are tried from where, and what is said of those that cannot be reached."""

import pytest

from platformctl.engine.checking import reach
from platformctl.engine.checking.preflight import Level
from platformctl.engine.checking.reach import Way
from tests.unit.engine.sites import make_fleet

CONTROLLER = ("slurm_controller", "kubernetes_control_plane", "registry", "containerd")
FLEET = make_fleet(
    {"ctl1": CONTROLLER, "n1": ("slurm_node",), "k1": ("kubernetes_node", "containerd")},
    {"registry_port": 5001},
)
SLURM = Way("n1", "ctl1", "tcp", 6817, "the Slurm controller")


def tried(focus: str, fleet=FLEET) -> set[tuple[str, str, str, int]]:
    return {
        (way.client, way.server, way.protocol, way.number) for way in reach.ways(fleet, frozenset([focus]))
    }


def test_a_host_is_tried_in_both_directions() -> None:
    assert tried("n1") == {
        ("n1", "ctl1", "tcp", 6817),
        ("n1", "ctl1", "tcp", 5001),
        ("ctl1", "n1", "tcp", 6818),
    }
    assert {("k1", "ctl1", "tcp", 6443), ("ctl1", "k1", "tcp", 10250), ("ctl1", "k1", "udp", 8472)} <= tried(
        "k1"
    )


def test_ports_that_only_the_host_itself_uses_are_not_tried() -> None:
    assert not {number for *_, number in tried("ctl1")} & {10257, 10259}


@pytest.mark.parametrize("hosts", [20, 300])
def test_a_host_tries_eight_of_a_group_however_large_it_is(hosts: int) -> None:
    fleet = make_fleet({"ctl1": ("slurm_controller",), **{f"n{n}": ("slurm_node",) for n in range(hosts)}})
    everything = reach.ways(fleet, frozenset(fleet.hosts))
    for name in fleet.hosts:
        servers = [way.server for way in everything if way.client == name and way.number == 6818]
        assert len(servers) == 8
        assert name not in servers
    nodes = {name for name in fleet.hosts if name != "ctl1"}
    assert {way.server for way in everything if way.number == 6818} == nodes, "each node is tried by somebody"


def test_the_range_of_srun_is_tried_and_without_one_any_port() -> None:
    hosts = {"n1": ("slurm_node",), "n2": ("slurm_node",)}
    given = make_fleet(hosts, {"slurm_controller_options": {"SrunPortRange": "60100-60200"}})
    (way,) = [
        way for way in reach.ways(given, frozenset(["n1"])) if way.server == "n2" and way.number != 6818
    ]
    assert (way.number, way.warning) == (60100, False)
    (way,) = [
        way
        for way in reach.ways(make_fleet(hosts), frozenset(["n1"]))
        if way.server == "n2" and way.number != 6818
    ]
    assert way.warning
    assert "SrunPortRange" in way.remedy


def test_what_only_ansible_knows_is_not_tried() -> None:
    fleet = make_fleet({"ctl1": CONTROLLER, "n1": ("slurm_node",)}, {"registry_port": "{{ x }}"})
    assert not [way for way in reach.ways(fleet, frozenset(["n1"])) if "registry" in way.use]


def test_a_port_that_is_not_reached_is_named_at_both_ends() -> None:
    found = reach.judge({SLURM: "no answer"}, frozenset(), frozenset(["n1", "ctl1"]))
    assert [(finding.host, finding.level, finding.found) for finding in found] == [
        ("n1", Level.ERROR, "cannot reach ctl1 on TCP 6817 (the Slurm controller): no answer"),
        ("ctl1", Level.ERROR, "TCP 6817 (the Slurm controller) cannot be reached from n1: no answer"),
    ]
    assert "nft list ruleset" in found[0].remedy


def test_a_host_that_somebody_reaches_is_not_blamed() -> None:
    other = Way("n2", "ctl1", "tcp", 6817, "the Slurm controller")
    found = reach.judge({SLURM: "no answer", other: ""}, frozenset(), frozenset(["n1", "n2", "ctl1"]))
    assert [finding.host for finding in found] == ["n1"]


def test_a_service_that_refuses_by_itself_is_no_firewall() -> None:
    busy = frozenset([("ctl1", "tcp", 6817)])
    assert reach.judge({SLURM: "refused"}, busy, frozenset(["n1"])) == []
    assert reach.judge({SLURM: "no answer"}, busy, frozenset(["n1"]))
    assert reach.judge({SLURM: "refused"}, frozenset(), frozenset(["n1"]))


def test_hosts_that_are_not_asked_about_are_not_judged() -> None:
    assert [f.host for f in reach.judge({SLURM: "no answer"}, frozenset(), frozenset(["ctl1"]))] == ["ctl1"]


def test_what_a_site_may_do_without_is_a_warning() -> None:
    way = Way("n1", "n2", "tcp", 60001, "srun", warning=True, remedy="set SrunPortRange")
    (client, server) = reach.judge({way: "no answer"}, frozenset(), frozenset(["n1", "n2"]))
    assert {client.level, server.level} == {Level.WARNING}
    assert client.remedy == "set SrunPortRange"


def test_a_refusal_of_our_own_rules_is_no_finding() -> None:
    """A host that is new to the site is not in them yet."""
    assert SLURM.guarded
    assert reach.judge({SLURM: "refused"}, frozenset({("ctl1", "tcp", 6817)}), frozenset({"n1"})) == []
    assert reach.judge({SLURM: "refused"}, frozenset(), frozenset({"n1"}))
