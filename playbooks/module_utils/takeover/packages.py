"""What apt would do to the packages of a host if others were installed: asked of apt, for any package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.takeover import host

_INST = re.compile(r"^Inst (?P<name>[^\s\[]+) (?:\[(?P<old>[^\]]+)\] )?\((?P<new>\S+)")
_REMV = re.compile(r"^(?:Remv|Purg) (?P<name>[^\s\[]+)(?: \[(?P<old>[^\]]+)\])?")
_FORMAT = "${binary:Package}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\n"
_MOST_CAUSES = 3
# apt needs seconds, but a busy host may need minutes.
_PATIENCE = 150
# Of what conflicts() asks of each package.
_FIELDS = 5
_UNFINISHED = ("unpacked", "half-configured", "half-installed")
_PRESENT = ("installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")


def installed() -> dict[str, str]:
    """Version by name of all packages that are there; a foreign architecture's have it in their name."""
    output = host.ask("dpkg-query", "--show", "--showformat", _FORMAT)
    rows = [line.split("\t") for line in output.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 4 and row[3] in _PRESENT}


def unfinished() -> list[str]:
    """In words, the packages that are neither installed nor gone: until they are, apt refuses all others."""
    output = host.ask("dpkg-query", "--show", "--showformat", _FORMAT)
    rows = [line.split("\t") for line in output.splitlines()]
    return [f"{row[0]} is {row[3]}." for row in rows if len(row) == 4 and row[3] in _UNFINISHED]


def plain(name: str) -> str:
    """The name without an architecture."""
    return name.partition(":")[0]


