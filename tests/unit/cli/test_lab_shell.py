"""`platformctl lab shell`: which program takes the place of the command."""

import os
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl import lab as labs
from platformctl.cli.main import app
from platformctl.lab import hosts

Executed = Callable[..., list[str]]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Executed:
    """The program that a command line ends in."""
    host = hosts.Host("demo", "node1", IPv4Address("198.51.100.12"))

    class Lab:
        name = "demo"

        def ssh_command(self, name: str, *remote: str) -> list[str]:
            assert name == "node1"
            return ["ssh", str(host.address), *remote]

        def console_command(self, name: str, text: str = "") -> list[str]:
            return labs.Lab.console_command(self, name, text)  # type: ignore[arg-type]

        def _own_container(self, name: str) -> str:
            return host.container

    asked: list[str] = []

    def find(name: str) -> Lab:
        asked.append(name)
        return Lab()

    monkeypatch.setattr(labs, "find", find)

    def run(*words: str, lab: str = labs.DEFAULT_NAME) -> list[str]:
        seen: list[list[str]] = []
        monkeypatch.setattr(os, "execvp", lambda _, command: seen.append(command))
        done = CliRunner().invoke(app, ["lab", "shell", *words])
        assert done.exit_code == 0, done.output
        assert asked[-1] == lab
        return seen[0]

    return run


def test_without_a_command_it_is_a_shell(executed: Executed) -> None:
    assert executed("node1") == ["ssh", "198.51.100.12"]
    assert executed("node1", "--console")[-2:] == ["/bin/bash", "--login"]
    assert "--tty" in executed("node1", "--console")


@pytest.mark.parametrize(
    ("words", "line", "lab"),
    [
        (("node1", "uptime"), "uptime", "lab"),
        (("node1", "head", "-n", "3", "/etc/fstab"), "head -n 3 /etc/fstab", "lab"),
        (("node1", "--name", "demo", "ls", "--help"), "ls --help", "demo"),
        (("-n", "demo", "node1", "echo", "a b"), "echo 'a b'", "demo"),
        (("node1", "--", "ls", "-l"), "ls -l", "lab"),
        (("node1", "journalctl -u slurmd | tail"), "journalctl -u slurmd | tail", "lab"),
    ],
)
def test_a_command_is_handed_on_as_it_is(
    executed: Executed, words: tuple[str, ...], line: str, lab: str
) -> None:
    assert executed(*words, lab=lab) == ["ssh", "198.51.100.12", line]


def test_a_command_on_the_console_needs_no_terminal(executed: Executed) -> None:
    command = executed("node1", "--console", "cat", "/etc/fstab")
    assert command[-2:] == ["-c", "cat /etc/fstab"]
    assert "--tty" not in command


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    """The command takes the place of platformctl, so nothing stands between."""
    program = (
        "from platformctl import lab; from platformctl.cli.main import run\n"
        "class Lab:\n"
        "    def ssh_command(self, host, *words): return ['sh', '-c', *words]\n"
        "lab.find = lambda name: Lab()\n"
        "run()\n"
    )
    words = [sys.executable, "-c", program, "lab", "shell", "node1", "exit 7"]
    assert subprocess.run(words, check=False).returncode == 7
