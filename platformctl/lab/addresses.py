"""The address plan: the network of a lab, and the addresses of its hosts.

A slot is a network of 64 addresses: the first is the machine's (the gateway), then come the hosts. Slot 0 is
the network that the inventory itself uses. The other slots are in 198.18.0.0/15, which RFC 2544 reserves for
laboratories. A slot that overlaps a network that the machine already reaches is never used: a bridge there
would replace that route.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from platformctl.errors import ExitCode, PlatformError

PREFIX = 26
POOL = IPv4Network("198.18.0.0/18")
ROUTED_POOL = IPv4Network("198.19.0.0/16")
"""Networks of fleets: routed to one address of a slot, so that the machine needs only one neighbour entry."""
_RESOLVERS = Path("/etc/resolv.conf")
FIRST_HOST = 10
"""Offset of the first address for hosts whose own address is not in the slot."""


def slot_of(address: IPv4Address) -> IPv4Network:
    """The slot that holds an address."""
    return IPv4Network((address, PREFIX), strict=False)


def gateway(slot: IPv4Network) -> IPv4Address:
    """The machine's address in a slot."""
    return slot[1]


def choose_slot(own: IPv4Network | None, taken: Sequence[IPv4Network]) -> IPv4Network:
    """The inventory's own slot if it is given and free, otherwise the first free one of the pool."""
    candidates = [*([own] if own else []), *POOL.subnets(new_prefix=PREFIX)]
    for slot in candidates:
        if not any(slot.overlaps(network) for network in taken):
            return slot
    raise PlatformError(
        "every network for labs is in use",
        where=str(POOL),
        next="remove a lab: platformctl lab down --name NAME",
    )


def choose_routed(hosts: int, taken: Sequence[IPv4Network]) -> IPv4Network:
    """The smallest free network of the pool with addresses for this many hosts."""
    prefix = ROUTED_POOL.max_prefixlen - (hosts + 1).bit_length()
    for network in ROUTED_POOL.subnets(new_prefix=prefix):
        if not any(network.overlaps(other) for other in taken):
            return network
    raise PlatformError(
        "every network for fleets is in use",
        where=str(ROUTED_POOL),
        next="remove a fleet: platformctl lab down --name NAME",
    )


def place(addresses: Mapping[str, IPv4Address], slot: IPv4Network) -> dict[str, IPv4Address]:
    """An address in the slot for each host: the same offset if possible, otherwise the next free one."""
    placed: dict[str, IPv4Address] = {}
    used = {slot.network_address, gateway(slot), slot.broadcast_address}
    homeless = []
    for host, address in addresses.items():
        wished = slot[int(address) % slot.num_addresses]
        if wished in used:
            homeless.append(host)
        else:
            placed[host] = wished
            used.add(wished)
    free = [address for address in list(slot.hosts())[FIRST_HOST - 1 :] if address not in used]
    if len(homeless) > len(free):
        raise PlatformError(
            f"{len(addresses)} hosts are more than a lab has addresses for",
            next="take hosts out of the inventory of this lab",
            code=ExitCode.INVALID,
        )
    placed.update(zip(homeless, free, strict=False))
    return {host: placed[host] for host in addresses}


def machine_networks() -> list[IPv4Network]:
    """IPv4 networks that this machine uses: those of its routes, its gateways and its name servers."""
    routes = json.loads(
        subprocess.run(["ip", "-json", "-4", "route"], capture_output=True, check=True).stdout
    )
    used = [destination for route in routes if (destination := route["dst"]) != "default"]
    used += [route["gateway"] for route in routes if "gateway" in route]
    used += _name_servers(_RESOLVERS.read_text() if _RESOLVERS.exists() else "")
    return [IPv4Network(destination, strict=False) for destination in used]


def _name_servers(resolvers: str) -> list[str]:
    """The IPv4 name servers; they are often in a network without a route of its own."""
    lines = [line.split() for line in resolvers.splitlines()]
    return [
        words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1 and ":" not in words[1]
    ]


def refuse_overlap(dropped: Iterable[IPv4Network], machine: Sequence[IPv4Network]) -> None:
    """Refuse pod and service networks that the machine itself uses: the lab's firewall would cut them off."""
    for network in dropped:
        for own in machine:
            if network.overlaps(own):
                raise PlatformError(
                    f"the inventory's network {network} overlaps {own}, which this machine uses",
                    where="kubernetes_pod_network or kubernetes_service_network",
                    next="give the lab's inventory another network, then run `platformctl lab up` again",
                    code=ExitCode.INVALID,
                )
