"""What a job wants of its container besides the command: mounts, where it starts, and the entry point."""

import argparse
from dataclasses import dataclass
from pathlib import Path

# As the folder: the one that the image names.
OF_IMAGE = "image"


@dataclass(frozen=True)
class Mount:
    """A folder or a file of the node at a place in the container."""

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True)
class Wishes:
    """The options of a command line.

    folder: where the command starts; empty for the job's own folder if the container has it. entrypoint: the
    words are arguments of the image's entry point.
    """

    mounts: tuple[Mount, ...] = ()
    folder: str = ""
    entrypoint: bool = False

    def start(self, image_folder: str, otherwise: str) -> str:
        """Return where the command starts. otherwise: for a job that does not say."""
        if self.folder == OF_IMAGE:
            return image_folder or "/"
        return self.folder or otherwise


NONE = Wishes()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command line."""
    parser.add_argument(
        "--mount", type=_mount, action="append", default=[], metavar="SOURCE:TARGET[:ro]",
        help="show a folder or file of the node in the container; repeat for more",
    )  # fmt: skip
    parser.add_argument(
        "--cd", default="", metavar="FOLDER",
        help=f"where the command starts: a folder of the container, or {OF_IMAGE} for the image's own",
    )  # fmt: skip
    parser.add_argument(
        "--entrypoint", action="store_true", help="the words after -- are for the image's entry point"
    )


def read_options(arguments: argparse.Namespace) -> Wishes:
    """Return the options of a command line as wishes."""
    return Wishes(tuple(arguments.mount), arguments.cd, arguments.entrypoint)


def _mount(text: str) -> Mount:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not Path(source).is_absolute() or not Path(target).is_absolute() or mode not in ("", "ro"):
        raise argparse.ArgumentTypeError(f"{text!r} is not SOURCE:TARGET[:ro] with absolute paths")
    return Mount(source, target, mode == "ro")
