"""Firewalls, name service, and packages that somebody else installs."""

from collections.abc import Iterator
from contextlib import contextmanager

from platformctl.lab import faults
from platformctl.lab.dirt import inventories, network
from tests.e2e.situations.situation import Place, Result, Situation, When

_PORT = 2222


@contextmanager
def _other_port(place: Place) -> Iterator[None]:
    address = place.lab.host("node1").address
    with (
        network.ssh_port(place.lab, "node1", _PORT),
        inventories.known_as(place.lab, "node1", f"[{address}]:{_PORT}"),
        inventories.host_variables(place.lab, "node1", ansible_port=_PORT),
    ):
        yield


SITUATIONS = (
    Situation(
        "the controller's firewall drops what is not ssh",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.walled(place.lab, "ctl1"),
        ("node2", "cannot reach ctl1 on", "tcp 6817 (the slurm controller)", "no answer", "nft list ruleset"),
        code=4,
        quick=True,
    ),
    Situation(
        "a worker's firewall drops what is not ssh",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.walled(place.lab, "node1"),
        (
            "node1",
            "tcp 10250 (the kubelet)",
            "udp 8472 (the network of the pods",
            "cannot be reached from ctl1",
        ),
        code=4,
    ),
    Situation(
        "the name server of a Kubernetes host is the host itself",
        When.BARE,
        Result.REFUSED,
        lambda place: network.resolver(place.lab, "node1", "127.0.0.1"),
        ("node1", "names 127.0.0.1", "resolvconf"),
        code=4,
        quick=True,
    ),
    Situation(
        "a host knows another one by an address that it had once",
        When.BARE,
        Result.REFUSED,
        lambda place: network.wrong_name(place.lab, "node1", "10.9.9.9", "ctl1"),
        ("node1", "ctl1 is 10.9.9.9", "remove that line"),
        code=4,
    ),
    Situation(
        "another program installs packages when the installation begins",
        When.FRESH,
        Result.WORKS,
        lambda place: network.busy_packages(place.lab, "node1", 60),
        ("node1", "which holds the lock of dpkg or apt"),
        passes=True,
    ),
    Situation(
        "the ssh server of one host listens on another port, which the inventory has",
        When.BARE,
        Result.WORKS,
        _other_port,
        quick=True,
    ),
    Situation(
        "a source of packages does not answer",
        When.BARE,
        Result.REFUSED,
        lambda place: network.dead_source(place.lab, "node2", f"http://{place.lab.slot[1]}:9/debian"),
        ("node2", ":9/debian"),
        command=("install", "--yes", "--limit", "node2"),
        begun=True,
    ),
    Situation(
        "a source of packages does not answer, and the installation is tried again",
        When.BARE,
        Result.REFUSED,
        lambda place: network.dead_source(place.lab, "node2", f"http://{place.lab.slot[1]}:9/debian"),
        ("node2", ":9/debian"),
        command=("install", "--yes", "--limit", "node2"),
        begun=True,
    ),
)
