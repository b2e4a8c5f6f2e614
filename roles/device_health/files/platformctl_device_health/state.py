"""What this program knows, in a file that the device plugin and administrators read.

It lies in memory, so it ends with the host's boot, as the faults of GPUs do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FOLDER = Path("/run/platformctl/device-health")
FILE = "state.json"
REPAIRED = "repaired"
"""Folder of requests: a file for each device file whose GPU an administrator has repaired."""


@dataclass(frozen=True)
class State:
    """faults: device files that are out of service, with the reason. reason: what the schedulers are told.

    gpus: faults of GPUs by PCI address. record: number of the last record of the kernel's log that was read.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    gpus: Mapping[str, str] = field(default_factory=dict)
    record: int = -1


def read(folder: Path) -> State:
    """The state that was written last; an empty one if there is none."""
    try:
        return State(**json.loads((folder / FILE).read_text()))
    except (OSError, TypeError, ValueError):
        return State()


def write(folder: Path, state: State) -> None:
    """Replace the state. Readers see the old or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{FILE}"
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n")
    partial.replace(folder / FILE)


def request(folder: Path, file: str) -> None:
    """Ask the running service to forget the fault of a device file's GPU."""
    wanted = folder / REPAIRED
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / file.removeprefix("/dev/").replace("/", "-")).touch()


def requested(folder: Path) -> list[str]:
    """The device files of such requests, which are taken by this."""
    files = []
    for path in sorted((folder / REPAIRED).glob("*")):
        files.append(f"/dev/{path.name}")
        path.unlink(missing_ok=True)
    return files
