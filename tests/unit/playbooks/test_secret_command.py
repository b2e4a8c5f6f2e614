"""A command with secrets: its words are shown, the secrets are not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths

SECRET = "s3cret-value-of-the-site"


def run(**arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(paths.data_dir() / "playbooks/library/secret_command.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert SECRET not in done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_failure_shows_the_programs_words_and_hides_the_secret() -> None:
    script = 'read -r line; echo "cannot parse: $line" >&2; exit 3'
    result = run(argv=["sh", "-c", script], stdin=f"password={SECRET}\n", secrets=[SECRET])
    assert result["failed"]
    assert result["rc"] == 3
    assert result["stderr"].startswith("cannot parse: password=***")
    assert "exit status 3" in result["msg"]
    assert SECRET not in json.dumps(result)


def test_a_success_returns_what_was_written() -> None:
    result = run(argv=["cat"], stdin="missing")
    assert (result["changed"], result["rc"]) == (True, 0)


def test_a_secret_output_can_be_used_but_is_not_shown() -> None:
    assert run(argv=["echo", "token"], secret_output=True)["_ansible_no_log"] is True
    assert "_ansible_no_log" not in run(argv=["false"], secret_output=True)


@pytest.mark.parametrize("there", [True, False])
def test_it_runs_only_if_the_file_is_not_there(tmp_path: Path, there: bool) -> None:
    made = tmp_path / "made"
    if there:
        made.touch()
    result = run(argv=["echo", "ran"], creates=str(made))
    assert result["changed"] is not there


def test_a_secret_variable_reaches_the_program() -> None:
    script = '[ "$WORD" = x12345678 ] || exit 1'
    result = run(argv=["sh", "-c", script], secret_environment={"WORD": "x12345678"})
    assert result["rc"] == 0
