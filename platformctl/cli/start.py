"""The entry point of the `platformctl` command, and of `sbatch` where a site installs it under that name.

It loads the commands only in an environment of our own, which may start the interpreter again.
"""

import sys
from pathlib import Path

from platformctl import surroundings
from platformctl.cli import failures


def run() -> None:
    """Run the command; errors end it in words, with their code."""
    with failures.in_words():
        surroundings.seal()
        from platformctl.cli.main import app

        app(args=["sbatch", *sys.argv[1:]] if Path(sys.argv[0]).name == "sbatch" else None)
