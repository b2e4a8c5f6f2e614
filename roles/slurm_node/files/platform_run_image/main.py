#!/usr/bin/python3 -I
"""Run a command of a Slurm job in a container image, as the job's user and in the job's folder.

    platform-run-image [OPTIONS] IMAGE -- COMMAND [ARGUMENT...]

IMAGE is named as for any container engine; a name without a registry means docker.io/library/NAME. Images
come from the site's registry. Without COMMAND the image's own entry point runs. The environment is passed on,
the exit status is the command's; 125 means that the image could not be had. What the command writes outside
the shared folders is gone when it ends. The site chooses by which container runtime.
"""

import argparse
import importlib
import os
import sys

sys.path.insert(0, "/usr/local/lib/platform-run-image")

from platform_run_image import ImageError, settings, wishes

FAILED = 125


def main() -> None:
    """Get the image and become the command."""
    parser = argparse.ArgumentParser(
        prog="platform-run-image", description="Run a command in a container image."
    )
    wishes.add_options(parser)
    parser.add_argument("image", help="name of the image, for instance perl:5.34.0")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND [ARGUMENT...]")
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    try:
        runtime = importlib.import_module(f"platform_run_image.{settings.RUNTIME}")
        words, variables = runtime.start(arguments.image, command, wishes.read_options(arguments))
        sys.stdout.flush()
        os.execve(words[0], words, variables)  # noqa: S606
    except (ImageError, OSError) as error:
        sys.stderr.write(f"platform-run-image: {arguments.image}: {error}\n")
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
