import time
from pathlib import Path

import pytest

from platformctl.errors import PlatformError
from platformctl.lab import podman

FAKE = """#!/bin/sh
echo "$*" >> {log}
[ "$(wc -l < {log})" -gt {failures} ] && exit 0
echo "Error: {message}" >&2
exit 125
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, failures: int, message: str) -> Path:
    """A podman that fails so many times; returns the record of its calls."""
    log, program = folder / "log", folder / "podman"
    program.write_text(FAKE.format(log=log, failures=failures, message=message))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(podman, "_BUSY_SECONDS", 0.01)
    return log


def test_what_is_busy_is_removed_a_little_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path, monkeypatch, 2, "unmounting x: device or resource busy")
    podman.remove("volume", "rm", "x")
    assert log.read_text().splitlines() == ["volume rm x"] * 3


def test_what_stays_busy_is_an_error_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 1000, "device or resource busy")
    started = time.monotonic()
    with pytest.raises(PlatformError, match="resource busy"):
        podman.remove("rm", "x", seconds=0.1)
    assert time.monotonic() - started < 5


def test_other_errors_are_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path, monkeypatch, 1000, "no such volume")
    with pytest.raises(PlatformError, match="no such volume"):
        podman.remove("volume", "rm", "x")
    assert len(log.read_text().splitlines()) == 1
