"""Tries the network between hosts before anything is installed: names, and the ports that services will need.

In three rounds, each for all hosts at once: listen on the ports that are free, connect to them from the hosts
that will need them, stop listening. A listener that is not stopped ends by itself.
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from platformctl.engine import remote
from platformctl.engine.checking import names, preflight, reach
from platformctl.engine.checking.preflight import Finding
from platformctl.engine.checking.reach import Way
from platformctl.engine.fleet import Fleet

_PROBE = "roles/preflight/files/network_probe.py"
# In the arguments of the listening process, so that it is known by them.
_MARK = "platformctl-listens"
# A host's listener must be there until the last client has tried.
_SECONDS, _SECONDS_A_HOST = 20.0, 0.5

Answers = Mapping[str, Mapping[str, Any]]


async def check(fleet: Fleet, focus: Iterable[str], data: Path) -> list[Finding]:
    """Try the network of these hosts; other hosts of the site take part where theirs needs them."""
    wanted = frozenset(focus)
    if not wanted:
        return []
    ways = reach.ways(fleet, wanted)
    listening = await _listen(fleet, wanted, ways, data)
    busy = {
        (name, str(protocol), int(port))
        for name, answer in listening.items()
        for protocol, port in answer["busy"]
    }
    try:
        results = await _try(fleet, [way for way in ways if _answers(way, listening, busy)], data)
    finally:
        await _stop(fleet, {name: int(answer["process"]) for name, answer in listening.items()})
    # Packet rules of ours refuse a host that is new to the site until `install` has brought them up to date.
    own = {
        (way.server, way.protocol, way.number)
        for way in results
        if way.guarded and listening[way.server].get("own_rules")
    }
    found = reach.judge(results, frozenset(busy | own), wanted)
    addresses = {host.name: reach.address(host) for host in fleet.hosts.values()}
    for name in wanted & set(listening):
        found += names.judge(fleet.hosts[name], listening[name]["names"], addresses)
    return found


def _answers(way: Way, listening: Answers, busy: set[tuple[str, str, int]]) -> bool:
    """Whether the server takes part; another check names others. The kernel itself answers no datagram."""
    return way.server in listening and (way.protocol == "tcp" or (way.server, "udp", way.number) not in busy)


async def _listen(fleet: Fleet, wanted: frozenset[str], ways: tuple[Way, ...], data: Path) -> Answers:
    ports: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for way in ways:
        ports[way.server].add((way.protocol, way.number))
    seconds = _SECONDS + _SECONDS_A_HOST * len({*wanted, *ports})
    everyone = {name: name for name in fleet.hosts}
    questions = {}
    for name in {*wanted, *ports}:
        about = {
            "resolv_conf": names.resolv_conf(fleet.hosts[name]),
            "hosts": [name, *preflight.peers_of(name, everyone)],
        }
        questions[name] = {
            "as": _MARK,
            "listen": sorted(ports[name]),
            "seconds": seconds,
            **({"names": about} if name in wanted else {}),
        }
    return await _ask(fleet, questions, data)


async def _try(fleet: Fleet, ways: Iterable[Way], data: Path) -> dict[Way, str]:
    by_client: dict[str, list[Way]] = defaultdict(list)
    for way in ways:
        by_client[way.client].append(way)
    questions = {
        client: {"try": [(way.protocol, reach.address(fleet.hosts[way.server]), way.number) for way in found]}
        for client, found in by_client.items()
    }
    answers = await _ask(fleet, questions, data)
    return {
        way: str(why)
        for client, answer in answers.items()
        for way, why in zip(by_client[client], answer["tried"], strict=True)
    }


async def _ask(fleet: Fleet, questions: Mapping[str, Mapping[str, Any]], data: Path) -> dict[str, Any]:
    """Run the probe on these hosts; hosts that give no answer are left out."""
    source = _source(data)

    async def one(name: str, question: Mapping[str, Any]) -> tuple[str, Any]:
        script = f"exec python3 -I -S - {shlex.quote(json.dumps(question))}"
        reply = await remote.run(fleet.hosts[name].connection, script, source, seconds=30)
        return name, reply.document

    answers = await remote.together(one(name, question) for name, question in questions.items())
    return {name: answer for name, answer in answers if answer is not None}


async def _stop(fleet: Fleet, processes: Mapping[str, int]) -> None:
    """End the listeners; a process with the same number that is none is left alone."""
    running = [fleet.hosts[name] for name, number in processes.items() if number]
    script = f"grep -qs {_MARK} /proc/{{0}}/cmdline && kill {{0}}; true"
    await remote.run_all(running, {host.name: script.format(processes[host.name]) for host in running})


@cache
def _source(data: Path) -> str:
    return (data / _PROBE).read_text()
