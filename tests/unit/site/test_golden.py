"""An inventory with many mistakes: all of them in one go, as text, as JSON, and with exit code 2."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from platformctl import site

GOLDEN = Path(__file__).parent / "golden"


def _platformctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("platformctl")
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_all_mistakes_are_named_together() -> None:
    folder = GOLDEN / "many"
    found = [str(mistake).replace(f"{folder}/", "") for mistake in site.check(folder)]
    assert len(found) > 15
    assert found == (GOLDEN / "many.txt").read_text().splitlines()


def test_validate_shows_them_and_fails() -> None:
    done = _platformctl("validate", "-i", str(GOLDEN / "many"))
    assert done.returncode == 2
    for line in (GOLDEN / "many.txt").read_text().splitlines():
        place, _, problem = line.partition(": ")
        assert place in done.stdout
        assert re.split(r"[;(]", problem)[0].split(": ")[-1].split()[0] in done.stdout


def test_validate_for_programs() -> None:
    done = _platformctl("--output", "json", "validate", "-i", str(GOLDEN / "many"))
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert len(found) == len((GOLDEN / "many.txt").read_text().splitlines())
    assert set(found[0]) == {"place", "key", "value", "problem", "remedy"}


@pytest.mark.parametrize("command", ["install", "plan", "preflight"])
def test_other_commands_refuse_it_with_all_mistakes(command: str) -> None:
    done = _platformctl(command, "-i", str(GOLDEN / "many"))
    assert done.returncode == 2
    assert "nothing was touched" in done.stderr
    for line in (GOLDEN / "many.txt").read_text().splitlines():
        assert line in done.stderr
