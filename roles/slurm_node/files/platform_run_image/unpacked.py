"""An unpacked image as the place where a job's command runs, the same for every runtime."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from platform_run_image import HOST_PATH, images, settings
from platform_run_image.cache import Cache
from platform_run_image.layers import make_folder
from platform_run_image.wishes import NONE, Wishes

# Both are the host's in every container; the rest of the host is not.
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108


class Unpacked:
    """An image that stays in the user's cache while this process, or the one it becomes, lives."""

    def __init__(self, name: str, wanted: Wishes = NONE) -> None:
        self.wanted = wanted
        cache = Cache()
        self.cache = cache.root
        folder = images.obtain(cache, name)
        cache.prune()
        self.root = folder / "root"
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text()).get("config") or {}

    def environment(self) -> dict[str, str]:
        """Return the variables of the runtime, a program of the host: the job's, none of the image's."""
        user = pwd.getpwuid(os.getuid())
        return {"USER": user.pw_name, "HOME": user.pw_dir, **os.environ, "PATH": HOST_PATH}

    def inside(self) -> dict[str, str]:
        """Return what only the container gets: the image's PATH, and what the job does not set."""
        image = dict(entry.split("=", 1) for entry in self.config.get("Env") or [])
        path = image.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        taken = self.environment()
        return {key: value for key, value in image.items() if key not in taken} | {"PATH": path}

    def folder(self) -> str:
        """Return where the command starts: as the job wants, or else here if the container has this folder.

        A folder that the image lacks is made, as other container engines do.
        """
        of_image = str(self.config.get("WorkingDir") or "/")
        here = Path.cwd()
        found = Path(self.wanted.start(of_image, str(here) if self._has(here) else of_image))
        if not self._has(found):
            make_folder(self.root.resolve(), str(found).strip("/"))
        return str(found)

    def make_places_for_files(self) -> None:
        """Make the files that single files of the node are mounted over."""
        root = self.root.resolve()
        for mount in self.wanted.mounts:
            target = Path(mount.target.strip("/"))
            if Path(mount.source).is_file() and not self._has(Path("/") / target.parent, target.name):
                make_folder(root, str(target.parent))
                (root / target).touch()

    def _has(self, folder: Path, file: str = "") -> bool:
        """Whether the container has a folder, or a file in it."""
        mounted = [mount.target for mount in self.wanted.mounts]
        if any(folder.is_relative_to(place) for place in (*settings.BINDS, *SCRATCH, *mounted)):
            return True
        inside = self.root / str(folder)[1:]
        return (inside / file).exists() if file else inside.is_dir()
