"""Judges the shared home of all hosts together: one file system, writable, with nosuid and nodev, not full.

A user's container may make programs that belong to any group there. With nosuid such a program gives nobody
the rights of the group, on whatever host it is started.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.engine.checking.findings import Finding, Level, Subject

Home = Mapping[str, Any]

_NEEDED = ("nosuid", "nodev")
_MIB = 1024**2
_FREE_NEEDED, _FREE_WANTED = 64 * _MIB, 1024 * _MIB
# Somebody may make a folder there while the hosts are asked, one after the other.
_SECONDS_BETWEEN = 60
_CHECK = "shared home"
# Mounts what is asked for below it, with options of its own.
_AUTOMOUNTER = "autofs"


def judge(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """What stands in the way on each host, and which hosts have another file system than the others."""
    asked = {subject.name: subject for subject in subjects if subject.probe.get("home")}
    homes: dict[str, Home] = {host: subject.probe["home"] for host, subject in asked.items()}
    shared = any(_mounted(home) for home in homes.values())
    for host, home in homes.items():
        # One that is not mounted is named as such, with the file system that belongs there.
        yield from _own(host, home, alone=len(homes) == 1, options=_mounted(home) or not shared)
    usable = {host: home for host, home in homes.items() if "error" not in home}
    first = next((str(subject.variables.get("shared_home_first_host", "")) for subject in asked.values()), "")
    yield from _differing(usable, first)


def _own(host: str, home: Home, alone: bool, options: bool) -> Iterator[Finding]:
    """alone: no other host is asked. options: whether the options of the mount matter."""
    path = str(home["path"])
    if "error" in home:
        remedy = f"mount it there (umount -l {path}, then mount {path}), or repair its file server"
        yield Finding(host, _CHECK, Level.ERROR, f"{path} {_told(str(home['error']))}", remedy)
        return
    if home["read_only"]:
        remedy = f"mount it for writing there: mount -o remount,rw {home['mount']}"
        yield Finding(host, _CHECK, Level.ERROR, f"{path} is read-only", remedy)
    lacking = [option for option in _NEEDED if option not in home["options"]]
    if options and lacking and home["type"] != _AUTOMOUNTER:
        add = ",".join(lacking)
        if home["mount"] == "/":
            remedy = f"mount the site's shared file system at {path}, with {','.join(_NEEDED)}"
            found = f"{path} is no mount of its own, so it has no {' and no '.join(lacking)}"
        else:
            remedy = f"add {add} to its line in /etc/fstab, then: mount -o remount,{add} {home['mount']}"
            found = f"{path} is mounted without {' and '.join(lacking)}"
        # A single host has no other that could share its home.
        level = Level.WARNING if alone and home["mount"] == "/" else Level.ERROR
        yield Finding(host, _CHECK, level, found, remedy)
    yield from _space(host, path, home)


def _told(error: str) -> str:
    return error if error.startswith(("does", "is")) else f"cannot be used: {error}"


def _space(host: str, path: str, home: Home) -> Iterator[Finding]:
    if home["free_inodes"] == 0:
        yield Finding(host, _CHECK, Level.ERROR, f"{path} takes no more files", "remove files there")
    elif home["free"] < _FREE_WANTED:
        level = Level.ERROR if home["free"] < _FREE_NEEDED else Level.WARNING
        remedy = "free space there: users cannot write what their jobs make"
        yield Finding(host, _CHECK, level, f"{home['free'] // _MIB} MiB free at {path}", remedy)


def _differing(homes: Mapping[str, Home], first: str) -> Iterator[Finding]:
    """The hosts whose file system is not the one of the first host, or of most."""
    names: list[list[str]] = []
    for host, home in homes.items():
        group = next((group for group in names if _same(homes[group[0]], home)), None)
        if group is None:
            names.append([host])
        else:
            group.append(host)
    if len(names) < 2:
        return
    mounted = Counter({index: len(group) for index, group in enumerate(names) if _mounted(homes[group[0]])})
    chosen = next((group for group in names if first in group and _mounted(homes[first])), None)
    right = chosen or names[mounted.most_common(1)[0][0] if mounted else 0]
    for host in (host for group in names if group is not right for host in group):
        home, other = homes[host], right[0]
        path = home["path"]
        what = "is not mounted" if not _mounted(home) and _mounted(homes[other]) else "is another file system"
        found = f"{path} {what} ({_described(home)}; on {other} {_described(homes[other])})"
        remedy = f"mount at {path} what {other} has there"
        yield Finding(host, _CHECK, Level.ERROR, found, remedy)


def _mounted(home: Home) -> bool:
    return str(home["mount"]) != "/"


def _described(home: Home) -> str:
    return f"{home['type']} {home['source']}" if _mounted(home) else "a folder of the host itself"


def _same(one: Home, other: Home) -> bool:
    """Whether two hosts have the same file system: by platformctl's marker, else by the folder."""
    if one["marker"] or other["marker"]:
        return bool(one["marker"] == other["marker"])
    apart = abs(int(one["changed"]) - int(other["changed"]))
    return one["inode"] == other["inode"] and apart < _SECONDS_BETWEEN * 10**9
