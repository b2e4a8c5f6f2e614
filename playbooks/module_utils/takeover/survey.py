"""Everything on a host that an installation would take from somebody: packages, things, ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.module_utils.takeover import packages, record, things, units

_WORDS = {
    "removed": "apt would remove {name} {old}",
    "upgraded": "apt would upgrade {name} from {old} to {new}, another major version",
    "downgraded": "apt would replace {name} {old} by the older {new}",
    "held": "{name} is on hold, but would be changed",
}


def look(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What is there of these claims: stages with their things, packages and ports.

    fetch, proxy: whether apt may fetch lists of packages if it has none, and by which proxy. fates: apt's
    answer, if it was asked before. Returns findings; `fates` of packages; `refused`, apt's words where it
    cannot install; `guessed`, whether it could not be asked; the stages that were begun here; and the names
    that were accepted before.
    """
    stages: Sequence[Mapping[str, Any]] = claims.get("stages", ())
    begun = record.begun(stage["stage"] for stage in stages)
    before = record.read(record.TAKEOVER)
    # After a reset that could not bring all back, what was judged before it is judged again.
    settled = () if record.read(record.LEFT) else before.get("settled", ())
    fresh = [stage for stage in stages if stage["stage"] not in begun]
    names = [name for stage in fresh for name in stage.get("packages", ())]
    fates, refused = claims.get("fates"), ""
    if fates is None:
        if fresh and claims.get("fetch") and not packages.have_lists():
            packages.fetch_lists(claims.get("proxy", ""))
        fates, refused = packages.fates(names, packages.installed())
    found = things.look(things.claimed(fresh and stages, begun, settled))
    findings = [asdict(finding) for finding in found]
    findings += _ports(stages, begun, findings)
    return {
        "findings": [*(_package(fate) for fate in fates), *findings],
        "fates": fates,
        "refused": refused,
        "guessed": bool(fresh) and not packages.have_lists(),
        "begun": sorted(begun),
        "accepted": before.get("accepted", []),
    }


def _package(fate: Mapping[str, Any]) -> dict[str, Any]:
    words = _WORDS[fate["fate"]].format(**fate)
    finding = asdict(things.Finding(fate["name"], fate["fate"], [packages.plain(fate["name"]), fate["name"]]))
    finding["names"] = list(dict.fromkeys(finding["names"]))
    return {**finding, "found": [words], "version": fate["old"]}


def _ports(
    stages: Sequence[Mapping[str, Any]], begun: set[str], findings: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Ports that a stage wants and a service of others has; those of a thing that was found belong to it."""
    ours = {int(port) for stage in stages if stage["stage"] in begun for port in stage.get("ports", ())}
    wanted = {int(port) for stage in stages for port in stage.get("ports", ())} - ours
    known = {unit: finding for finding in findings for unit in finding["units"]}
    found: dict[str, things.Finding] = {}
    for port, owner in sorted(units.port_owners().items()) if wanted else ():
        unit = owner["unit"]
        if unit in known:
            known[unit]["ports"].append(port)
        if port not in wanted or not unit or unit in known:
            continue
        name = unit.rpartition(".")[0]
        finding = found.setdefault(unit, things.Finding(name, "stopped", [name], units=[unit]))
        finding.ports.append(port)
        finding.found.append(f"TCP port {port} is in use by {unit} ({owner['program']})")
    fragments = {unit: state.get("FragmentPath", "") for unit, state in units.states(sorted(found)).items()}
    owners = packages.owners([path for path in fragments.values() if path])
    for unit, finding in found.items():
        owner_name = owners.get(fragments.get(unit, ""), "")
        finding.names += [owner_name] if owner_name and owner_name not in finding.names else []
    return [asdict(finding) for finding in found.values()]
