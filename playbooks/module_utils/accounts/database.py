"""What a host has of users and groups, where it has them from, and what platformctl has noted about them.

Standard library only, Python 3.9 or newer: preflight runs it on hosts to which nothing was applied yet.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import json
import os
import pathlib
import pwd
import shutil
from collections.abc import Iterable
from typing import Any

# These answer what the files say, and some users of systemd's own.
_LOCAL_SOURCES = frozenset({"files", "compat", "systemd"})
# A login leaves these for seconds; they are nobody's work.
_IDLE = frozenset({"systemd", "(sd-pam)"})
_SHOWN = 5


class Database:
    """The users and groups of /etc/passwd and /etc/group, and those that other sources of the host know."""

    def __init__(self, etc: pathlib.Path = pathlib.Path("/etc")) -> None:
        self.users = {entry.pw_name: entry for entry in _passwd(etc / "passwd")}
        self.groups = {entry.gr_name: entry for entry in _group(etc / "group")}
        self.sources = _sources(etc / "nsswitch.conf")
        self._expiries = _expiries(etc / "shadow")

    def user_elsewhere(self, name: str) -> pwd.struct_passwd | None:
        """A user whom only a directory knows (sssd, LDAP): the files have nobody of that name."""
        if not self.sources or name in self.users:
            return None
        try:
            return pwd.getpwnam(name)
        except KeyError:
            return None

    def group_elsewhere(self, name: str) -> grp.struct_group | None:
        """A group that only a directory knows."""
        if not self.sources or name in self.groups:
            return None
        try:
            return grp.getgrnam(name)
        except KeyError:
            return None

    def holders_of_uid(self, uid: int) -> set[str]:
        """The users who have a number; a directory is asked, too."""
        found = {name for name, entry in self.users.items() if entry.pw_uid == uid}
        if self.sources and not found:
            with contextlib.suppress(KeyError):
                found.add(pwd.getpwuid(uid).pw_name)
        return found

    def holders_of_gid(self, gid: int) -> set[str]:
        """The groups that have a number; a directory is asked, too."""
        found = {name for name, entry in self.groups.items() if entry.gr_gid == gid}
        if self.sources and not found:
            with contextlib.suppress(KeyError):
                found.add(grp.getgrgid(gid).gr_name)
        return found

    def expiry(self, name: str) -> str:
        """The day from which a user of the files may not log in, in days since 1970; empty if never."""
        return self._expiries.get(name, "")

    def memberships(self, name: str) -> set[str]:
        """The supplementary groups that /etc/group gives a user."""
        return {group for group, entry in self.groups.items() if name in entry.gr_mem and group != name}

    def numbers(self, name: str) -> list[int] | None:
        """The uid and gid of a user, from whatever source; None if there is no such user."""
        entry = self.users.get(name) or self.user_elsewhere(name)
        return [entry.pw_uid, entry.pw_gid] if entry else None


class Record:
    """What the host keeps about users and groups that platformctl has touched.

    users, groups: by name the fields from before the first change, or None for one that platformctl made.
    joined: by user the groups that platformctl put the user into. system: users of services that it made.
    expired: by disabled user the day of expiry from before.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.there = path.is_file()
        content = json.loads(path.read_text(encoding="utf-8")) if self.there else {}
        self.users: dict[str, dict[str, Any] | None] = content.get("users", {})
        self.groups: dict[str, dict[str, Any] | None] = content.get("groups", {})
        self.joined: dict[str, list[str]] = content.get("joined", {})
        self.system: list[str] = content.get("system", [])
        self.expired: dict[str, str] = content.get("expired", {})
        self._content = self._text()

    def note_user(self, name: str, database: Database) -> None:
        """Keep a user as it is now, unless something was kept before."""
        if name not in self.users:
            entry = database.users.get(name)
            self.users[name] = entry and {
                "uid": entry.pw_uid,
                "gid": entry.pw_gid,
                "comment": entry.pw_gecos,
                "home": entry.pw_dir,
                "shell": entry.pw_shell,
                "groups": sorted(database.memberships(name)),
            }

    def note_group(self, name: str, database: Database) -> None:
        """Keep a group as it is now, unless something was kept before."""
        if name not in self.groups:
            entry = database.groups.get(name)
            self.groups[name] = entry and {"gid": entry.gr_gid, "members": sorted(entry.gr_mem)}

    def forget(self, users: Iterable[str], groups: Iterable[str]) -> None:
        """Drop what is as it was before again."""
        for name in users:
            self.users.pop(name, None)
            self.joined.pop(name, None)
            self.expired.pop(name, None)
        for name in groups:
            self.groups.pop(name, None)

    def write(self) -> None:
        """Write it if it differs; a reader sees the old file or the new one, never a part of one."""
        content = self._text()
        if self.there and content == self._content:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.chmod(0o700)
        temporary = self._path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self.there, self._content = True, content

    def _text(self) -> str:
        content = {
            "users": self.users,
            "groups": self.groups,
            "joined": self.joined,
            "system": self.system,
            "expired": self.expired,
        }
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


