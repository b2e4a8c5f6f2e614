"""Folders that came out of images, whatever their modes are."""

import os
import shutil
import stat
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder of image files with all that is in it, as far as that is possible."""
    open_up(folder)
    shutil.rmtree(folder, ignore_errors=True)


def open_up(root: Path) -> None:
    """Let the owner into all folders: without, neither the next layer nor the cache's cleaning gets in."""
    for folder, names, _ in os.walk(root):
        for name in names:
            inner = Path(folder, name)
            mode = inner.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                inner.chmod(stat.S_IMODE(mode) | 0o700)
