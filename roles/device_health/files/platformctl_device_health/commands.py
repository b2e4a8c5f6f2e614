"""Devices that a command of the site judges."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_EVERY_SECONDS = 5.0
_PATIENCE_SECONDS = 10.0
_LONGEST = 120


class Command:
    """One device's command, run again and again in a thread of its own. fault: what it said last."""

    def __init__(self, command: Sequence[str], file: str) -> None:
        self.fault = ""
        self._command = [word.replace("{file}", file) for word in command]
        threading.Thread(target=self._repeat, name=f"check of {file}", daemon=True).start()

    def _repeat(self) -> None:
        told = ""
        while True:
            try:
                self.fault, words = judge(self._command, _PATIENCE_SECONDS), ""
            except OSError as error:
                # It says nothing of the device.
                self.fault, words = "", f"health_command cannot be started: {error}\n"
            if words != told:
                sys.stderr.write(words)
            told = words
            time.sleep(_EVERY_SECONDS)


def judge(command: Sequence[str], seconds: float) -> str:
    """Run a command; empty if it succeeds, else why the device cannot be used. Raises OSError."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {seconds:.0f} s"
    if done.returncode == 0:
        return ""
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[0][:_LONGEST] if lines else f"{command[0]} failed with {done.returncode}"
