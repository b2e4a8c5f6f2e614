"""Pyxis: a job step of one task, which this SPANK plugin of Slurm puts into the image with enroot.

The site provides both. enroot fetches and keeps images itself; whether there is one is asked here first, for
the answer in words. A step inside a step would number its tasks from 0 again, so several tasks are refused
rather than all taken for the first. https://github.com/NVIDIA/pyxis, `srun --help`
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from platform_run_image import ImageError, images, names, registry, settings
from platform_run_image.wishes import NONE, OF_IMAGE, Wishes


def start(name: str, words: list[str], wanted: Wishes = NONE) -> tuple[list[str], dict[str, str]]:
    """Return the command line and its environment."""
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        raise ImageError("with pyxis a container is one task: use a script that calls srun --container-image")
    repository, reference = names.parse(name)
    _, manifest = registry.resolve(repository, reference)
    separator = "@" if reference.startswith("sha256:") else ":"
    shared = [f"{place}:{place}" for place in ("/tmp", *settings.BINDS)]  # noqa: S108
    mounts = ",".join([*shared, *map(str, wanted.mounts)])
    config: dict[str, Any] = {}
    if wanted.folder == OF_IMAGE or wanted.entrypoint or not words:
        config = _config(repository, manifest)
    folder = wanted.start(str(config.get("WorkingDir") or ""), str(Path.cwd()))
    cores = os.environ.get("SLURM_CPUS_PER_TASK")
    arguments = [
        "/usr/bin/srun",
        "--overlap",
        "--nodes=1",
        "--ntasks=1",
        *([f"--cpus-per-task={cores}"] if cores else []),
        f"--container-image={settings.REGISTRY}#{repository}{separator}{reference}",
        f"--container-mounts={mounts}",
        f"--container-workdir={folder}",
        # The job's variables win over the image's, but for the PATH.
        f"--container-env={','.join(key for key in os.environ if key != 'PATH')}",
        "--no-container-remap-root",
        "--no-container-mount-home",
        "--no-container-entrypoint",
        "--container-writable",
        *settings.OPTIONS,
        *images.command(config, words, wanted.entrypoint),
    ]
    return arguments, dict(os.environ)


def _config(repository: str, manifest: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        registry.download(repository, manifest["config"]["digest"], file)
        found: dict[str, Any] = json.loads(file.read_text()).get("config") or {}
        return found
