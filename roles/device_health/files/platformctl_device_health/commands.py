"""Devices that a command of the site judges."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_EVERY_SECONDS = 5.0
_PATIENCE_SECONDS = 10.0
_LONGEST = 120


class Command:
    """One device's command, run again and again in a thread of its own, never twice at a time."""

    def __init__(self, command: Sequence[str], file: str) -> None:
        self._command = [word.replace("{file}", file) for word in command]
        self._said: str | None = None
        self._since: float | None = None
        threading.Thread(target=self._repeat, name=f"check of {file}", daemon=True).start()

    @property
    def fault(self) -> str | None:
        """What it said last; None if that is not known.

        A command that hangs may hang for ever, so its time is over by the clock.
        """
        since = self._since
        if since is not None and time.monotonic() - since >= _PATIENCE_SECONDS:
            return late(self._command, _PATIENCE_SECONDS)
        return self._said

    def _repeat(self) -> None:
        told = ""
        while True:
            self._since = time.monotonic()
            try:
                self._said, words = judge(self._command, _PATIENCE_SECONDS), ""
            except Exception as error:
                # Whatever it is, the thread goes on. It says nothing of the device.
                what = error if isinstance(error, OSError) else repr(error)
                self._said, words = None, f"health_command cannot be started: {what}\n"
            self._since = None
            if words != told:
                sys.stderr.write(words)
            told = words
            time.sleep(_EVERY_SECONDS)


def judge(command: Sequence[str], seconds: float) -> str:
    """Run a command; empty if it succeeds, else why the device cannot be used. Raises OSError.

    One that takes longer is killed, with all that it has started. This returns when it has ended, which it
    may never do while it waits for a driver.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return late(command, seconds)
    if process.returncode == 0:
        return ""
    lines = (out.strip() or err.strip()).splitlines()
    return lines[0][:_LONGEST] if lines else f"{command[0]} failed with {process.returncode}"


def late(command: Sequence[str], seconds: float) -> str:
    """Why the device of a command that takes longer cannot be used."""
    return f"{command[0]} did not end within {seconds:.0f} s"