def write_home(name: str, home: str, etc: pathlib.Path = pathlib.Path("/etc")) -> None:
    """Set the home of a user in passwd, under the lock that usermod takes too. OSError: it is not free."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.lckpwdf():
        raise OSError(ctypes.get_errno(), "something else changes users", str(etc / "passwd"))
    try:
        path, temporary = etc / "passwd", etc / "passwd.platformctl"
        rows = [line.split(":") for line in path.read_text(errors="surrogateescape").splitlines()]
        lines = [":".join([*row[:5], home, *row[6:]] if row[0] == name else row) for row in rows]
        temporary.write_text("".join(f"{line}\n" for line in lines), errors="surrogateescape")
        shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        libc.ulckpwdf()


def made_by_sysusers(name: str, etc: pathlib.Path = pathlib.Path("/etc")) -> bool:
    """Whether a user's password is locked as systemd-sysusers locks it; useradd writes another mark."""
    return f"\n{name}:!*:" in "\n" + _read(etc / "shadow")


def sessions(uid: int) -> list[int]:
    """The processes of a user on the host itself that are in no job of Slurm: logins and what they left."""
    found = [int(words.split()[0]) for words in processes([uid], idle=True).get(uid, ())]
    return [pid for pid in found if not _in_job(pid)]


def _in_job(pid: int) -> bool:
    """Whether a job's control group has the process, or a job's step started it."""
    if any("slurm" in line for line in _read(pathlib.Path(f"/proc/{pid}/cgroup")).splitlines()):
        return True
    while pid > 1:
        # The name is in parentheses and may have any character; the parent is the second field after it.
        name, _, rest = _read(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")
        if not rest or "(slurmstepd" in name:
            return bool(rest)
        pid = int(rest.split()[1])
    return False


def processes(uids: Iterable[int], idle: bool = False) -> dict[int, list[str]]:
    """The processes of these users on the host itself, as `PID NAME`, by uid; not those of containers.

    userdel counts by the same rule: a process with another root is not the host's user's. idle: what a login
    leaves counts as well.
    """
    wanted, found = set(uids), dict[int, list[str]]()
    if not wanted:
        return found
    own_root = _root("self")
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":\t", 1) for line in _read(status).splitlines() if ":\t" in line)
        owner = int(fields.get("Uid", "-1").split()[0])
        counts = owner in wanted and (idle or fields["Name"] not in _IDLE)
        if counts and _root(status.parent.name) == own_root:
            found.setdefault(owner, []).append(f"{status.parent.name} {fields['Name']}")
    return found


def shown(running: list[str]) -> str:
    """Some processes, for people."""
    more = f" and {len(running) - _SHOWN} more" if len(running) > _SHOWN else ""
    return f"{', '.join(running[:_SHOWN])}{more}"


def _root(pid: str) -> tuple[int, int] | None:
    try:
        status = os.stat(f"/proc/{pid}/root")  # noqa: PTH116 - a link that is no path
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _passwd(path: pathlib.Path) -> list[pwd.struct_passwd]:
    rows = [line.split(":") for line in _read(path).splitlines()]
    return [
        pwd.struct_passwd((row[0], row[1], int(row[2]), int(row[3]), *row[4:7]))
        for row in rows
        if len(row) == 7 and row[2].isdigit() and row[3].isdigit()
    ]


def _expiries(path: pathlib.Path) -> dict[str, str]:
    rows = [line.split(":") for line in _read(path).splitlines()]
    return {row[0]: row[7] for row in rows if len(row) == 9}


def _group(path: pathlib.Path) -> list[grp.struct_group]:
    rows = [line.split(":") for line in _read(path).splitlines()]
    return [
        grp.struct_group((row[0], row[1], int(row[2]), [name for name in row[3].split(",") if name]))
        for row in rows
        if len(row) == 4 and row[2].isdigit()
    ]


def _sources(path: pathlib.Path) -> list[str]:
    """Where the host asks for users and groups beside its files."""
    lines = [line.split() for line in _read(path).splitlines() if line.startswith(("passwd:", "group:"))]
    words = [word for line in lines for word in line[1:] if not word.startswith("[")]
    return [word for word in dict.fromkeys(words) if word not in _LOCAL_SOURCES]


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
