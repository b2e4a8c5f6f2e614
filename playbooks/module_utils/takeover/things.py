"""What of others a host has where our roles would work: services, files, data, leftovers, containers.

Each role says in meta/claims.yml what it uses, as things with a name. A thing is what an operator accepts:
all of it at once. What its `fate` says happens to it then:

stopped  its services are stopped and disabled, its files and data are moved aside
kept     its services and data stay, with our configuration
beside   nothing of it changes, so nobody has to accept it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.takeover import containers, database, host, moving, packages, rules, units

_LISTS = ("services", "files", "files_in_use", "processes", "links", "rules")


@dataclass
class Thing:
    """One thing of the claims, as far as nobody has judged it on this host yet."""

    name: str
    fate: str
    services: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    files_in_use: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    database: dict[str, Any] = field(default_factory=dict)
    containers: bool = False


@dataclass
class Finding:
    """What was found of a thing. names: each accepts it. found, notes: in words; notes need no acceptance.

    units: services that a takeover stops, or that run on with our configuration. paths: what it moves aside.
    masks: drop-ins that it puts out of force. ports: wanted TCP ports that its services listen on.
    rules: whether an earlier cluster has left rules for packets. blocked: why it cannot be taken over, in
    words.
    """

    name: str
    fate: str
    names: list[str]
    found: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    rules: bool = False
    denied: str = ""
    blocked: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)


def claimed(stages: Sequence[Mapping[str, Any]], begun: Iterable[str], settled: Iterable[str]) -> list[Thing]:
    """The things of stages that were never begun here, without what a stage of ours already uses."""
    done, known = set(begun), set(settled)
    for stage in stages:
        if stage["stage"] in done:
            known |= {item for claim in stage["things"].values() for item in items(claim)}
    things: dict[str, Thing] = {}
    for stage in stages:
        for name, claim in stage["things"].items() if stage["stage"] not in done else ():
            thing = things.setdefault(name, Thing(name, claim.get("fate", "stopped")))
            for key in (*_LISTS, "directories", "programs"):
                own = getattr(thing, key)
                own += [item for item in claim.get(key, ()) if item not in known and item not in own]
            thing.database = thing.database or claim.get("database", {})
            thing.containers = thing.containers or bool(claim.get("containers"))
    return list(things.values())


def items(claim: Mapping[str, Any]) -> set[str]:
    """Everything that a claim names."""
    return {item for key in (*_LISTS, "directories", "programs") for item in claim.get(key, ())}


def look(things: Sequence[Thing]) -> list[Finding]:
    """What is there of these things."""
    if not things:
        return []
    states = units.states(sorted({unit for thing in things for unit in thing.services}))
    paths = [path for thing in things for path in _existing(thing.files + thing.files_in_use)]
    pristine = _pristine(paths)
    findings = []
    for thing in things:
        finding = Finding(thing.name, thing.fate, [thing.name])
        _services(thing, states, finding)
        _files(thing, pristine, finding)
        _running(thing, finding)
        _own(finding, states)
        if thing.database:
            _database(thing, states, finding)
        if finding.found or finding.notes or finding.denied:
            findings.append(finding)
    obstacles = moving.obstacles([path for finding in findings for path in finding.paths])
    for finding in findings:
        finding.blocked = [obstacles[path] for path in finding.paths if path in obstacles]
    return findings


def _services(thing: Thing, states: Mapping[str, Mapping[str, str]], finding: Finding) -> None:
    for unit in thing.services:
        state = dict(states.get(unit, {}))
        if units.in_use(state):
            how = "runs" if units.running(state) else "starts at boot"
            finding.found.append(f"{unit} {how}")
            finding.units.append(unit)
        for path in units.own_files(unit) if thing.fate != "beside" else ():
            finding.found.append(f"{path} replaces the unit that platformctl uses")
            finding.paths.append(path)
        for path, runs in units.drop_ins(unit) if thing.fate != "beside" else ():
            if runs:
                finding.found.append(f"{path} changes what {unit} runs")
                finding.masks.append(path)
            else:
                finding.notes.append(f"{path} changes {unit} and stays in force")


def _files(thing: Thing, pristine: set[str], finding: Finding) -> None:
    files = [path for path in _existing(thing.files) if path not in pristine]
    if finding.units:
        files += [path for path in _existing(thing.files_in_use) if path not in pristine]
    files = [path for path in files if path not in finding.paths]
    if files:
        finding.found.append(f"{_some(files)} would be overwritten")
    if thing.fate == "stopped":
        finding.paths += files
    full = [path for path in _existing(thing.directories) if _holds(path)]
    if full and thing.fate != "beside":
        finding.found.append(f"{_some(full)} {'has' if len(full) == 1 else 'have'} data")
        finding.paths += full if thing.fate == "stopped" else []
    programs = _existing(thing.programs)
    if programs:
        finding.found.append(f"{_some(programs)} would be found before platformctl's programs")
        finding.paths += programs


def _running(thing: Thing, finding: Finding) -> None:
    for program, unit in sorted(units.processes(thing.processes).items()):
        if unit and unit not in finding.units:
            finding.found.append(f"{program} runs ({unit})")
            finding.units.append(unit)
        elif not unit:
            finding.found.append(f"{program} runs")
    for link in thing.links:
        if host.at(f"/sys/class/net/{link}").exists():
            finding.found.append(f"the network interface {link} is there")
            finding.links.append(link)
    words = rules.found() if thing.rules else []
    if words:
        finding.found.append(f"rules of an earlier cluster are in force ({', '.join(words)})")
        finding.rules = True
    if thing.containers and finding.found:
        finding.found += containers.words()


def _own(finding: Finding, states: Mapping[str, Mapping[str, str]]) -> None:
    """A service may also be accepted by the name of its package."""
    fragments = {unit: states.get(unit, {}).get("FragmentPath", "") for unit in finding.units}
    owners = packages.owners([path for path in fragments.values() if path])
    finding.names += [name for name in dict.fromkeys(owners.values()) if name not in finding.names]


def _database(thing: Thing, states: Mapping[str, Mapping[str, str]], finding: Finding) -> None:
    """A database server of others is used beside them; only its data without a server is in the way."""
    state = dict(states.get(thing.services[0], {})) if thing.services else {}
    finding.found, finding.paths = [], []
    if state.get("LoadState") != "loaded":
        full = [path for path in thing.directories if _holds(path)]
        if full:
            finding.fate = "stopped"
            finding.found.append(f"{_some(full)} has data of a database server that is not there")
            finding.paths = full
        return
    if not units.running(state):
        others = database.folders()
        if others or units.enabled(state):
            finding.notes.append(_beside(thing, others))
        return
    seen = database.look(thing.database)
    if "denied" in seen:
        finding.denied = seen["denied"]
        return
    finding.notes.append(_beside(thing, seen["databases"]))
    if seen["ours"]:
        finding.fate, finding.ours = "kept", seen["ours"]
        finding.found.append(f"{' and '.join(seen['ours'])} would be used and changed")


def _beside(thing: Thing, others: Sequence[str]) -> str:
    serves = f" ({', '.join(others)})" if others else ""
    return f"{thing.services[0]} of others is used beside them{serves}: no restart, and its settings stay"


def _existing(patterns: Iterable[str]) -> list[str]:
    found = (path for pattern in patterns for path in host.matches(pattern))
    return list(dict.fromkeys(found))


def _holds(path: str) -> bool:
    place = host.at(path)
    return bool(place.is_dir() and host.filled(path))


def _pristine(paths: Sequence[str]) -> set[str]:
    """Those of the files that are as their package brought them: nothing of anybody's is in them."""
    if not paths:
        return set()
    digests = packages.conffiles()
    return {path for path in paths if path in digests and _digest(path) == digests[path]}


def _digest(path: str) -> str:
    try:
        # As dpkg records it, not for security.
        return hashlib.md5(host.at(path).read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return ""


def _some(paths: Sequence[str], most: int = 4) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
