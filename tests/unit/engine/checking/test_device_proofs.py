"""What the script of a device proof says of files that open and that do not."""

import subprocess
from pathlib import Path

import pytest

from platformctl.engine.checking.device_proofs import opening


def ran(own: list[str], others: list[str]) -> tuple[int, str]:
    done = subprocess.run(["sh", "-c", opening(own, others)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()


def test_own_files_open_and_others_do_not(tmp_path: Path) -> None:
    assert ran(["/dev/null", "/dev/zero"], [str(tmp_path / "gone")]) == (
        0,
        "2 device files open, 1 of others closed",
    )


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        (["/dev/null", "/dev/gone"], [], "its own /dev/gone cannot be opened"),
        (["/dev/null"], ["/dev/zero"], "/dev/zero of others can be opened"),
        (
            ["/dev/gone"],
            ["/dev/zero"],
            "its own /dev/gone cannot be opened; /dev/zero of others can be opened",
        ),
    ],
)
def test_what_is_wrong_is_named(own: list[str], others: list[str], words: str) -> None:
    assert ran(own, others) == (1, words)
