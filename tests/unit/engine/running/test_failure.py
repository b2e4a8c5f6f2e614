"""What is said of a failed task."""

from typing import Any

import pytest

from platformctl.engine.running import failure

COMMAND = {"msg": "non-zero return code", "rc": 1, "cmd": ["kubeadm", "join"], "stderr": "boom\nbang"}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (COMMAND, "kubeadm join ended with exit status 1\nboom\nbang"),
        ({**COMMAND, "msg": "The command exited with a non-zero return code."}, "kubeadm join ended with"),
        ({**COMMAND, "cmd": "set -eu\nfalse"}, "non-zero return code\nboom\nbang"),
        ({**COMMAND, "stderr": "", "stdout": "said here"}, "ended with exit status 1\nsaid here"),
        ({"msg": "All items completed", "results": [{"failed": True, "msg": "item 2"}]}, "item 2"),
        (
            {
                "msg": "One or more items failed",
                "results": [{"failed": True, "item": "a", "rc": 3}, {"msg": "fine"}],
            },
            "a: it failed with exit status 3 and wrote nothing",
        ),
        ({"results": [{"failed": True, "msg": "no", "stderr": "the disk is gone"}]}, "no\nthe disk is gone"),
        ({"msg": "write: No space left on device"}, "the disk of this host is full: "),
        ({"msg": "", "exception": "Traceback:\n  line\nKeyError: 'x'"}, "KeyError: 'x'"),
        ({"rc": 2}, "it failed with exit status 2 and wrote nothing"),
        ({}, "it failed with no exit status and wrote nothing"),
        ({"censored": "the output has been hidden"}, "the output has been hidden"),
    ],
)
def test_messages_say_what_the_task_said(result: dict[str, Any], expected: str) -> None:
    assert expected in failure.words(result)


def test_what_ansible_printed_speaks_for_a_result_without_words() -> None:
    assert failure.words({}, "fatal: [n1]: FAILED! => {}") == "fatal: [n1]: FAILED! => {}"


def test_the_last_lines_are_shown_each_once() -> None:
    lines = "\n".join(f"line {number}" for number in range(30))
    said = failure.words({"msg": "line 29", "stderr": lines})
    assert said.splitlines() == ["line 29", *(f"line {number}" for number in range(18, 29))]


def test_a_password_of_mariadbs_root_is_named_with_what_to_do() -> None:
    said = failure.words({"stderr": "ERROR 1045 (28000): Access denied for user 'root'@'localhost'"})
    assert "slurm_accounting_database_root_password" in said
    assert "ERROR 1045" in said


def test_a_script_on_a_terminal_has_its_errors_in_its_output() -> None:
    result = {
        "msg": "non-zero return code",
        "rc": 1,
        "stderr": "Shared connection to 192.0.2.12 closed.\r\n",
        "stdout": "find: cannot delete '/etc/x': Device or resource busy\r\n",
    }
    said = failure.words(result)
    assert "cannot delete '/etc/x': Device or resource busy" in said
    assert "Shared connection" not in said
