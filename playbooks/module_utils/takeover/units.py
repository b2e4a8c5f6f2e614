"""The units of systemd on a host: their state, who wrote their files, and which runs a process or a port."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ansible.module_utils.takeover import host

_SHOWN = "Id,LoadState,ActiveState,UnitFileState,FragmentPath"
_RUNNING = ("active", "activating", "reloading")
_ENABLED = ("enabled", "enabled-runtime", "linked", "linked-runtime", "alias")
_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")
_OURS = "platformctl"


def states(units: Sequence[str]) -> dict[str, dict[str, str]]:
    """What systemd says of these units, by unit; also of those that are not there."""
    if not units:
        return {}
    output = host.ask("systemctl", "show", f"--property={_SHOWN}", "--", *units)
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in output.strip().split("\n\n")
    ]
    # systemd answers in the order of the question; Id is another name where a unit is an alias.
    return {unit: block for unit, block in zip(units, blocks) if block}  # noqa: B905 - Python 3.9


def running(state: dict[str, str]) -> bool:
    """Whether a unit runs."""
    return state.get("ActiveState", "") in _RUNNING


def enabled(state: dict[str, str]) -> bool:
    """Whether a unit starts at boot."""
    return state.get("UnitFileState", "") in _ENABLED


def in_use(state: dict[str, str]) -> bool:
    """Whether a unit runs or starts at boot."""
    return state.get("LoadState") != "not-found" and (running(state) or enabled(state))


def remembered(state: dict[str, str]) -> dict[str, Any]:
    """A unit's state as the record keeps it."""
    return {"active": running(state), "enabled": state.get("UnitFileState", "") if enabled(state) else ""}


def own_files(unit: str) -> list[str]:
    """Files in /etc that replace the unit of a package, or mask it, and are not platformctl's."""
    path = f"/etc/systemd/system/{unit}"
    link = host.at(path)
    if link.is_symlink():
        return [path] if host.nowhere(path) else []
    return [path] if link.exists() and _OURS not in host.text(path) else []


def drop_ins(unit: str) -> list[tuple[str, bool]]:
    """Drop-ins of others for a unit, and whether each changes what the unit runs."""
    names: dict[str, str] = {}
    for folder in _FOLDERS:
        for path in host.matches(f"{folder}/{unit}.d/*.conf"):
            names.setdefault(path.rpartition("/")[2], path)
    found = []
    for name, path in sorted(names.items()):
        if not host.nowhere(path) and not name.startswith(_OURS) and name != "platformctl.conf":
            found.append((path, bool(re.search(r"(?m)^\s*Exec", host.text(path)))))
    return found


def of_process(pid: str) -> str:
    """The service that a process belongs to; empty for none."""
    names = _UNIT.findall(host.text(f"/proc/{pid}/cgroup"))
    return next((name for name in names if not name.startswith("user@")), "")


def processes(names: Iterable[str]) -> dict[str, str]:
    """The service of each running program of these names; empty for one that no service runs."""
    wanted = {name[:15]: name for name in names}
    found: dict[str, str] = {}
    for comm in host.at("/proc").glob("[0-9]*/comm"):
        name = wanted.get(host.text(comm).strip())
        if name:
            found[name] = of_process(comm.parent.name) or found.get(name, "")
    return found


def port_owners() -> dict[int, dict[str, str]]:
    """By TCP port that something listens on beyond the loopback: the program and its service."""
    sockets: dict[str, int] = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in host.text(path).splitlines()[1:]:
            words = line.split()
            address, port = words[1].rsplit(":", 1)
            loopback = address in ("0100007F", "00000000000000000000000001000000")
            if words[3] == "0A" and not loopback:
                sockets[f"socket:[{words[9]}]"] = int(port, 16)
    owners: dict[int, dict[str, str]] = {}
    for link in host.at("/proc").glob("[0-9]*/fd/*"):
        try:
            port_number = sockets.get(str(link.readlink()))
        except OSError:
            continue
        pid = link.parts[-3]
        if port_number and port_number not in owners:
            owners[port_number] = {"program": host.text(f"/proc/{pid}/comm").strip(), "unit": of_process(pid)}
    return owners
