"""New files must leave their service healthy, or the last good ones return."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.host_files.world import Host

# A service that is healthy with a file that says good.
HEALTHY = 'grep -q good "$1" || { echo cannot work with this >&2; exit 1; }'


def arguments(host: Host, content: str, **others: Any) -> dict[str, Any]:
    healthy = {"command": ["sh", "-c", HEALTHY, "sh", str(host.folder / "etc/x.conf")], "within": 1}
    return {"files": [host.file(content=content)], "services": ["x.service"], "healthy": healthy, **others}


def test_the_last_good_file_returns_with_the_words_of_the_service(host: Host) -> None:
    assert not host.run(**arguments(host, "good 1")).get("failed")
    result = host.run(**arguments(host, "bad"))
    assert result["failed"]
    for words in (
        "x.service is not healthy after 1 s: cannot work with this",
        "the last words of the service",
        f"The last good content of {host.folder / 'etc/x.conf'} is back, and works.",
    ):
        assert words in result["msg"]
    assert (host.folder / "etc/x.conf").read_text() == "good 1"
    assert result["asked"].count("restart x.service") == 2
    # The same again fails again; what is right installs.
    assert host.run(**arguments(host, "bad"))["failed"]
    assert not host.run(**arguments(host, "good 2")).get("failed")
    assert (host.folder / "etc/x.conf").read_text() == "good 2"


def test_mode_and_owner_return_too_and_a_new_file_goes(host: Host) -> None:
    host.run(**arguments(host, "good"))
    path = host.folder / "etc/x.conf"
    more = {"path": str(host.folder / "etc/more.conf"), "content": "more"}
    result = host.run(**arguments(host, "bad") | {"files": [host.file(content="bad", mode="0600"), more]})
    assert result["failed"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert not (host.folder / "etc/more.conf").exists()


def test_a_run_that_was_killed_before_the_proof_is_made_good(host: Host) -> None:
    host.run(**arguments(host, "good"))
    path = host.folder / "etc/x.conf"
    path.write_text("bad")
    os.utime(path, (1, 1))
    # The process is younger than the file: nothing is to be done, but nobody has proven it.
    result = host.run(**arguments(host, "bad"))
    assert result["failed"]
    assert path.read_text() == "good"


def test_without_a_last_good_file_the_new_one_stays(host: Host) -> None:
    host.service("failed", "enabled")
    result = host.run(**arguments(host, "bad"))
    assert "There are no earlier files with which it worked" in result["msg"]
    assert (host.folder / "etc/x.conf").read_text() == "bad"


def test_a_service_that_worked_before_there_was_a_record_returns_too(host: Host) -> None:
    path = host.folder / "etc/x.conf"
    path.parent.mkdir()
    path.write_text("good, and theirs")
    assert host.run(**arguments(host, "bad"))["failed"]
    assert path.read_text() == "good, and theirs"


def test_a_command_that_fails_to_restart_brings_them_back(host: Host) -> None:
    host.run(**arguments(host, "good"))
    reload = ["sh", "-c", HEALTHY, "sh", str(host.folder / "etc/x.conf")]
    host.service("active", "enabled", MainPID=os.getpid())
    result = host.run(**arguments(host, "bad", reload_command=reload))
    assert result["failed"]
    assert (host.folder / "etc/x.conf").read_text() == "good"


def test_a_proven_service_is_not_asked_again(host: Host) -> None:
    host.run(**arguments(host, "good"))
    os.utime(host.folder / "etc/x.conf", (1, 1))
    never = {"command": ["false"], "within": 1}
    assert not host.run(**arguments(host, "good") | {"healthy": never}).get("failed")


def test_a_service_that_starts_over_and_over_is_not_healthy(host: Host) -> None:
    host.program("systemctl", '#!/bin/sh\necho "$@" >> /dev/null\necho ActiveState=active\necho MainPID=$$\n')
    healthy = {"command": ["true"], "steady": 1, "within": 1}
    result = host.run(**arguments(host, "good") | {"healthy": healthy})
    assert "it starts again and again" in result["msg"]


@pytest.fixture
def apply(host: Host) -> Path:
    """A command that takes a file over if it is good."""
    file = host.folder / "etc/x.conf"
    return Path(host.program("apply", f"#!/bin/sh\nset -- {file}\n{HEALTHY}\necho changed >> {host.log}\n"))


def test_a_command_that_applies_files_runs_until_it_succeeds(host: Host, apply: Path) -> None:
    task = {"apply": [str(apply)]}
    assert host.run(files=[host.file(content="good 1")], **task)["asked"] == ["changed"]
    assert host.run(files=[host.file(content="good 1")], **task)["asked"] == []
    result = host.run(files=[host.file(content="bad")], **task)
    assert "cannot work with this" in result["msg"]
    assert "is back, and works" in result["msg"]
    assert (host.folder / "etc/x.conf").read_text() == "good 1"
    # Killed before it ran: the files are new, and nobody has applied them.
    (host.folder / "etc/x.conf").write_text("good 2")
    assert host.run(files=[host.file(content="good 2")], **task)["asked"] == ["changed"]
