"""Charliecloud: ch-run enters the unpacked image in a user namespace. No daemon, no privilege, no set-uid.

/dev, the network and the process table are the node's. https://hpc.github.io/charliecloud/ch-run.html
"""

from platform_run_image import images, settings
from platform_run_image.unpacked import Unpacked
from platform_run_image.wishes import NONE, Wishes


def start(name: str, words: list[str], wanted: Wishes = NONE) -> tuple[list[str], dict[str, str]]:
    """Return the command line and its environment."""
    image = Unpacked(name, wanted)
    image.make_places_for_files()
    variables = image.environment()
    arguments = [
        "/usr/bin/ch-run",
        "--write-fake",
        *(f"--bind={bind}:{bind}" for bind in settings.BINDS),
        # ch-run has no read-only mounts: the mode of the files is what protects them.
        *(f"--bind={mount.source}:{mount.target}" for mount in wanted.mounts),
        *settings.OPTIONS,
        f"--set-env=HOME={variables['HOME']}",
        *(f"--set-env={key}={value}" for key, value in image.inside().items()),
        "--env-no-expand",
        f"--cd={image.folder()}",
        str(image.root),
        "--",
        *images.command(image.config, words, wanted.entrypoint),
    ]
    return arguments, variables
