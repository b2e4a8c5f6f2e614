"""Runs the tools that builds need; errors say what to do."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from platformctl import surroundings
from platformctl.errors import PlatformError

POLL_SECONDS = 0.5
TAIL_LINES = 15


def run(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    remedy: str = "",
    idle: Callable[[], None] | None = None,
) -> str:
    """Run a command at low priority and return its standard output.

    environment: by default what downloads and builds get. idle is called about twice a second while it
    runs. A failure becomes a PlatformError with the last lines.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(
                ["nice", *command],
                cwd=folder,
                env=dict(surroundings.outward() if environment is None else environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        except FileNotFoundError as error:
            raise PlatformError(f"cannot run {command[0]}: {error}", next=remedy) from error
        try:
            code = _wait(process, idle)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        errors.seek(0)
        if code != 0:
            tail = errors.read().strip().splitlines()[-TAIL_LINES:]
            raise PlatformError(
                f"`{' '.join(command[:3])} ...` ended with {code}",
                details=tail,
                where=command[-1],
                next=remedy,
            )
        return output.read()


def _wait(process: subprocess.Popen[bytes], idle: Callable[[], None] | None) -> int:
    while True:
        try:
            return process.wait(timeout=POLL_SECONDS if idle else None)
        except subprocess.TimeoutExpired:
            if idle:
                idle()
