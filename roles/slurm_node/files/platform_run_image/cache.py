"""The user's unpacked images on this node.

They lie under /var/tmp/platform-images-UID and are removed after 30 days without use.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
import urllib.parse
from pathlib import Path

from platform_run_image import ImageError
from platform_run_image.folders import remove

CACHES = Path("/var/tmp")  # noqa: S108
KEPT_SECONDS = 30 * 24 * 3600
# Before a digest: an image that is not whole, since it is being pulled or removed, or this was killed.
PARTIAL = "pull-"


class Cache:
    """The user's unpacked images on this node."""

    def __init__(self) -> None:
        self.root = CACHES / f"platform-images-{os.getuid()}"
        self.root.mkdir(mode=0o700, exist_ok=True)
        found = self.root.lstat()
        # /var/tmp is everybody's: another user may have laid a trap under this name.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise ImageError(
                f"{self.root} is not a private folder of {os.getuid()}; remove it or ask who made it"
            )

    def lock(self, digest: str, how: int) -> int:
        """Return a locked file descriptor of an image; BlockingIOError if `how` says not to wait.

        Who uses or pulls an image shares the lock of its digest, and who removes it has that lock alone.
        Of those who share it, one at a time has the lock of PARTIAL and the digest, and pulls.
        """
        descriptor = os.open(self.root / f"{digest}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor

    def remember(self, name: str, digest: str) -> None:
        """Keep which image a name meant, for when the registry does not answer."""
        descriptor, temporary = tempfile.mkstemp(prefix="naming-", dir=self.root)
        with os.fdopen(descriptor, "w") as file:
            file.write(digest)
        Path(temporary).rename(self.root / f"name-{urllib.parse.quote(name, safe='')}")

    def recall(self, name: str) -> str | None:
        """Return which image a name meant when the registry answered last, if it is still here."""
        path = self.root / f"name-{urllib.parse.quote(name, safe='')}"
        digest = path.read_text() if path.exists() else ""
        return digest if digest and (self.root / digest).is_dir() else None

    def partial(self, digest: str) -> Path:
        """Return where an image lies while it is not whole; only for who pulls or removes it."""
        return self.root / f"{PARTIAL}{digest}"

    def prune(self) -> None:
        """Remove images that nobody has used for long and nobody uses now, and what killed jobs left of some.

        Other jobs may do the same at the same time, and no job fails because of it.
        """
        for entry in list(self.root.iterdir()):
            with contextlib.suppress(OSError):
                if _unwanted(entry):
                    self._remove(entry)

    def _remove(self, entry: Path) -> None:
        digest = entry.name.removeprefix(PARTIAL)
        descriptor = self.lock(digest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            # A job may have taken it up again before the lock was here.
            if _unwanted(entry):
                remove(self.partial(digest))
                if entry.exists():
                    # At once: a kill must not leave half of it under the name of a whole one.
                    entry.rename(self.partial(digest))
                    remove(self.partial(digest))
        finally:
            os.close(descriptor)


def _unwanted(entry: Path) -> bool:
    """Whether an entry of the cache is an image that is not whole, or that nobody has used for long."""
    if entry.name.startswith(PARTIAL):
        return entry.is_dir()
    used = entry / "used"
    return used.exists() and time.time() - used.stat().st_mtime >= KEPT_SECONDS
