"""The page of the CIS benchmark says what its data say, and these are complete."""

import subprocess
from pathlib import Path

import pytest

from tests.cis import controls, document, script

PAGE = Path(__file__).parents[2] / "docs" / "cis.md"


def test_the_page_is_made_from_the_data() -> None:
    assert PAGE.read_text() == document(), "run `make docs`"


def test_each_control_stands_once_and_in_order() -> None:
    numbers = [tuple(int(part) for part in control.number.split(".")) for control in controls()]
    assert len(numbers) > 100
    assert numbers == sorted(set(numbers))


def test_what_is_not_met_has_a_reason() -> None:
    assert [control.number for control in controls() if control.answer != "met" and not control.why] == []


def test_an_answer_that_no_program_checks_has_a_reason() -> None:
    assert [control.number for control in controls() if not control.check and not control.why] == []


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_can_read_the_checks(shell: str) -> None:
    text = script([control for control in controls() if control.check])
    done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
