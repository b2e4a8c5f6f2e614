"""Reads the kernel's log from /dev/kmsg, each record once, also over restarts of this program."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

_RECORD = re.compile(r"\d+,(?P<number>\d+),\d+,[^;]*;(?P<text>.*)")
_BYTES = 8192
_MOST_READS = 100_000


class KernelLog:
    """The records that have not been read yet.

    last: the number of the last record that was read; -1 for none. A log that is not there is empty.
    """

    def __init__(self, path: Path, last: int = -1) -> None:
        self.last = last
        self._path = path
        self._file: int | None = None
        self._rest = b""

    def news(self) -> list[str]:
        """The text of each new record."""
        found = []
        for line in self._read().decode(errors="replace").splitlines():
            record = _RECORD.match(line)
            if record and int(record["number"]) > self.last:
                self.last = int(record["number"])
                found.append(record["text"])
        return found

    def _read(self) -> bytes:
        """All that can be read now, up to the last whole line."""
        if self._file is None:
            with contextlib.suppress(OSError):
                self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file is None:
            return b""
        parts = [self._rest]
        for _ in range(_MOST_READS):
            try:
                part = os.read(self._file, _BYTES)
            except BlockingIOError:
                break
            except BrokenPipeError:
                # Records were lost, because the kernel wrote faster. The next read goes on behind them.
                continue
            if not part:
                break
            parts.append(part)
        whole, newline, self._rest = b"".join(parts).rpartition(b"\n")
        return whole + newline
