import asyncio
from pathlib import Path

import pytest

from platformctl.engine import remote
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
