"""Which ports of which hosts must be reached from where, and what it means if they are not.

Pure. The table of stages says who connects to what. A host tries at most eight hosts of each group, its next
ones in the inventory, so that the cost per host does not grow with the fleet.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from platformctl import paths
from platformctl.engine.checking.preflight import Finding, Level
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.stages import STAGES, Stage
from platformctl.site.ports import Port
from platformctl.site.values import templated
from platformctl.site.variables import known

_MOST = 8


@dataclass(frozen=True)
class Way:
    """One connection: from a host to a port of another. warning: a site may do without it.

    guarded: packet rules of platformctl may refuse it.
    """

    client: str
    server: str
    protocol: str
    number: int
    use: str
    warning: bool = False
    remedy: str = ""
    guarded: bool = True

    @property
    def port(self) -> str:
        """The port for people."""
        return f"{self.protocol.upper()} {self.number} ({self.use})"


def ways(fleet: Fleet, focus: frozenset[str], stages: Sequence[Stage] = STAGES) -> tuple[Way, ...]:
    """All connections that begin or end on a host of `focus`."""
    found: dict[tuple[str, str, str, int], Way] = {}
    position = {name: number for number, name in enumerate(fleet.hosts)}
    for stage in stages:
        servers = stage.targets(fleet) if stage.ports else ()
        for port in stage.ports:
            clients = [host for host in fleet.hosts.values() if host.groups & set(port.reached_from)]
            for client in clients:
                for server in _next(servers, client.name, position):
                    way = _way(client, fleet.hosts[server], port)
                    if way.number and focus & {way.client, way.server}:
                        found.setdefault((way.client, way.server, way.protocol, way.number), way)
    return tuple(found.values())


def _next(servers: Sequence[str], client: str, position: Mapping[str, int]) -> list[str]:
    """The next servers after a host in the inventory's circle, at most eight."""
    start = bisect_right(servers, position[client], key=lambda name: position[name])
    circle = [*servers[start:], *servers[:start]] if len(servers) <= _MOST else _cut(servers, start)
    return [name for name in circle if name != client][:_MOST]


def _cut(servers: Sequence[str], start: int) -> list[str]:
    return [servers[(start + offset) % len(servers)] for offset in range(_MOST + 1)]


def _way(client: Host, server: Host, port: Port) -> Way:
    protocol = "udp" if port.udp else "tcp"
    number = number_of(server, port)
    return Way(client.name, server.name, protocol, number, port.use, port.warning, port.remedy, port.guarded)


def number_of(host: Host, port: Port) -> int:
    """The number of a port on a host; 0 if only Ansible can tell, or the host has no such port."""
    if isinstance(port.number, int):
        return port.number
    if callable(port.number):
        return port.number(host.variables)
    value = host.variables.get(port.number, _default(port.number))
    return 0 if templated(value) else int(value)


@cache
def _default(name: str) -> object:
    return known(paths.data_dir())[name].default


def address(host: Host) -> str:
    """The address that other hosts of the site use."""
    own = host.variables.get("base_address")
    return host.connection.address if not own or templated(own) else str(own)


def judge(
    results: Mapping[Way, str], busy: frozenset[tuple[str, str, int]], names: frozenset[str]
) -> list[Finding]:
    """What could not be reached, at both ends as far as they are in `names`.

    results: by way an empty text, or why the port could not be reached. busy: host, protocol and port where a
    service listens already, or a rule of ours stands before; they may refuse what is no firewall's matter.
    """
    lost = {
        way: why
        for way, why in results.items()
        if why and not (why == "refused" and (way.server, way.protocol, way.number) in busy)
    }
    return [*_of_clients(lost, names), *_of_servers(lost, results, names)]


def _of_clients(lost: Mapping[Way, str], names: frozenset[str]) -> Iterator[Finding]:
    by_pair: dict[tuple[str, str, str, bool], list[Way]] = defaultdict(list)
    for way, why in lost.items():
        if way.client in names:
            by_pair[way.client, way.server, why, way.warning].append(way)
    for (client, server, why, warning), found in by_pair.items():
        ports = ", ".join(way.port for way in found)
        remedy = found[0].remedy or (
            f"open it in the firewall of {server} (nft list ruleset), and check the routes between them"
        )
        yield Finding(client, "reach", _level(warning), f"cannot reach {server} on {ports}: {why}", remedy)


def _of_servers(lost: Mapping[Way, str], results: Iterable[Way], names: frozenset[str]) -> Iterator[Finding]:
    """A port that nobody reaches is a fault of the host that has it."""
    tried: dict[tuple[str, str], list[Way]] = defaultdict(list)
    for way in results:
        if way.server in names:
            tried[way.server, way.port].append(way)
    alike: dict[tuple[str, str, str], list[Way]] = defaultdict(list)
    for (server, _), found in tried.items():
        if all(way in lost for way in found):
            alike[server, ", ".join(way.client for way in found), lost[found[0]]].append(found[0])
    for (server, clients, why), found in alike.items():
        ports = ", ".join(way.port for way in found)
        warning = all(way.warning for way in found)
        remedy = (found[0].remedy if warning else "") or (
            "open it in this host's firewall for the other hosts of the site (nft list ruleset)"
        )
        words = f"{ports} cannot be reached from {clients}: {why}"
        yield Finding(server, "firewall", _level(warning), words, remedy)


def _level(warning: bool) -> Level:
    return Level.WARNING if warning else Level.ERROR
