import asyncio
import os
from pathlib import Path

import pytest

from platformctl.engine import remote
from platformctl.engine.fleet import Connection
from platformctl.errors import ExitCode, PlatformError


def test_work_on_many_hosts_is_done_fifty_at_once_and_answered_in_order() -> None:
    running, most = 0, 0

    async def one(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert asyncio.run(remote.together(one(number) for number in range(120))) == list(range(120))
    assert most == 50


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (remote.Reply(255, "", "No route to host"), "does not answer: No route to host"),
        (
            remote.Reply(1, "", "sudo: a password is required"),
            "does not let its user become root: sudo: a password is required",
        ),
        (remote.Reply(2, "", "cat: Is a directory"), "does not say what it has: cat: Is a directory"),
    ],
)
def test_what_a_host_does_that_cannot_be_asked(reply: remote.Reply, expected: str) -> None:
    assert reply.refusal == expected


# As long as a socket's name gets: a role's prefix, the digest of a connection, and what ssh appends.
LONGEST_NAME = f"plain-{'0' * 40}.{'x' * 16}"


@pytest.mark.parametrize(
    ("home", "runtime", "expected"),
    [
        ("/root", "", "/root/.ansible/cp"),
        ("/home/institute/alice", "/run/user/1001", "/home/institute/alice/.ansible/cp"),
        ("/home/ad.example.org/alice.of.the.example", "/run/user/1001", "/run/user/1001/platformctl"),
    ],
)
def test_the_path_of_a_connection_fits_a_socket(
    home: str, runtime: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setattr(remote.os, "access", lambda *_: True)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    assert remote.control_folder() == Path(expected)
    assert remote.control_path() == f"{expected}/%C"
    assert len(f"{expected}/{LONGEST_NAME}") <= 107


def test_without_a_runtime_folder_a_private_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", f"/home/{'x' * 60}")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(remote, "_TEMPORARY", tmp_path)
    folder = remote.control_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert remote.control_folder() == folder
    folder.chmod(0o755)
    with pytest.raises(PlatformError, match="not this user's alone") as refused:
        remote.control_folder()
    assert refused.value.code is ExitCode.REFUSED
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PlatformError):
        remote.control_folder()


def _fake_ssh(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that runs the remote command here, as the lines of a login shell say."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/bash\nfor word; do command=$word; done\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(remote, "_ssh", lambda _: [str(program), "ADDRESS"])


def _asked(script: str, data: str = "") -> remote.Reply:
    return asyncio.run(remote.run(Connection("192.0.2.1", user="root"), script, data))


def test_answers_are_those_of_the_script_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_ssh(
        tmp_path, 'echo Welcome; echo mind >&2; umask 077; sh -c "${@: -1}"; echo bye; exit 0', monkeypatch
    )
    reply = _asked("cat; umask; echo bad >&2; exit 3", "data\n")
    assert reply == remote.Reply(3, "data\n0022\n", "bad\n", noise=("Welcome",))


@pytest.mark.parametrize(
    ("text", "unreachable", "words"),
    [
        (
            "echo 'This account is currently not available.'; exit 1",
            False,
            "does not run the commands of its user: This account is currently not available.",
        ),
        ("exit 0", False, "does not run the commands of its user: exit status 254"),
        (
            "echo 'ssh: connect to host x port 22: Connection refused' >&2; exit 255",
            True,
            "answers, but has no ssh server on that port",
        ),
        ("echo 'sudo: a password is required' >&2; exit 1", False, "does not let its user become root"),
    ],
)
def test_what_is_not_framed_is_no_answer(
    text: str, unreachable: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_ssh(tmp_path, text, monkeypatch)
    reply = _asked("echo fine")
    assert reply.code != 0
    assert (reply.readable, reply.unreachable) == (False, unreachable)
    assert reply.refusal.startswith(words)


def test_a_script_that_ends_with_255_was_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_ssh(tmp_path, 'sh -c "${@: -1}"', monkeypatch)
    reply = _asked("exit 255")
    assert (reply.unreachable, reply.readable) == (False, True)


def test_ssh_has_no_terminal_and_no_variable_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("ANSIBLE_CONFIG", "/tmp/evil")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    _fake_ssh(
        tmp_path, 'env > "$HOME/environment"; ps -o sid=,pid= $$ > "$HOME/session"; exit 255', monkeypatch
    )
    _asked("true")
    session, pid = (tmp_path / "session").read_text().split()
    assert session == pid
    found = (tmp_path / "environment").read_text()
    assert "SSH_AUTH_SOCK=/run/agent" in found
    assert "ASKPASS" not in found
    assert "ANSIBLE" not in found


def test_nothing_of_a_users_ssh_configuration_for_sessions_by_hand_applies() -> None:
    words = remote._ssh(Connection("192.0.2.1", user="ops", arguments=("-o", "BatchMode=no")))
    first = [words[index + 1] for index, word in enumerate(words) if word == "-o"]
    assert first.index("BatchMode=yes") < first.index("BatchMode=no")
    assert {"RequestTTY=no", "RemoteCommand=none", "ClearAllForwardings=yes"} <= set(first)


def test_a_missing_ssh_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(remote, "_ssh", lambda _: ["/no/such/ssh"])
    with pytest.raises(PlatformError, match="is not installed"):
        _asked("true")


def test_a_home_that_cannot_be_written_keeps_no_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(remote, "_TEMPORARY", tmp_path)
    assert remote.control_folder() == tmp_path / f"platformctl-{os.getuid()}"
