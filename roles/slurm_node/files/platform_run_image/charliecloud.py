"""Charliecloud: ch-run enters the unpacked image in a user namespace. No daemon, no privilege, no set-uid.

/dev, the network and the process table are the node's. https://hpc.github.io/charliecloud/ch-run.html
"""

from platform_run_image import images, settings
from platform_run_image.unpacked import Unpacked


def start(name: str, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line and its environment."""
    image = Unpacked(name)
    variables = image.environment()
    arguments = [
        "/usr/bin/ch-run",
        "--write-fake",
        *(f"--bind={bind}:{bind}" for bind in settings.BINDS),
        *settings.OPTIONS,
        f"--set-env=HOME={variables['HOME']}",
        *(f"--set-env={key}={value}" for key, value in image.inside().items()),
        "--env-no-expand",
        f"--cd={image.folder()}",
        str(image.root),
        "--",
        *images.command(image.config, words),
    ]
    return arguments, variables
