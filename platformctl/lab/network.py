"""The networks of labs, and what all labs share on the machine: firewall, package cache and limits.

A podman network's labels name its lab, and the networks inside the site whose traffic must not leave the
machine. The existing networks decide about the firewall and the package cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from platformctl.lab import addresses, apt_cache, firewall, limits, podman

_INNER_LABEL = "platformctl.inner"
_ROUTED_LABEL = "platformctl.routed"


@dataclass(frozen=True)
class LabNetwork:
    """A lab's network: its name in podman, its slot, and the pod and service networks of its site.

    routed: the addresses of a fleet's hosts, which are routed through one address of the slot.
    """

    lab: str
    name: str
    slot: IPv4Network
    inner: tuple[IPv4Network, ...]
    routed: IPv4Network | None = None


def of(lab: str) -> LabNetwork | None:
    """The network of a lab, if it has one."""
    return next((candidate for candidate in every() if candidate.lab == lab), None)


def every() -> list[LabNetwork]:
    """The networks of all labs on this machine."""
    return [_from_podman(network) for network in podman.labelled(("network", "ls"), None)]


def create(
    lab: str, own: IPv4Network | None, inner: Sequence[IPv4Network], routed_hosts: int = 0
) -> LabNetwork:
    """Create a lab's network in its own slot if that is given and free, otherwise in the first free one.

    routed_hosts: how many addresses to choose in addition, routed to a host of the slot.

    The caller holds the machine's lock.
    """
    machine = addresses.machine_networks()
    addresses.refuse_overlap(inner, machine)
    slot = addresses.choose_slot(own, [*machine, *_podman_networks()])
    fleets = [other.routed for other in every() if other.routed]
    routed = addresses.choose_routed(routed_hosts, [*machine, *fleets]) if routed_hosts else None
    # The slot is part of the name, because netavark names its firewall chains after the network. If a killed
    # host left a chain, a network with the same name in another slot would have its own traffic masqueraded.
    made = LabNetwork(lab, f"platformctl-{lab}-{slot.network_address}", slot, tuple(inner), routed)
    labels = {podman.LAB_LABEL: lab, _INNER_LABEL: " ".join(map(str, inner))}
    labels |= {_ROUTED_LABEL: str(routed)} if routed else {}
    podman.run(
        *("network", "create", "--disable-dns", "--subnet", str(slot)),
        *("--gateway", str(addresses.gateway(slot))),
        *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
        made.name,
    )
    return made


def guard(networks: Sequence[LabNetwork]) -> list[str]:
    """Update firewall, package cache and limits for the existing networks; returns what it removed.

    The caller holds the machine's lock.
    """
    if not networks:
        undone = {
            "the package cache's process": apt_cache.stop(),
            "the firewall table": firewall.remove(),
            "the raised limit": limits.restore(),
        }
        return [what for what, done in undone.items() if done]
    slots = [network.slot for network in networks]
    inner = {network for lab in networks for network in lab.inner}
    firewall.apply(slots, inner, apt_cache.PORT)
    apt_cache.ensure()
    limits.ensure()
    return []


def _podman_networks() -> list[IPv4Network]:
    """Subnets of all podman networks, also of those without a running host, which have no route yet."""
    subnets = []
    for network in podman.query("network", "ls"):
        for subnet in network.get("subnets") or ():
            if ":" not in subnet["subnet"]:
                subnets.append(IPv4Network(subnet["subnet"]))
    return subnets


def _from_podman(network: dict[str, object]) -> LabNetwork:
    labels, subnets = network["labels"], network["subnets"]
    assert isinstance(labels, dict)
    assert isinstance(subnets, list)
    inner = tuple(IPv4Network(text) for text in labels.get(_INNER_LABEL, "").split())
    routed = IPv4Network(labels[_ROUTED_LABEL]) if _ROUTED_LABEL in labels else None
    slot = IPv4Network(subnets[0]["subnet"])
    return LabNetwork(labels[podman.LAB_LABEL], str(network["name"]), slot, inner, routed)
