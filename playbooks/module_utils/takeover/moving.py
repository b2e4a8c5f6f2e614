"""Moves files and folders aside and back, also between file systems: owners, modes and links stay.

Data in a folder that is a mount point cannot be moved beside itself, so it goes to the record. Inside it
could not stay: what ends an installation, such as `kubeadm reset`, empties these folders.
"""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
from collections.abc import Sequence

from ansible.module_utils.takeover import host, record

_GIB = 1 << 30
# What the host itself needs to go on.
_SPARE = _GIB
# Belongs to the file system, not to what is in it.
LOST = "lost+found"
# Here is what a move has begun to take, so that a move that was killed goes on with the same.
_STAGING = ".platformctl-moving"
# Behind the name of what has begun to return. From then on all that is at its place came from there.
_RETURNING = ".returning"
_COPY_SECONDS = 7200


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


def obstacles(paths: Sequence[str]) -> dict[str, str]:
    """Why the data of mount points cannot be moved to the record, in words by path; empty where all can.

    paths: all that are to be moved; those that are no mount points need no room.
    """
    found: dict[str, str] = {}
    free = _free()
    for path in paths:
        place = host.at(path)
        if place.is_symlink() or not place.is_dir() or not host.mounted(place):
            continue
        below, needed = host.mounts_below(place), _used(place)
        if below:
            found[path] = f"{path} is a mount point, and {below[0]} is mounted below it"
        elif needed + _SPARE > free:
            found[path] = (
                f"{path} is a mount point with {needed / _GIB:.1f} GiB of data, "
                f"and {record.FOLDER} has {max(0, free) / _GIB:.1f} GiB free for it"
            )
        free -= needed
    return found


def empty(source: pathlib.Path, target: pathlib.Path) -> None:
    """Move all that a mount point holds to a new folder.

    RuntimeError: it could not be copied. Then all of it is where it was.
    """
    staging = source / _STAGING
    if not target.exists():
        staging.mkdir(mode=0o700, exist_ok=True)
        for entry in source.iterdir():
            if entry.name not in (_STAGING, LOST):
                if os.path.lexists(staging / entry.name):
                    raise RuntimeError(f"{entry} is there again, and so is {staging / entry.name}: keep one")
                entry.rename(staging / entry.name)
        try:
            _copy(staging, target)
        except RuntimeError:
            unstage(source)
            raise
    drop_staged(source)


def drop_staged(place: pathlib.Path) -> None:
    """Remove what was taken from a mount point and has arrived."""
    if (place / _STAGING).is_dir():
        shutil.rmtree(place / _STAGING)


def unstage(place: pathlib.Path) -> bool:
    """Put back what `empty` had begun to take from a mount point; whether there was something."""
    staging = place / _STAGING
    if not staging.is_dir():
        return False
    for entry in staging.iterdir():
        if os.path.lexists(place / entry.name):
            raise RuntimeError(f"{place / entry.name} is there again, and so is {entry}: keep one")
        entry.rename(place / entry.name)
    staging.rmdir()
    return True


def returning(source: pathlib.Path) -> pathlib.Path | None:
    """What of a folder that was moved aside has not returned yet; None if its return has not begun."""
    begun = source.with_name(source.name + _RETURNING)
    return begun if os.path.lexists(begun) else None


def fill(source: pathlib.Path, target: pathlib.Path) -> None:
    """Move all that a folder holds into an empty mount point, or go on with that.

    RuntimeError: something could not be copied.
    """
    begun = returning(source)
    if begun is None:
        begun = source.with_name(source.name + _RETURNING)
        source.rename(begun)
    for entry in begun.iterdir():
        if os.path.lexists(target / entry.name):
            _remove(entry)  # its copy is whole, and was to be removed when this was broken off
        else:
            move(entry, target / entry.name)
    begun.rmdir()


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    if os.path.lexists(partial):
        _remove(partial)
    target.parent.mkdir(parents=True, exist_ok=True)
    copied = ("cp", "--archive", "--no-target-directory", str(source), str(partial))
    for command in (copied, ("sync", "--file-system", str(target.parent))):
        code, _, errors = host.run(*command, seconds=_COPY_SECONDS)
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
