"""Progress of making artefacts: a live line on a terminal, plain lines elsewhere.

The duration of each step is kept in the cache, so that the next run can estimate its time.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformctl.console import Output

# Durations of a first build on two cores, for the estimate of a first build.
TYPICAL = Path(__file__).with_name("typical.json")
REDRAW_SECONDS = 0.3


class Progress:
    """Counts steps of a known total; prints to standard error, or events for programs."""

    def __init__(self, output: Output, history: Path) -> None:
        self.output = output
        self.history = history
        self.measured = _measured(history)
        self.durations: dict[str, float] = {**json.loads(TYPICAL.read_text()), **self.measured}
        self.waiting: list[str] = []
        self.doing = ""
        self.finished = 0
        self.since = time.monotonic()
        self.bytes = 0
        self.drawn = 0.0
        self.live = sys.stderr.isatty() and not output.json

    def expect(self, names: list[str]) -> None:
        """Announce further steps."""
        self.waiting += names

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, from its start to its end; a failed step is not recorded."""
        self.start(name)
        yield
        self.done(name)

    def start(self, doing: str) -> None:
        """Work begins. doing: a step's name, or words for several steps that run together."""
        self.doing = doing
        self.bytes = 0
        self.since = time.monotonic()
        self.tick()

    def done(self, name: str) -> None:
        """A step succeeded; its duration counts from the start or from the end of the step before it."""
        now = time.monotonic()
        seconds = round(now - self.since, 1)
        self.since = now
        self.measured[name] = seconds
        self.waiting.remove(name)
        self.finished += 1
        total = self.finished + len(self.waiting)
        if self.output.json:
            self.output.event(
                {"event": "artifact", "name": name, "seconds": seconds, "done": self.finished, "of": total}
            )
            return
        self._write(f"artifacts: {name}, {seconds:.1f} s ({self.finished} of {total})", end="\n")

    def tick(self) -> None:
        """Redraw the live line."""
        if not self.live:
            return
        left = self.remaining()
        estimate = "" if left is None else f", about {_duration(left)} left"
        elapsed = _duration(time.monotonic() - self.since)
        amount = f", {self.bytes / 1e6:.0f} MB" if self.bytes else ""
        self._write(f"artifacts: {self.doing}, {elapsed}{amount}, {len(self.waiting)} to go{estimate}")
        self.drawn = time.monotonic()

    def received(self, _name: str, count: int) -> None:
        """Bytes of a download arrived; the live line is redrawn at most a few times a second."""
        self.bytes += count
        if time.monotonic() - self.drawn > REDRAW_SECONDS:
            self.tick()

    def remaining(self) -> float | None:
        """Estimated seconds left, from the last duration of each step; None if one was never measured."""
        if any(name not in self.durations for name in self.waiting):
            return None
        expected = sum(self.durations[name] for name in self.waiting)
        return max(0.0, expected - (time.monotonic() - self.since))

    def save(self) -> None:
        """Keep the durations for the next run."""
        self.history.write_text(json.dumps(self.measured, indent=1, sort_keys=True))

    def _write(self, text: str, end: str = "") -> None:
        if self.live:
            # A line that wraps cannot be cleared.
            text = "\r\033[K" + text[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write(text + end)
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _measured(history: Path) -> dict[str, float]:
    """The durations of earlier runs; none if the file is damaged, since they only make estimates better."""
    try:
        return dict(json.loads(history.read_text()))
    except (OSError, ValueError, TypeError):
        return {}
