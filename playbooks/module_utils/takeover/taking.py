"""Takes a host on: records what was there, then stops, moves aside and removes what the operator accepted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.takeover import host, moving, packages, record, rules, survey, things, units

_MOVED = f"{record.BEFORE}/moved"


def take(site: str, claims: Mapping[str, Any], accepted: Sequence[str]) -> dict[str, Any]:
    """Returns `refused`: what nobody accepted, and then nothing is changed; and `done`, in words.

    RuntimeError: another run takes the host on, or gives it back.
    """
    with host.alone("takeover"):
        return _take(site, claims, accepted)


def _take(site: str, claims: Mapping[str, Any], accepted: Sequence[str]) -> dict[str, Any]:
    seen = survey.look(claims)
    # A takeover that was killed goes on with what was accepted for it.
    accepted = [*accepted, *seen["accepted"]]
    findings = seen["findings"]
    refused = [words for finding in findings if not accepts(finding, accepted) for words in finding["found"]]
    refused += [words for finding in findings for words in finding["blocked"]]
    if refused:
        return {"refused": refused, "done": []}
    agreed = [finding for finding in findings if finding["found"]]
    _remember(claims, seen, agreed, accepted)
    done = [words for finding in agreed for words in _carry_out(finding)]
    done += _remove([finding for finding in agreed if finding["fate"] == "removed"])
    record.add(record.TAKEOVER, {"settled": _settled(claims, seen["begun"])})
    _write_site(site)
    return {"refused": [], "done": done}


def accepts(finding: Mapping[str, Any], accepted: Iterable[str]) -> bool:
    """Whether the operator agreed to a finding, or need not."""
    return not finding["found"] or bool(set(finding["names"]) & set(accepted))


def _remember(
    claims: Mapping[str, Any],
    seen: Mapping[str, Any],
    agreed: Sequence[Mapping[str, Any]],
    accepted: Sequence[str],
) -> None:
    """Write the record before anything changes, so that a run that is killed in between loses nothing."""
    begun = set(seen["begun"])
    if "packages" not in record.read(record.PACKAGES) and not begun:
        asked = packages.manual()
        versions = {
            name: {"version": version, "auto": packages.plain(name) not in asked}
            for name, version in packages.installed().items()
        }
        record.write(record.PACKAGES, {"packages": versions})
    fates = {
        fate: {finding["name"]: finding["version"] for finding in agreed if finding["fate"] == fate}
        for fate in ("removed", "upgraded", "downgraded", "held")
    }
    record.add(record.PACKAGES, {fate: names for fate, names in fates.items() if names})
    claim_list = _fresh(claims, begun)
    changed = {unit for claim in claim_list for unit in claim.get("services", ())}
    changed |= {unit for finding in agreed for unit in finding["units"]}
    changed |= set(_units_of(list(fates["removed"])))
    states = units.states(sorted(changed))
    record.add(record.SERVICES, {unit: units.remembered(state) for unit, state in states.items()})
    names = {name for finding in agreed for name in finding["names"]}
    kept = [unit for finding in agreed if finding["fate"] == "kept" for unit in finding["units"]]
    beside = [
        finding["name"] for finding in seen["findings"] if finding["fate"] == "beside" and finding["notes"]
    ]
    beside += [finding["name"] for finding in agreed if finding["ours"]]
    record.add(
        record.TAKEOVER,
        {
            "accepted": sorted(set(accepted) & names),
            "kept": kept,
            "beside": beside,
            "stays": [path for claim in claim_list for path in _staying(claim)],
            "database": [item for finding in agreed for item in finding["ours"]],
            "moved": {path: _aside(path) for finding in agreed for path in finding["paths"]},
            "masked": [path for finding in agreed for path in finding["masks"]],
        },
    )


def _fresh(claims: Mapping[str, Any], begun: Iterable[str]) -> list[Mapping[str, Any]]:
    """What the stages claim that were never begun here."""
    return [
        claim
        for stage in claims.get("stages", ())
        if stage["stage"] not in begun
        for claim in stage["things"].values()
    ]


def _settled(claims: Mapping[str, Any], begun: Iterable[str]) -> list[str]:
    """What no later run judges again: from here on it may be ours."""
    return sorted({item for claim in _fresh(claims, begun) for item in things.items(claim)})


def _staying(claim: Mapping[str, Any]) -> list[str]:
    """Folders with data of others that our roles use too."""
    shared = claim.get("fate") in ("kept", "beside")
    return [
        path
        for path in claim.get("directories", ())
        if shared and host.at(path).is_dir() and host.filled(path)
    ]


def _units_of(names: Sequence[str]) -> list[str]:
    """The services, sockets and timers that packages bring and that are in use."""
    paths = host.ask("dpkg-query", "--listfiles", *names).split() if names else []
    found = {
        path.rpartition("/")[2]
        for path in paths
        if "/systemd/system/" in path and path.endswith((".service", ".socket", ".timer"))
    }
    states = units.states(sorted(name for name in found if "@" not in name))
    return [unit for unit, state in states.items() if units.in_use(state)]


def _carry_out(finding: Mapping[str, Any]) -> list[str]:
    done = []
    if finding["fate"] == "stopped":
        for unit in finding["units"]:
            done += [f"stopped {unit}"] if stop(unit) else []
    moved = record.read(record.TAKEOVER).get("moved", {})
    done += [f"moved {path} to {moved[path]}" for path in finding["paths"] if _move(path, moved[path])]
    for path in finding["masks"]:
        _mask(path)
        done.append(f"put {path} out of force")
    for link in finding["links"]:
        host.run("ip", "link", "delete", link)
    if finding["rules"]:
        rules.remove()
        done.append(f"removed the rules of an earlier cluster; all were saved in {rules.SAVED}")
    if finding["fate"] == "held":
        host.run("apt-mark", "unhold", finding["name"])
        done.append(f"took {finding['name']} off hold")
    if finding["fate"] == "downgraded":
        done += _apt(["install", "--allow-downgrades", finding["name"]], f"replaced {finding['name']}")
    if done:
        host.run("systemctl", "daemon-reload")
    return done


def stop(unit: str, disable: bool = True) -> bool:
    """Stop a unit, and keep it from starting at boot; whether there was something to do."""
    state = units.states([unit]).get(unit, {})
    socket = unit.replace(".service", ".socket")
    if not units.in_use(state):
        return False
    verb = ("disable", "--now") if disable else ("stop",)
    code, _, errors = host.run("systemctl", *verb, unit, seconds=120)
    if code != 0 and units.running(units.states([unit]).get(unit, {})):
        raise RuntimeError(f"systemctl {' '.join(verb)} {unit} failed: {errors.strip()}")
    # What a socket starts again at the next connection has not stopped.
    if socket != unit and units.running(units.states([socket]).get(socket, {})):
        host.run("systemctl", "stop", socket)
    return True


def _aside(path: str) -> str:
    """Where a path is moved: folders beside themselves, on their file system; all else to the record."""
    place = host.at(path)
    if not place.is_dir() or place.is_symlink() or host.mounted(place):
        return f"{_MOVED}{path}"
    return f"{path}{host.ASIDE}"


def _move(path: str, aside: str) -> bool:
    source, target = host.at(path), host.at(aside)
    if not os.path.lexists(source):
        return False
    if not source.is_symlink() and source.is_dir() and host.mounted(source):
        if not host.filled(path):
            return False
        moving.empty(source, target)
        return True
    if os.path.lexists(target):
        raise RuntimeError(
            f"{path} is there again, and what was there before is in {aside}: take one of them away"
        )
    moving.move(source, target)
    return True


def _mask(path: str) -> None:
    """A link to nothing of the same name in /etc puts a drop-in out of force, whichever folder it is in."""
    name, folder = path.rpartition("/")[2], path.split("/")[-2]
    link = host.at(f"/etc/systemd/system/{folder}/{name}")
    if link.is_symlink():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists():
        kept = host.at(f"{_MOVED}{path}")
        moving.move(link, kept)
        record.add(record.TAKEOVER, {"moved": {path: f"{_MOVED}{path}"}})
    link.symlink_to("/dev/null")


def _remove(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [finding["name"] for finding in findings]
    return _apt(["remove", *names], f"removed {', '.join(names)}") if names else []


def _apt(arguments: Sequence[str], words: str) -> list[str]:
    options = ("--quiet", "--assume-yes", "-o", "DPkg::Lock::Timeout=300")
    code, output, errors = host.run("apt-get", *options, *arguments, seconds=600)
    if code != 0:
        raise RuntimeError(f"apt-get {' '.join(arguments)} failed: {packages.refusal(output + errors)}")
    return [words]


def _write_site(site: str) -> None:
    folder = host.at(record.FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "managed"
    if host.text(path).strip() != site:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(f"{site}\n")
