"""Filters of role preflight: the engine's judgement for plain ansible-playbook."""

from collections.abc import Mapping, Sequence
from typing import Any

from platformctl import paths
from platformctl.engine.checking import claims, findings, floors, node_parts, preflight, runtime_classes


def claimed(name: str, hostvars: Mapping[str, Any]) -> dict[str, Any]:
    """What the stages of a host use there."""
    found = hostvars[name]
    return claims.of_groups(frozenset(found["group_names"]), found, paths.data_dir())


def parts(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What a host is asked for the parts of its node and for its runtime classes."""
    name, groups = str(variables["inventory_hostname"]), variables["group_names"]
    return node_parts.question(variables) | runtime_classes.question(variables, name, groups)


def peers(names: Sequence[str], hostvars: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    """Addresses and ssh ports of the hosts that `name` should try to reach."""
    return preflight.peers_of(name, {other: _place(other, hostvars) for other in names})


def problems(names: Sequence[str], hostvars: Mapping[str, Any], site: str) -> dict[str, list[str]]:
    """By host, what stands in the way of an installation, in words; empty for a host that is fine."""
    subjects = [
        findings.Subject(
            name,
            _address(name, hostvars),
            frozenset(hostvars[name]["group_names"]),
            site,
            hostvars[name]["_preflight_probe"]["probe"],
            variables=hostvars[name],
        )
        for name in names
    ]
    found: dict[str, list[str]] = {name: [] for name in names}
    for finding in preflight.judge(subjects):
        if finding.level is findings.Level.ERROR:
            found[finding.host].append(f"{finding.check}: {finding.found}; {finding.remedy}")
    return found


def _place(name: str, hostvars: Mapping[str, Any]) -> list[Any]:
    return [_address(name, hostvars), int(hostvars[name].get("ansible_port", 22))]


def _address(name: str, hostvars: Mapping[str, Any]) -> str:
    return str(hostvars[name].get("ansible_host", name))


class FilterModule:
    """Registers the filters."""

    def filters(self) -> dict[str, Any]:
        """Filter functions by name."""
        return {
            "preflight_peers": peers,
            "preflight_problems": problems,
            "preflight_claims": claimed,
            "preflight_parts": parts,
            "preflight_floors": lambda _: floors.script(),
        }
