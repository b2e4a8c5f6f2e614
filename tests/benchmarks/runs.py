"""Timed runs of platformctl, with what it told of its stages."""

import json
import time
from dataclasses import dataclass
from typing import Any

from tests import labs

# Events give a stage's seconds with one decimal.
STAGE_RESOLUTION = 0.1


@dataclass(frozen=True)
class Run:
    """A finished command: seconds on the clock, and its events."""

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
    printed = labs.platformctl(*arguments, output="json")
    seconds = time.monotonic() - started
    return Run(seconds, [json.loads(line) for line in printed.splitlines() if line.startswith('{"event')])
