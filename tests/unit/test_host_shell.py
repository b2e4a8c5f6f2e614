import os
import shlex
import shutil
import subprocess

import pytest

from platformctl import host_shell
from platformctl.host_shell import Frame

HOST = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/root",
    "http_proxy": "http://192.0.2.1:3128",
    "HTTPS_PROXY": "http://192.0.2.1:3128",
    "LC_ALL": "odd",
    "GREP_OPTIONS": "--color=always",
    "PYTHONPATH": "/tmp/evil",
}


def answer(frame: Frame, around: str = "{}", data: str = "") -> host_shell.Framed:
    """Run a frame as a login shell would, with something around it, on a host with umask 077."""
    line = around.format(shlex.join(frame.words))
    done = subprocess.run(
        ["sh", "-c", line],
        env=HOST,
        input=data,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.umask(0o077),
    )
    return frame.read(done.stdout, done.stderr)


def test_a_script_runs_with_our_umask_and_environment() -> None:
    found = answer(Frame("umask; env"))
    assert found.code == 0
    umask, *variables = found.out.splitlines()
    assert umask == "0022"
    assert {"LC_ALL=C.UTF-8", "HOME=/root"} <= set(variables)
    assert not [line for line in variables if "proxy" in line.lower() or "GREP" in line or "PYTHON" in line]


@pytest.mark.parametrize(
    "around",
    [
        "echo welcome; {}",
        "printf 'no end of line'; {}",
        "echo '{{\"a\": 1}}'; echo noise >&2; {}",
        "{}; echo 'this session was recorded'",
        "set -x; {}",
    ],
)
def test_what_others_print_is_no_part_of_the_answer(around: str) -> None:
    found = answer(Frame("printf 'mine\\n\\nto the byte'; echo problem >&2; exit 7"), around)
    assert (found.code, found.out, found.err) == (7, "mine\n\nto the byte", "problem\n")


def test_the_first_lines_of_others_are_known() -> None:
    assert answer(Frame("true"), "echo; echo ' welcome '; echo to node1; {}").before == (
        "welcome",
        "to node1",
    )


@pytest.mark.parametrize("around", ["echo This account is not available.; false", "exit 1; {}"])
def test_without_the_frame_nothing_ran(around: str) -> None:
    assert answer(Frame("true"), around).code is None


def test_a_script_that_is_killed_did_not_end() -> None:
    assert answer(Frame("echo half; kill -9 $PPID; sleep 1")).code is None


def test_a_password_that_nobody_asked_for_is_not_data() -> None:
    frame = Frame("cat", skips_to_token=True)
    assert answer(frame, data=f"secret\n{frame.token}\ndata\n").out == "data\n"
    assert answer(frame, data=f"{frame.token}\ndata\n").out == "data\n"


def test_bad_scripts_end_like_others() -> None:
    found = answer(Frame("echo ("))
    assert found.code == 2
    assert "Syntax error" in found.err


@pytest.mark.parametrize("shell", ["tcsh", "csh", "fish", "bash", "zsh"])
def test_other_login_shells_start_it_too(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    frame = Frame("echo 'a\n$b' \"!\"")
    done = subprocess.run([shell, "-c", shlex.join(frame.words)], capture_output=True, text=True)
    assert frame.read(done.stdout, done.stderr).out == "a\n$b !\n"


def test_no_character_of_the_command_means_something_else_in_csh_or_fish() -> None:
    command = shlex.join(Frame("echo '!x' \"$y\"\n# `z` \\ %").words)
    assert "\n" not in command
    assert not set("!`\\%#{}[]*?~^") & set(command)
