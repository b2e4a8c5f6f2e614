"""Labs for what measures or tries a whole site, by the commands that people type; removed at the end."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")


def platformctl(*arguments: str, output: str = "text") -> str:
    """Run it; returns what it printed. A failure ends this process with that."""
    done = subprocess.run(
        [PLATFORMCTL, "--output", output, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def lab(name: str, *arguments: str, keep: bool = False) -> Iterator[Path]:
    """A lab; yields its inventory. arguments: of `lab up`. keep: take it as it is, and leave it there."""
    try:
        if not keep:
            platformctl("lab", "down", "--name", name)
        platformctl("lab", "up", "--name", name, *arguments)
        yield inventory(name)
    finally:
        if not keep:
            platformctl("lab", "down", "--name", name)


def inventory(name: str) -> Path:
    """The inventory of a lab that is up."""
    status = platformctl("lab", "status", "--name", name, output="json")
    return Path(json.loads(status)["inventory"])
