"""Files to write: what differs, what is in the way, and the move into place.

A set of files is first written beside its places, then tried, and only then moved: until the last step the
host is as it was.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import pathlib
import pwd
import struct
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

_PREFIX = ".platformctl-"
_HOUR = 3600
_GET_FLAGS, _IMMUTABLE = 0x80086601, 0x10  # FS_IOC_GETFLAGS and FS_IMMUTABLE_FL of linux/fs.h


class RefusedError(Exception):
    """What a person is told who has to mend something before the files can be written."""


@dataclass
class Wanted:
    """A file as it shall be. variables: names of the inventory's variables that its content comes from."""

    path: pathlib.Path
    content: bytes
    mode: int
    uid: int
    gid: int
    variables: Sequence[str] = ()
    staged: pathlib.Path | None = field(default=None, compare=False)

    def differs(self) -> bool:
        """Whether the content in place is another."""
        if self.path.is_symlink() or not self.path.is_file():
            return True
        return self.path.read_bytes() != self.content


def wanted(items: Sequence[dict[str, Any]]) -> list[Wanted]:
    """The files of a task."""
    found = []
    for item in items:
        content = item["content"].encode()
        if item["encoding"] == "base64":
            content = base64.b64decode(content)
        mode, uid, gid = ownership(item, "0644")
        found.append(Wanted(pathlib.Path(item["path"]), content, mode, uid, gid, item.get("variables") or ()))
    return found


def ownership(item: dict[str, Any], default_mode: str) -> tuple[int, int, int]:
    """Mode, uid and gid that a task asks for."""
    try:
        uid = pwd.getpwnam(item["owner"]).pw_uid
        gid = grp.getgrnam(item["group"]).gr_gid
    except KeyError as error:
        raise RefusedError(f"{item['path']} is to belong to somebody who is not here: {error}") from None
    return int(item["mode"] or default_mode, 8), uid, gid


def own(path: pathlib.Path, mode: int, uid: int, gid: int, check_mode: bool = False) -> bool:
    """Set mode and owner; say whether they differed."""
    found = path.stat()
    if (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, uid, gid):
        return False
    if not check_mode:
        os.chown(path, uid, gid)
        path.chmod(mode)
    return True


def refuse_obstacles(files: Sequence[Wanted]) -> None:
    """Name what would stop the files from being moved into place, before anything is changed."""
    for file in files:
        if file.path.is_dir() and not file.path.is_symlink():
            raise RefusedError(f"{file.path} is a folder, and a file is to be written there; move it away")
        for path in (file.path, file.path.parent):
            if _immutable(path):
                raise RefusedError(
                    f"{path} has the attribute `immutable`, so that nobody can change it; "
                    f"if that is no longer wanted: chattr -i {path}"
                )


def _immutable(path: pathlib.Path) -> bool:
    if path.is_symlink() or not path.exists():
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0))
    except OSError:  # a file system without attributes
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("l", answer)[0] & _IMMUTABLE)


@contextlib.contextmanager
def staged(files: Sequence[Wanted]) -> Iterator[None]:
    """The files written beside their places; what was not moved when the block ends is removed again."""
    folders: list[pathlib.Path] = []
    try:
        for file in files:
            _make_parents(file.path, folders)
            _remove_left_over(file.path.parent)
            descriptor, name = tempfile.mkstemp(dir=file.path.parent, prefix=_PREFIX)
            file.staged = pathlib.Path(name)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(file.content)
                stream.flush()
                os.fsync(stream.fileno())
            own(file.staged, file.mode, file.uid, file.gid)
        yield
    finally:
        for file in files:
            if file.staged:
                file.staged.unlink(missing_ok=True)
                file.staged = None
        # Where nothing was moved into them, folders that were made for it go again.
        for folder in reversed(folders):
            with contextlib.suppress(OSError):
                folder.rmdir()


def move(files: Sequence[Wanted]) -> None:
    """Move all staged files into place."""
    for file in files:
        assert file.staged
        file.staged.replace(file.path)
        file.staged = None


def _make_parents(path: pathlib.Path, made: list[pathlib.Path]) -> None:
    missing = [folder for folder in path.parents if not os.path.lexists(folder)]
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(0o755)
        made.append(folder)


def _remove_left_over(folder: pathlib.Path) -> None:
    """Remove what a run that was killed left behind. Those of a task that is at work now are younger."""
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime < time.time() - _HOUR:
                path.unlink()


def digest(path: pathlib.Path) -> str:
    """SHA-256 of a file; for a link the link itself, and nothing where no file is."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def words(error: OSError) -> str:
    """An error of the system as a person reads it: what, where, and what to do."""
    where = error.filename2 or error.filename or "the file system"
    told = {
        errno.EROFS: f"{where}: the file system is mounted read-only; mount it writable, then run this again",
        errno.ENOSPC: f"{where}: no space left on device; nothing was changed. Make room, then run it again",
        errno.EDQUOT: f"{where}: the quota is used up; nothing was changed. Make room, then run this again",
        errno.EBUSY: f"{where} is a mount point, so that no other file can be moved there",
        errno.ENOTDIR: f"{where}: a part of this path is a file, and a folder is wanted there; move it away",
        errno.EEXIST: f"{where}: a part of this path is a file, and a folder is wanted there; move it away",
        errno.EPERM: f"{where} cannot be changed, not even by root; see `lsattr -d {where}`",
    }
    return told.get(error.errno or 0, str(error))
