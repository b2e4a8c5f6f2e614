"""The watched devices of a host: which of their files are faulty now, and why."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformctl_device_health import ports
from platformctl_device_health.commands import Command
from platformctl_device_health.gpus import Gpus
from platformctl_device_health.nvml import Library

XID, LINK, COMMAND = "xid", "link", "command"


@dataclass(frozen=True)
class Device:
    """A device of the inventory's table.

    files: its own ones; the last is its alone. check, command: how it is judged, beside its files being
    there. slurm: whether Slurm offers it.
    """

    files: tuple[str, ...]
    check: str
    command: tuple[str, ...] = ()
    slurm: bool = False


def device(entry: Mapping[str, Any]) -> Device:
    """A device as the settings have it."""
    return Device(tuple(entry["files"]), entry["check"], tuple(entry["command"]), bool(entry["slurm"]))


class Checks:
    """All checks of a host. hardware: the root folder below which /sys is; dev: where device files are.

    library: NVIDIA's, if there are GPUs of nvidia.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        gpus: Gpus,
        hardware: Path,
        dev: Path = Path("/dev"),
        library: Library | None = None,
    ) -> None:
        self._devices = devices
        self._gpus = gpus
        self._library = library
        self._hardware = hardware
        self._dev = dev
        self._commands = {
            one.files[-1]: Command(one.command, one.files[-1]) for one in devices if one.check == COMMAND
        }

    def found(self) -> dict[str, str | None]:
        """For each watched file why it is faulty, empty if it is fine; None if that is not known."""
        return {file: self._fault(one, file) for one in self._devices for file in one.files}

    def _fault(self, one: Device, file: str) -> str | None:
        # A GPU that failed may take its file along; the Xid says more.
        told = self._gpus.fault(file) if one.check == XID else ""
        if not told and one.check == XID and self._library:
            told = self._library.fault(file)
        if told:
            return told
        if not is_device(self._dev / file.removeprefix("/dev/")):
            return "its file is missing"
        if one.check == LINK:
            return ports.fault(self._hardware, file)
        return self._commands[file].fault if file in self._commands else ""


def is_device(path: Path) -> bool:
    """Whether there is a device at a path now."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
