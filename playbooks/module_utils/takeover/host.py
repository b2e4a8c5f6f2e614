"""A host's files and commands, as everything in this package reads them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import re
import subprocess
from collections.abc import Iterator, Mapping

# Tests put another folder here.
ROOT = pathlib.Path("/")
# What a folder has behind its name once it is moved aside.
ASIDE = ".before-platformctl"


def at(path: str) -> pathlib.Path:
    """The host's file of this absolute path."""
    return ROOT / path.lstrip("/")


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Do something that no other run does on this host at the same time.

    A program goes on when the ssh that started it has gone. RuntimeError: it is being done.
    """
    path = at(f"/run/platformctl-{what}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"an earlier run is still at it ({path} is locked): wait until it ends"
            ) from None
        yield


def text(path: str | pathlib.Path) -> str:
    """A file's content; empty if it cannot be read."""
    try:
        return (at(path) if isinstance(path, str) else path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


_HANGS = 124


def run(
    *command: str, seconds: float = 20, environment: Mapping[str, str] | None = None, data: str = ""
) -> tuple[int, str, str]:
    """Exit status, output and errors of a command, in English; 127 if it is not there, 124 if it hangs."""
    # Programs that a site built itself must not answer in place of the system's.
    settings = {
        **os.environ,
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "DEBIAN_FRONTEND": "noninteractive",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        **(environment or {}),
    }
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=settings,
            input=data,
            check=False,
        )
    except OSError as error:
        return 127, "", str(error)
    except subprocess.TimeoutExpired:
        return _HANGS, "", f"{command[0]} did not end within {seconds:.0f} s"
    return done.returncode, done.stdout, done.stderr


def ask(*command: str, seconds: float = 60) -> str:
    """What a command says that only looks, empty where it is not there.

    RuntimeError: it hangs. To take that for "there is nothing" would cost somebody what is there.
    """
    code, output, errors = run(*command, seconds=seconds)
    if code == _HANGS:
        raise RuntimeError(f"{errors}: {' '.join(command)[:120]}")
    return output


def matches(pattern: str) -> Iterator[str]:
    """The paths that exist for a path with wildcards, sorted; links that lead nowhere too."""
    relative = pattern.lstrip("/")
    for found in sorted(ROOT.glob(relative)):
        yield "/" + str(found.relative_to(ROOT))
    path = at(pattern)
    if path.is_symlink() and not path.exists():
        yield pattern


def mounted(place: pathlib.Path) -> bool:
    """Whether something is mounted at a place; also a folder on itself, as a kubelet does with its own."""
    return os.path.ismount(place) or str(place) in _mount_points()


def mounts_below(place: pathlib.Path) -> list[str]:
    """The mount points below a folder, without itself."""
    return sorted(point for point in _mount_points() if point.startswith(f"{place}/"))


def _mount_points() -> set[str]:
    try:
        rows = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    # Blanks and backslashes in it are written as octal numbers.
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), row.split()[4]) for row in rows}


def nowhere(path: str) -> bool:
    """Whether a path is a link to /dev/null, with which systemd puts a file out of force."""
    link = at(path)
    return link.is_symlink() and str(link.readlink()) == "/dev/null"


def filled(path: str) -> bool:
    """Whether there is anything but folders below a folder."""
    return any(files for _, _, files in os.walk(at(path)))
