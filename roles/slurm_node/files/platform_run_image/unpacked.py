"""An unpacked image as the place where a job's command runs, the same for every runtime."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from platform_run_image import HOST_PATH, images, settings
from platform_run_image.cache import Cache

# Both are the host's in every container; the rest of the host is not.
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108


class Unpacked:
    """An image that stays in the user's cache while this process, or the one it becomes, lives."""

    def __init__(self, name: str) -> None:
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
        """Return where the command starts: here if the container has this folder, else as the image says."""
        folder = Path.cwd()
        shared = any(folder.is_relative_to(place) for place in (*settings.BINDS, *SCRATCH))
        inside = shared or (self.root / str(folder)[1:]).is_dir()
        return str(folder) if inside else self.config.get("WorkingDir") or "/"
