"""Which program reads which file: a table for the programs that every host has, and what a check is.

Roles bring the checks of their own programs.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_UNITS = "/etc/systemd/system/"


@dataclass(frozen=True)
class Check:
    """A command that finds mistakes in files.

    program: its name for people. mistakes: a pattern of the lines that are mistakes; without one, the
    command's exit status says whether there are some. paths: the files that it reads; none for all of them.
    """

    program: str
    command: Sequence[str]
    mistakes: str = ""
    paths: Sequence[str] = ()

    def concerns(self, path: pathlib.Path) -> bool:
        """Whether the check reads this file."""
        return not self.paths or str(path) in self.paths


# Lines that systemd-sysctl and systemd-modules-load read. They can only apply a file, and not try it.
_SYSCTL = r"^\s*([#;]|$)|^\s*-?[A-Za-z0-9_./*-]+\s*=\s*\S|^\s*-[A-Za-z0-9_./*-]+\s*$"
_MODULES = r"^\s*([#;]|$)|^[A-Za-z0-9_-]+\s*$"
# Beginning of a path, program, command, and pattern of its mistakes; {path} stands for the file.
_PROGRAMS = (
    ("/etc/sudoers.d/", "visudo", ("visudo", "--check", "--strict", "--file={path}"), ""),
    ("/etc/ssh/sshd_config", "sshd", ("sshd", "-t"), ""),
    ("/etc/apt/apt.conf.d/", "apt", ("apt-config", "dump"), "{path}"),
    (
        "/etc/tmpfiles.d/",
        "systemd-tmpfiles",
        ("systemd-tmpfiles", "--dry-run", "--create", "{path}"),
        "^{path}:",
    ),
    ("/etc/sysctl.d/", "sysctl", ("grep", "-nvE", _SYSCTL, "{path}"), "^"),
    ("/etc/modules-load.d/", "systemd-modules-load", ("grep", "-nvE", _MODULES, "{path}"), "^"),
)


def checks(paths: Sequence[pathlib.Path]) -> Iterator[Check]:
    """The checks of the files that programs of every host read."""
    units: dict[str, list[str]] = {}
    for path in map(str, paths):
        if path.startswith(_UNITS):
            units.setdefault(_unit(path), []).append(path)
        for beginning, program, command, mistakes in _PROGRAMS:
            if path.startswith(beginning):
                filled = tuple(word.replace("{path}", path) for word in command)
                yield Check(program, filled, mistakes.replace("{path}", re.escape(path)), (path,))
    for unit, files in units.items():
        # A value that systemd cannot read is only a warning to it, and is not applied.
        pattern = "|".join(["^" + re.escape(f"{path}:") for path in files])
        pattern += (
            f"|^{re.escape(unit)}: .*(Refusing|Failed to)|Unit {re.escape(unit)} has a bad unit file setting"
        )
        yield Check("systemd", ("systemd-analyze", "verify", "--man=no", unit), pattern, tuple(files))


def _unit(path: str) -> str:
    """The unit that a file of it or a drop-in belongs to."""
    return path.removeprefix(_UNITS).split("/")[0].removesuffix(".d")
