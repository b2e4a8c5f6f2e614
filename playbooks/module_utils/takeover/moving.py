"""Moves files and folders aside and back, also between file systems: owners, modes and links stay.

Data in a folder that is a mount point cannot be moved beside itself, so it goes to the record. Inside it
could not stay: what ends an installation, such as `kubeadm reset`, empties these folders.
"""

from __future__ import annotations

import errno
import os
import pathlib
import shutil

from ansible.module_utils.takeover import host, record

_GIB = 1 << 30
# What the host itself needs to go on.
_SPARE = _GIB
# Belongs to the file system, not to what is in it.
LOST = "lost+found"
# Here is what a move has begun to take, so that a move that was killed goes on with the same.
_STAGING = ".platformctl-moving"
_HOURS = 7200


def move(source: pathlib.Path, target: pathlib.Path) -> None:
    """Move a file or folder. The target is whole as soon as it is there, and the source goes after that.

    RuntimeError: it could not be copied to another file system; the source is as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        _remove(source)


def obstacle(path: str) -> str:
    """Why the data of a mount point cannot be moved to the record, in words; empty where it can."""
    place = host.at(path)
    below = host.mounts_below(place)
    if below:
        return f"{path} is a mount point, and {below[0]} is mounted below it"
    needed, free = _used(place), _free()
    if needed + _SPARE > free:
        return (
            f"{path} is a mount point with {needed / _GIB:.1f} GiB of data, "
            f"and {record.FOLDER} has {free / _GIB:.1f} GiB free for it"
        )
    return ""


def empty(source: pathlib.Path, target: pathlib.Path) -> bool:
    """Move all that a mount point holds to a new folder; whether there was something to do.

    RuntimeError: it could not be copied. Then all of it is still on its file system.
    """
    staging = source / _STAGING
    if not target.exists():
        staging.mkdir(mode=0o700, exist_ok=True)
        for entry in source.iterdir():
            if entry.name not in (_STAGING, LOST):
                entry.rename(staging / entry.name)
        _copy(staging, target)
    elif not staging.exists():
        return False
    shutil.rmtree(staging)
    return True


def fill(source: pathlib.Path, target: pathlib.Path) -> bool:
    """Move all that a folder holds into a mount point; whether all of it has its place there.

    RuntimeError: something could not be copied.
    """
    for entry in source.iterdir():
        if not os.path.lexists(target / entry.name):
            move(entry, target / entry.name)
    if any(source.iterdir()):
        return False
    source.rmdir()
    return True


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    if os.path.lexists(partial):
        _remove(partial)
    target.parent.mkdir(parents=True, exist_ok=True)
    copied = ("cp", "--archive", "--no-target-directory", str(source), str(partial))
    for command in (copied, ("sync", "--file-system", str(target.parent))):
        code, _, errors = host.run(*command, seconds=_HOURS)
        if code != 0:
            if os.path.lexists(partial):
                _remove(partial)
            raise RuntimeError(f"{source} could not be copied to {target}: {errors.strip()}")
    partial.rename(target)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _used(place: pathlib.Path) -> int:
    """Bytes that the files below a folder take."""
    blocks = 0
    for folder, _, files in os.walk(place):
        for name in files:
            try:
                blocks += (pathlib.Path(folder) / name).lstat().st_blocks
            except OSError:
                continue
    return blocks * 512


def _free() -> int:
    """Bytes that are free where the record is."""
    place = host.at(record.FOLDER)
    while not place.exists():
        place = place.parent
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
