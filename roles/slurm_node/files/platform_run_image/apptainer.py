"""Apptainer over the unpacked image, in a user namespace. The site provides the program.

/dev, the network and the process table are the node's; the site's option --nv brings NVIDIA's libraries.
https://apptainer.org/docs/user/latest/cli/apptainer_exec.html
"""

from platform_run_image import images, settings
from platform_run_image.unpacked import SCRATCH, Unpacked
from platform_run_image.wishes import NONE, Wishes


def start(name: str, words: list[str], wanted: Wishes = NONE) -> tuple[list[str], dict[str, str]]:
    """Return the command line and its environment."""
    image = Unpacked(name, wanted)
    arguments = [
        "/usr/bin/apptainer",
        "--silent",
        "exec",
        "--userns",
        "--writable-tmpfs",
        "--no-mount=home,cwd,tmp",
        *(f"--bind={place}:{place}" for place in (*SCRATCH, *settings.BINDS)),
        *(f"--bind={mount}" for mount in wanted.mounts),
        *settings.OPTIONS,
        f"--pwd={image.folder()}",
        str(image.root),
        *images.command(image.config, words, wanted.entrypoint),
    ]
    inside = {f"APPTAINERENV_{key}": value for key, value in image.inside().items()}
    return arguments, image.environment() | inside
