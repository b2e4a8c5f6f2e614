"""The journal of a run: one event per line, without secrets, readable during the run.

Everything that happens is an event (a dictionary with the key `event`); the journal adds the time, hides
secret values, writes the line, and passes the same event to whoever shows it.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from platformctl.engine.running.redact import Redactor

Event = Mapping[str, Any]
_KEPT_RUNS = 20


class Journal:
    """Writes events to <folder>/journal.ndjson (mode 0600) and to listeners."""

    def __init__(self, folder: Path, redactor: Redactor, listener: Callable[[Event], None]) -> None:
        self.folder = folder
        self.redactor = redactor
        self._listener = listener
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._file = private(self.folder / "journal.ndjson")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def emit(self, event: str, **fields: Any) -> None:
        """Record an event and show it."""
        redacted = {"event": event, **self.redactor.data(fields)}
        if self._file:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **redacted}
            self._file.write(json.dumps(line, default=str) + "\n")
            self._file.flush()
        self._listener(redacted)


def private(path: Path) -> TextIO:
    """Open a file for appending that only its owner can read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "a")


def new_run(runs: Path) -> Path:
    """A folder for a new run, named by its start (UTC); old runs beyond the last 20 are removed."""
    runs.mkdir(parents=True, mode=0o700, exist_ok=True)
    for old in sorted(path for path in runs.iterdir() if path.is_dir())[: -_KEPT_RUNS + 1]:
        shutil.rmtree(old, ignore_errors=True)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    # One process may begin two runs within a second.
    number = sum(1 for path in runs.iterdir() if path.name.startswith(name))
    folder = runs / (f"{name}-{number + 1}" if number else name)
    folder.mkdir(mode=0o700)
    return folder
