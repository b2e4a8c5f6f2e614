"""Cleans the image caches of all users as their own jobs do, also those of users who run no more jobs.

Run by root, by a timer. A cache is its user's, who may have put links into it, so it is cleaned with that
user's rights and no others.
"""

import os
import sys
from pathlib import Path

from platform_run_image import ImageError, cache


def clean(folder: Path) -> None:
    """Become who made a folder, and clean the cache that is this user's by its name."""
    found = folder.lstat()
    os.setgroups([])
    os.setgid(found.st_gid)
    os.setuid(found.st_uid)
    cache.Cache().prune()


def main() -> None:
    """Clean each cache in a process of its own, which cannot come back to root's rights."""
    for folder in cache.CACHES.glob("platform-images-*"):
        if os.fork() == 0:
            try:
                clean(folder)
            except (ImageError, OSError) as error:
                sys.stderr.write(f"{folder}: {error}\n")
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
