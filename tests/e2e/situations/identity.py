"""Who a host is: its name and its addresses follow the inventory."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from platformctl.lab.dirt import cards, inventories, network, system
from tests.e2e.situations.situation import Place, Result, Situation, When

_ANNOUNCED = "jsonpath={.metadata.annotations.flannel\\.alpha\\.coreos\\.com/public-ip}"
_KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")


def _network_uses_the_nodes_address(place: Place) -> None:
    done = place.lab.exec("ctl1", [*_KUBECTL, "get", "node", "node1", "--output", _ANNOUNCED])
    assert done.stdout == str(place.lab.host("node1").address), done.stdout + done.stderr


@contextmanager
def _moved(place: Place, host: str) -> Iterator[None]:
    """A host gets another address, which the inventory has."""
    address = str(place.lab.slot[-10])
    with (
        network.second_address(place.lab, host, address),
        inventories.known_as(place.lab, host, address),
        inventories.host_variables(place.lab, host, ansible_host=address),
    ):
        yield


_RECORD = "/var/lib/platformctl/digests.json"


@contextmanager
def _shrunk(place: Place) -> Iterator[None]:
    """The record of node2 says that it had two GiB more, as before a change of its memory."""
    with inventories.unset(place.lab, "slurm_node_cpus", "slurm_node_memory_mib"):
        place.site.run("install", "--yes")
        record = place.site.host("ctl1", "cat", _RECORD)
        larger = re.sub(
            r'("size:node2": "\d+ CPUs?, )(\d+)', lambda found: f"{found[1]}{int(found[2]) + 2048}", record
        )
        assert larger != record
        place.lab.exec("ctl1", ["sh", "-c", f"cat > {_RECORD}"], larger)
        yield


_INTERNAL = "jsonpath={.status.addresses[?(@.type=='InternalIP')].address}"


def _node_has_the_new_address(place: Place) -> None:
    new = str(place.lab.slot[-10])
    assert place.site.kubectl("get", "node", "node1", "--output", _INTERNAL) == new
    assert place.site.kubectl("get", "node", "node1", "--output", _ANNOUNCED) == new


def _slurm_uses_the_new_address(place: Place) -> None:
    shown = place.site.host("ctl1", "scontrol", "show", "node", "node2")
    assert f"NodeAddr={place.lab.slot[-10]} " in shown
    assert place.site.shell("ctl1", "srun --nodelist=node2 hostname", "alice").strip() == "node2"


def _still_a_node(place: Place) -> None:
    place.site.kubectl("get", "node", "node1")


def _node_keeps_its_name(place: Place) -> None:
    done = place.lab.exec("node1", ["systemctl", "restart", "kubelet"])
    assert done.returncode == 0, done.stderr
    ready = ["wait", "--for=condition=Ready", "--timeout=120s", "node/node1"]
    done = place.lab.exec("ctl1", [*_KUBECTL, *ready])
    assert done.returncode == 0, done.stderr


SITUATIONS = (
    Situation(
        "a host has two network cards, and its default route is on the other one",
        When.FRESH,
        Result.WORKS,
        lambda place: cards.second_card(place.lab, "node1"),
        kept=_network_uses_the_nodes_address,
    ),
    Situation(
        "a node calls itself by a long name with capitals after it joined",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: system.renamed(place.lab, "node1", "Node1.example.org"),
        kept=_node_keeps_its_name,
    ),
    Situation(
        "a Kubernetes node gets another address",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: _moved(place, "node1"),
        ("node1",),
        kept=_node_has_the_new_address,
    ),
    Situation(
        "a Slurm node gets another address",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: _moved(place, "node2"),
        ("node2",),
        kept=_slurm_uses_the_new_address,
    ),
    # With its old address the API is gone when the inventory changes back.
    Situation(
        "the control plane gets another address",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: _moved(place, "ctl1"),
        ("ctl1",),
    ),
    Situation(
        "a node that lives is taken out of the inventory",
        When.INSTALLED,
        Result.NAMED,
        lambda place: inventories.without(place.lab, "node1"),
        ("node1", "platformctl node remove"),
        kept=_still_a_node,
    ),
    Situation(
        "a Slurm node is taken out of the inventory",
        When.INSTALLED,
        Result.NAMED,
        lambda place: inventories.without(place.lab, "node2"),
        ("node2", "platformctl node remove"),
    ),
    Situation(
        "a node has less memory than it had when it was installed",
        When.INSTALLED,
        Result.HEALTHY,
        _shrunk,
        ("node2", "MiB"),
    ),
)
