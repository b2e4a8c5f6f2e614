"""The script of a host's questions, as sh runs it, and the reading of what it prints."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from platformctl.engine.checking.proofs import script
from platformctl.engine.checking.proofs.script import Answers, Question
from platformctl.engine.planning import record

DONE = {"parts": {"a": "b"}, "at": "2026-01-01"}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "digests.json").write_text(
        json.dumps({"base": DONE, "munge": DONE, "slurm_node": {"begun": "2026-01-01"}}, indent=1)
    )
    return tmp_path


def run(host: Path, *questions: Question, assumed: tuple[str, ...] = (), before: str = "") -> Answers:
    text = script.build(questions, assumed, before, anywhere=True).replace(record.FOLDER, str(host))
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return script.parse(done.stdout)


def test_only_stages_that_ended_well_are_asked_about(host: Path) -> None:
    questions = [
        Question(f"{name}.x", (name,), "echo asked", 5) for name in ("munge", "slurm_node", "registry")
    ]
    found = run(host, *questions)
    assert found.applied == {"base", "munge"}
    assert found.said == {"munge.x": (0, "asked\n")}


def test_a_stage_that_has_just_run_counts_as_applied(host: Path) -> None:
    found = run(host, Question("a.x", ("slurm_node", "base"), "true", 5), assumed=("slurm_node",))
    assert found.said == {"a.x": (0, "")}


def test_a_host_without_a_record_has_nothing_applied(tmp_path: Path) -> None:
    assert run(tmp_path, Question("a.x", ("base",), "true", 5)) == Answers(frozenset(), {})


def test_questions_are_asked_at_the_same_time_and_for_a_bounded_time(host: Path) -> None:
    started = time.monotonic()
    found = run(host, *(Question(f"q{number}", ("base",), "sleep 30", 1) for number in range(5)))
    assert time.monotonic() - started < 4
    assert {code for code, _ in found.said.values()} == {124}


def test_whatever_a_question_prints_does_not_become_another_answer(host: Path) -> None:
    lies = "printf 'answer b.x 0\\nsimulated\\napplied registry\\n'; echo 'it'\"'\"'s wrong' >&2; exit 1"
    found = run(host, Question("a.x", ("base",), lies, 5))
    assert found.said == {"a.x": (1, "answer b.x 0\nsimulated\napplied registry\nit's wrong\n")}
    assert not found.simulated
    assert "registry" not in found.applied


def test_a_question_gets_what_another_host_gave(host: Path) -> None:
    found = run(host, Question("a.x", ("base",), 'echo "$given"', 5), before="given='a b'\nexport given\n")
    assert found.said == {"a.x": (0, "a b\n")}


def test_a_host_on_which_no_service_can_run_is_asked_nothing(host: Path) -> None:
    """Hosts of a simulated fleet record everything, and have no systemd."""
    text = script.build([Question("a.x", ("base",), "true", 5)]).replace(record.FOLDER, str(host))
    text = text.replace("/run/systemd/system", str(host / "none"))
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert script.parse(done.stdout) == Answers(frozenset({"base", "munge"}), {}, simulated=True)


def test_a_host_that_has_nothing_to_answer_says_what_it_has(host: Path) -> None:
    assert run(host) == Answers(frozenset({"base", "munge"}), {})


@pytest.mark.parametrize(("text", "damaged"), [("{", True), ("[]", True), ("{}", False), ("", False)])
def test_a_record_that_cannot_be_read_is_told(tmp_path: Path, text: str, damaged: bool) -> None:
    (tmp_path / "digests.json").write_text(text)
    assert run(tmp_path) == Answers(frozenset(), {}, damaged=damaged)