def fates(names: Sequence[str], present: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
    """What happens to present packages when these are installed; and apt's words where it cannot be done.

    Each: name, fate (removed, upgraded, downgraded or held), old and new version. An upgrade within a major
    version is not worth a word.
    """
    known = {plain(name) for name in present}
    wanted = sorted(set(names) - known)
    if not wanted:
        return [], ""
    if not have_lists():
        return conflicts(wanted), ""
    output, words = simulate(wanted)
    # apt's words end before its last cause, or name only what it could not install.
    words = " ".join([words, *unfinished()]) if words else ""
    holds = on_hold()
    found = read(output, holds)
    listed = {entry["name"] for entry in found}
    found += [
        {"name": name, "fate": "held", "old": "", "new": ""}
        for name in holds
        if name in wanted and name not in listed
    ]
    return found, words


def simulate(wanted: Sequence[str]) -> tuple[str, str]:
    """apt-get's own words of what it would do; or why it would not."""
    command = ("apt-get", "--simulate", "--no-install-recommends")
    code, output, errors = host.run(*command, "install", *wanted, seconds=_PATIENCE)
    if code == 0:
        return output, ""
    words = refusal(output + errors)
    if on_hold():
        # Is it for a package that must not change? Then that is what to say.
        code, output, _ = host.run(*command, "--ignore-hold", "install", *wanted, seconds=_PATIENCE)
    return (output, "") if code == 0 else ("", words)


def refusal(output: str) -> str:
    """Why apt refuses, in its own words."""
    said = [line.strip() for line in output.splitlines()]
    errors = [line[2:].strip() for line in said if line.startswith("E:") and "--solver" not in line]
    start = next((number + 1 for number, line in enumerate(said) if "unmet dependencies" in line), len(said))
    causes = [line for line in said[start:] if line and not line.startswith(("E:", "W:", "N:"))]
    # Also what is said of an apt-get that did not end.
    other = [line for line in said if line and not line.startswith(("Reading ", "Building "))][-3:]
    return " ".join([*causes[:_MOST_CAUSES], *errors] or other) or "apt-get failed and wrote nothing"


def read(output: str, holds: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The fates in the output of `apt-get --simulate`."""
    found = []
    for line in output.splitlines():
        if match := _REMV.match(line):
            found.append({"name": match["name"], "fate": "removed", "old": match["old"] or "", "new": ""})
            continue
        match = _INST.match(line)
        if not match or not match["old"]:
            continue
        old, new = match["old"], match["new"]
        fate = "held" if plain(match["name"]) in set(holds) else _change(old, new)
        if fate:
            found.append({"name": match["name"], "fate": fate, "old": old, "new": new})
    return found


def _change(old: str, new: str) -> str:
    """upgraded: to another major version; downgraded: to any older one; empty for what nobody notices."""
    if host.run("dpkg", "--compare-versions", old, "gt", new)[0] == 0:
        return "downgraded"
    return "upgraded" if major(old) != major(new) else ""


def major(version: str) -> str:
    """What counts as a major version: the epoch and the first number, and the second after a 0."""
    epoch, _, rest = version.rpartition(":")
    parts = re.split(r"[.\-+~]", rest)
    return f"{epoch or 0}:{parts[0]}" + (f".{parts[1]}" if parts[0] == "0" and len(parts) > 1 else "")


def on_hold() -> list[str]:
    """Packages that apt must not change, as the administrator said."""
    return [plain(name) for name in host.ask("apt-mark", "showhold").split()]


def conflicts(wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The present packages that say themselves that they cannot be beside these: where apt has no lists.

    What depends on such a package goes with it.
    """
    fields = "${db:Status-Status}\t${binary:Package}\t${Version}\t${Conflicts}, ${Breaks}\t${Depends}\n"
    output = host.ask("dpkg-query", "--show", "--showformat", fields)
    rows = [line.split("\t") for line in output.splitlines() if line.startswith(_PRESENT)]
    there = [row[1:] for row in rows if len(row) == _FIELDS]
    gone = {
        name: version
        for name, version, relations, _ in there
        if plain(name) not in wanted and _refused(relations) & set(wanted)
    }
    grown = True
    while grown:
        lost = {plain(name) for name in gone}
        more = {
            name: version for name, version, _, depends in there if name not in gone and _needs(depends, lost)
        }
        gone, grown = {**gone, **more}, bool(more)
    return [{"name": name, "fate": "removed", "old": version, "new": ""} for name, version in gone.items()]


def _refused(relations: str) -> set[str]:
    """The names in a list of relations. One about versions before some version means former ones."""
    parts = [part.strip() for part in relations.split(",") if part.strip() and "(<" not in part]
    return {plain(part.split()[0]) for part in parts}


def _needs(depends: str, lost: set[str]) -> bool:
    """Whether a package depends on one of these, without an alternative."""
    parts = [part.split("|") for part in depends.split(",") if part.strip()]
    return any({plain(choice.split()[0]) for choice in part if choice.strip()} <= lost for part in parts)


def manual() -> set[str]:
    """Packages that somebody asked for; the others came as dependencies."""
    return {plain(name) for name in host.ask("apt-mark", "showmanual").split()}


def owners(paths: Sequence[str]) -> dict[str, str]:
    """The package of each file that belongs to one."""
    if not paths:
        return {}
    # Packages may still list a path as it was before /lib became a link to /usr/lib.
    asked = [*paths, *(path[4:] for path in paths if path.startswith("/usr/lib/"))]
    output = host.ask("dpkg-query", "--search", *asked)
    found = {}
    for line in output.splitlines():
        names, _, path = line.partition(": ")
        if not line.startswith("diversion"):
            found[path] = plain(names.split(",")[0])
    usual = {path: found[path[4:]] for path in paths if path[4:] in found and path.startswith("/usr/lib/")}
    return {**usual, **{path: found[path] for path in paths if path in found}}


def conffiles() -> dict[str, str]:
    """By path, the digest (MD5) of each configuration file as its package brought it."""
    output = host.ask("dpkg-query", "--show", "--showformat", "${Conffiles}\\n")
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) >= 2 and row[0].startswith("/")}


def have_lists() -> bool:
    """Whether apt has lists of packages, in whatever form it keeps them."""
    return any(host.at("/var/lib/apt/lists").glob("*_Packages*"))


def fetch_lists(proxy: str) -> None:
    """Fetch the lists of packages, for a host that has none; the installation's first stage would do it."""
    options = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"]
    options += ["-o", f"Acquire::http::Proxy={proxy}"] if proxy else []
    host.run("apt-get", "--quiet", *options, "update", seconds=60)
