"""Which connections a site's hosts need, as a table for whoever runs a firewall between them.

Made of the same data as the packet rules of role firewall.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from platformctl.engine.checking.reach import address, number_of
from platformctl.engine.fleet import Fleet
from platformctl.site import port_rules
from platformctl.site.ports import PORTS, Pods, Port

_PODS = {Pods.NEVER: "", Pods.BY_POLICY: "some pods", Pods.ALWAYS: "pods"}


@dataclass(frozen=True)
class Opening:
    """A port that a firewall has to let through. to, sources: addresses and networks.

    others: who else connects, in words. closed: platformctl's own rules drop what comes from elsewhere.
    """

    port: str
    use: str
    to: tuple[str, ...]
    sources: tuple[str, ...]
    others: str
    closed: bool


def needed(fleet: Fleet) -> list[Opening]:
    """Every port of the site that other hosts connect to, in the order of the table."""
    found: dict[tuple[str, str], Opening] = {}
    for group, ports in PORTS.items():
        for port in ports:
            for opening in _openings(fleet, group, port):
                before = found.get((opening.port, opening.use))
                to = (*before.to, *opening.to) if before else opening.to
                found[opening.port, opening.use] = replace(opening, to=to)
    return [replace(opening, to=tuple(port_rules.collapsed(opening.to))) for opening in found.values()]


def _openings(fleet: Fleet, group: str, port: Port) -> Iterator[Opening]:
    if not port.open_to:
        return
    members = [address(fleet.hosts[name]) for name in _members(fleet, port.open_to)]
    sources = tuple(port_rules.collapsed(members))
    others = [
        *(["users' machines"] if not port.guarded and port.pods is Pods.ALWAYS else []),
        _PODS[port.pods],
    ]
    closed = port.guarded and bool(fleet.variables.get("firewall_enabled", True))
    for name in fleet.members(group):
        host = fleet.hosts[name]
        if number := number_of(host, port):
            yield Opening(
                f"{port.protocol} {number}",
                port.use,
                (address(host),),
                sources,
                ", ".join(filter(None, others)),
                closed,
            )


def _members(fleet: Fleet, groups: tuple[str, ...]) -> list[str]:
    if "all" in groups:
        return list(fleet.hosts)
    return list(dict.fromkeys(name for group in groups for name in fleet.members(group)))
