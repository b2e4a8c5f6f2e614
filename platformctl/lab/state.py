"""A lab's files on disk, and the locks that prevent two commands from changing the same thing."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import TextIO

from platformctl import paths

_MACHINE_LOCK = ".machine.lock"


def labs_folder() -> Path:
    """The folder that has one folder for each lab."""
    return paths.state_dir() / "labs"


def folder(lab: str) -> Path:
    """The folder of a lab: key, known_hosts, lab.json and perhaps an inventory."""
    return labs_folder() / lab


def write(lab: str, inventory: Path, source: Path | str, slot: IPv4Network, shared: str = "") -> None:
    """Record where the lab's inventory is, what it was made from, its network, and a fleet's container."""
    record = {"name": lab, "inventory": str(inventory), "source": str(source), "network": str(slot)}
    record |= {"shared": shared} if shared else {}
    unfinished = folder(lab) / "lab.json.new"
    unfinished.write_text(json.dumps(record, indent=2) + "\n")
    unfinished.rename(folder(lab) / "lab.json")


def read(lab: str) -> dict[str, str] | None:
    """What `write` recorded, or None."""
    try:
        record: dict[str, str] = json.loads((folder(lab) / "lab.json").read_text())
    except FileNotFoundError:
        return None
    return record


@contextmanager
def machine_lock() -> Iterator[None]:
    """The lock for changes of what all labs share: networks, firewall, package cache, image."""
    labs_folder().mkdir(parents=True, exist_ok=True)
    with (labs_folder() / _MACHINE_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def lab_lock(lab: str, say: Callable[[str], None]) -> Iterator[None]:
    """The lock for changes of a lab. A second command waits, and says which process it waits for."""
    labs_folder().mkdir(parents=True, exist_ok=True)
    path = labs_folder() / f".{lab}.lock"
    while True:
        with path.open("a+") as lock:
            _acquire(lock, lab, say)
            if not _is_current(lock, path):
                continue
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _acquire(lock: TextIO, lab: str, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        say(f"process {lock.read() or 'unknown'} is changing lab {lab}; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_current(lock: TextIO, path: Path) -> bool:
    """Whether the locked file is still at its path: if the last holder removed it, the lock is useless."""
    try:
        return os.fstat(lock.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
