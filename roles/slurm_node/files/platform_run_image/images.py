"""Images of the site's registry, unpacked as plain files: once for each user and node.

When the registry is silent, an image that is here already is used as it is.
"""

import fcntl
import os
import sys
from pathlib import Path
from typing import Any

from platform_run_image import ImageError, layers, names, registry, settings
from platform_run_image.cache import PARTIAL, Cache
from platform_run_image.folders import remove


def obtain(cache: Cache, name: str) -> Path:
    """Return the folder of an image, pulled if needed, and keep it from cleaning while this process lives."""
    repository, reference = names.parse(name)
    manifest = None
    try:
        digest, manifest = registry.resolve(repository, reference)
        digest = digest.replace(":", "-")
    except OSError as error:
        found = cache.recall(name)
        if found is None:
            raise ImageError(f"the registry {settings.REGISTRY} does not answer: {error}") from error
        digest = found
        sys.stderr.write(
            f"platform-run-image: the registry does not answer; using the {name} of the last time\n"
        )
    else:
        cache.remember(name, digest)
    descriptor = cache.lock(digest, fcntl.LOCK_SH)
    image = cache.root / digest
    if not image.is_dir():
        # Who has the image shares its lock as long as it lives, so nobody may wait here for it alone.
        pulling = cache.lock(f"{PARTIAL}{digest}", fcntl.LOCK_EX)
        try:
            if not image.is_dir():
                if manifest is None:
                    raise ImageError(f"the registry {settings.REGISTRY} does not answer")
                _pull(cache, repository, digest, manifest)
        finally:
            os.close(pulling)
    (image / "used").touch()
    os.set_inheritable(descriptor, True)
    return image


def command(config: dict[str, Any], words: list[str], entrypoint: bool = False) -> list[str]:
    """Return the words, or else the entry point of an image's configuration with its own arguments.

    entrypoint: the words are the arguments of the entry point.
    """
    start = config.get("Entrypoint") or []
    if entrypoint:
        return [*start, *words]
    found = words or [*start, *(config.get("Cmd") or [])]
    if not found:
        raise ImageError("the image has no entry point: say which command to run after --")
    return found


def _pull(cache: Cache, repository: str, digest: str, manifest: dict[str, Any]) -> None:
    """Unpack an image beside its place in the cache, then move it there whole. Both of its locks are held."""
    work = cache.partial(digest)
    remove(work)
    try:
        image = work / "image"
        root = (image / "root").resolve()
        root.mkdir(parents=True)
        registry.download(repository, manifest["config"]["digest"], image / "config.json")
        for number, layer in enumerate(manifest["layers"]):
            registry.download(repository, layer["digest"], work / "layer")
            layers.unpack(work / "layer", root, first=number == 0)
        layers.add_mount_points(root)
        (image / "used").touch()
        image.rename(cache.root / digest)
    finally:
        remove(work)
