"""A site's lock: the digests that its artefacts must have, one per line. It is kept with the inventory.

    # comment
    source modules
    <hex sha256>  gomodules/tools
    <hex sha256>  wheels/job-router

For `modules` it pins the lock files of the builds: go.sum, whose lines were checked against the Go
checksum database, and the hashes of the wheels. For `upstream` and `mirror` it pins every file and image.
The file's name ends in .txt, because Ansible ignores such files in an inventory folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformctl.errors import ExitCode, PlatformError

NAME = "artifacts.lock.txt"
HEADER = "# What this site may install. Made by `platformctl artifacts lock`; keep it with the inventory."


@dataclass(frozen=True)
class Lock:
    """Pins (hex sha256 by name) for one source."""

    source: str
    pins: Mapping[str, str]


def lock_path(inventory: Path) -> Path:
    """The path of an inventory's lock."""
    return (inventory if inventory.is_dir() else inventory.parent) / NAME


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock, sorted, so that a version control system shows what changed."""
    lines = [HEADER, f"source {lock.source}"]
    lines += [f"{digest}  {name}" for name, digest in sorted(lock.pins.items())]
    path.write_text("\n".join(lines) + "\n")


def read_lock(path: Path) -> Lock | None:
    """Read a lock; None if the file does not exist."""
    if not path.exists():
        return None
    source = ""
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        first, _, name = line.strip().partition(" ")
        if not first or first.startswith("#"):
            continue
        if first == "source":
            source = name.strip()
        elif len(first) == 64 and name.strip():
            pins[name.strip()] = first
        else:
            raise PlatformError(
                f"line {number} is not `<sha256>  <name>`: {line}",
                where=str(path),
                next="platformctl artifacts lock",
                code=ExitCode.INVALID,
            )
    return Lock(source, pins)


def check_pins(path: Path, lock: Lock, source: str, pins: Mapping[str, str]) -> None:
    """Refuse a lock of another source, or one whose digests differ from what would be used."""
    remedy = "review the change, then `platformctl artifacts lock`"
    if lock.source != source:
        raise PlatformError(
            f"the lock is for the source {lock.source}, the site asks for {source}",
            where=str(path),
            next=remedy,
            code=ExitCode.INVALID,
        )
    details = [
        f"{name}: would use {digest}, the lock says {lock.pins.get(name, 'nothing')}"
        for name, digest in sorted(pins.items())
        if lock.pins.get(name) != digest
    ]
    if details:
        raise PlatformError(
            "artefacts differ from the site's lock; nothing was installed",
            where=str(path),
            next=remedy,
            details=details,
            code=ExitCode.REFUSED,
        )
