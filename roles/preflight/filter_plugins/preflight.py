"""Filters of role preflight: the engine's judgement for plain ansible-playbook."""

from collections.abc import Mapping, Sequence
from typing import Any

from platformctl.engine.checking import preflight


def peers(names: Sequence[str], hostvars: Mapping[str, Any], name: str) -> dict[str, str]:
    """Addresses of the hosts that `name` should try to reach."""
    return preflight.peers_of(name, {other: _address(other, hostvars) for other in names})


def problems(names: Sequence[str], hostvars: Mapping[str, Any], site: str) -> dict[str, list[str]]:
    """By host, what stands in the way of an installation, in words; empty for a host that is fine."""
    subjects = [
        preflight.Subject(
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
        if finding.level is preflight.Level.ERROR:
            found[finding.host].append(f"{finding.check}: {finding.found}; {finding.remedy}")
    return found


def _address(name: str, hostvars: Mapping[str, Any]) -> str:
    return str(hostvars[name].get("ansible_host", name))


class FilterModule:
    """Registers the filters."""

    def filters(self) -> dict[str, Any]:
        """Filter functions by name."""
        return {"preflight_peers": peers, "preflight_problems": problems}
