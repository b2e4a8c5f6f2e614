"""A host's files and commands, as everything in this package reads them."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator, Mapping

# Tests put another folder here.
ROOT = pathlib.Path("/")
# Where the data of a folder is moved to that is a mount point: beside it would be another file system.
ASIDE = ".before-platformctl"


def at(path: str) -> pathlib.Path:
    """The host's file of this absolute path."""
    return ROOT / path.lstrip("/")


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
    if os.path.ismount(place):
        return True
    try:
        rows = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # Blanks and backslashes in it are written as octal numbers.
    wanted = str(place).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    return any(row.split()[4] == wanted for row in rows)


def nowhere(path: str) -> bool:
    """Whether a path is a link to /dev/null, with which systemd puts a file out of force."""
    link = at(path)
    return link.is_symlink() and str(link.readlink()) == "/dev/null"


def filled(path: str) -> bool:
    """Whether there is anything but folders below a folder; what was moved aside in it does not count."""
    for _, folders, files in os.walk(at(path)):
        if files:
            return True
        folders[:] = [name for name in folders if name != ASIDE]
    return False
