"""Labs and commands for benchmarks: fresh hosts, timed runs of platformctl, removed at the end."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Events give a stage's seconds with one decimal.
STAGE_RESOLUTION = 0.1
PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")


@dataclass(frozen=True)
class Run:
    """A finished command: seconds on the clock, and its events if it printed JSON."""

    seconds: float
    events: list[dict[str, Any]]

    def stages(self) -> dict[str, float]:
        """Seconds by stage."""
        return {
            event["stage"]: event["seconds"] for event in self.events if event["event"] == "stage_finished"
        }


def platformctl(*arguments: str) -> Run:
    """Run it with JSON events; a failure ends the benchmark with its output."""
    started = time.monotonic()
    done = subprocess.run(
        [PLATFORMCTL, "--output", "json", *arguments], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return Run(seconds, [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"event')])


@contextlib.contextmanager
def lab(name: str, *arguments: str) -> Iterator[Path]:
    """A lab with fresh hosts; yields its inventory."""
    platformctl("lab", "down", "--name", name)
    platformctl("lab", "up", "--name", name, *arguments)
    try:
        status = subprocess.run(
            [PLATFORMCTL, "--output", "json", "lab", "status", "--name", name],
            capture_output=True,
            check=True,
        )
        yield Path(json.loads(status.stdout)["inventory"])
    finally:
        platformctl("lab", "down", "--name", name)
