"""Which addresses may connect to which ports of a site's hosts, as sets for packet rules. Pure."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from platformctl.site.ports import GUARDED, Pods, Port
from platformctl.site.role_defaults import default

ADDRESSES = ("base_address", "kubernetes_kubelet_address", "ansible_host")
"""Variables of a host that have an address of it."""

Members = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By group of hosts and name, the variables of a host."""


def site(members: Members, trusted: Iterable[str]) -> dict[str, Any]:
    """What is the same on all hosts.

    sources: by group, the addresses of its hosts with those in `trusted`, as {ip, ip6}. closed_to_pods: by
    protocol, and asked_for_pods, closed_to_users: elements ADDRESS . PORT of sets.
    """
    return {
        "sources": {"": _families(trusted)}
        | {group: _families([*_addresses(hosts.values()), *trusted]) for group, hosts in members.items()},
        "closed_to_pods": {
            "tcp": _elements(members, lambda port: not port.udp and port.pods is Pods.NEVER),
            "udp": _elements(members, lambda port: port.udp and port.pods is Pods.NEVER),
        },
        "asked_for_pods": _elements(members, lambda port: port.pods is Pods.BY_POLICY),
        "closed_to_users": _elements(members, lambda port: not port.users and not port.udp),
    }


def of_host(
    found: Mapping[str, Any], groups: Iterable[str], variables: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The ports that a host of these groups protects, and from where each can be reached.

    found: what `site` returned.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for port in _of_groups(groups):
        number = number_of(port, variables)
        sources = [found["sources"][group] for group in ("", *port.open_to) if group in found["sources"]]
        row = rows.setdefault(
            (port.protocol, number),
            {
                "protocol": port.protocol,
                "number": number,
                "use": port.use,
                "users": port.users,
                "pods": port.pods.value,
                "most": port.clients_at_most,
            },
        )
        for family in ("ip", "ip6"):
            row[family] = _collapsed(
                [*row.get(family, ()), *(each for one in sources for each in one[family])]
            )
    return list(rows.values())


def number_of(port: Port, variables: Mapping[str, Any]) -> int:
    """The number of a port on a host with these variables."""
    if isinstance(port.number, int):
        return port.number
    if callable(port.number):
        return port.number(variables)
    return int(variables.get(port.number) or default(port.number, int))


def addresses(variables: Mapping[str, Any]) -> list[str]:
    """The addresses of a host that the inventory names."""
    return _addresses([variables])


def collapsed(found: Iterable[str]) -> list[str]:
    """The same addresses in as few networks as possible, IPv4 first; one address is no network."""
    families = _families(text for text in found if _is_network(text))
    return [*families["ip"], *families["ip6"]]


def networks(found: Iterable[str]) -> list[str]:
    """The same IPv4 addresses in as few networks as possible, in CIDR."""
    known = [ipaddress.ip_network(text, strict=False) for text in found]
    return [
        str(network) for network in ipaddress.collapse_addresses(one for one in known if one.version == 4)
    ]


def _of_groups(groups: Iterable[str]) -> list[Port]:
    return [port for group in groups for port in GUARDED.get(group, ())]


def _elements(members: Members, wanted: Callable[[Port], bool]) -> list[str]:
    """ADDRESS . PORT of each host that listens, in as few networks as possible."""
    at: dict[int, list[str]] = {}
    for group, hosts in members.items():
        for port in filter(wanted, GUARDED.get(group, ())):
            for variables in hosts.values():
                at.setdefault(number_of(port, variables), []).extend(_addresses([variables]))
    return [
        f"{network} . {number}" for number, found in sorted(at.items()) for network in _families(found)["ip"]
    ]


def _addresses(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    found = [str(value) for variables in hosts for name in ADDRESSES if (value := variables.get(name))]
    return [text for text in dict.fromkeys(found) if _is_network(text)]


def _is_network(text: str) -> bool:
    """Whether it is an address or a network, and not the name of a host."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _families(networks: Iterable[str]) -> dict[str, list[str]]:
    found = [ipaddress.ip_network(text, strict=False) for text in networks]
    return {
        "ip": _collapsed(str(network) for network in found if network.version == 4),
        "ip6": _collapsed(str(network) for network in found if network.version == 6),
    }


def _collapsed(networks: Iterable[str]) -> list[str]:
    """Of one family. nft takes a network of one address only without its length in a set with ports."""
    found: Sequence[Any] = [ipaddress.ip_network(text, strict=False) for text in networks]
    return [
        str(network.network_address) if network.num_addresses == 1 else str(network)
        for network in ipaddress.collapse_addresses(found)
    ]
