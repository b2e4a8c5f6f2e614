import hashlib
import random
from pathlib import Path

import pytest
from bad_server import Behaviour, Server

from platformctl.artifacts.download import File, Policy, download
from platformctl.errors import PlatformError

CONTENT = random.Random(7).randbytes(400_000)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wanted(server: Server, tmp_path: Path) -> File:
    return File("tool", f"{server.url}/tool", tmp_path / "tool", digest(CONTENT))


def test_a_good_file_arrives_whole(server: Server, wanted: File) -> None:
    server.paths["/tool"] = Behaviour(CONTENT)
    download([wanted])
    assert wanted.destination.read_bytes() == CONTENT
    assert not wanted.destination.with_name("tool.partial").exists()


def test_several_files_are_fetched_at_once(server: Server, tmp_path: Path) -> None:
    files = []
    for number in range(6):
        server.paths[f"/{number}"] = Behaviour(CONTENT[:8000], pause=0.05)
        files.append(File(str(number), f"{server.url}/{number}", tmp_path / str(number)))
    received: list[int] = []
    download(files, Policy(parallel=6), lambda _name, count: received.append(count))
    assert sum(received) == 6 * 8000
    assert all(file.destination.read_bytes() == CONTENT[:8000] for file in files)


def test_a_truncated_file_is_resumed_where_it_stopped(
    server: Server, wanted: File, impatient: Policy
) -> None:
    server.paths["/tool"] = Behaviour(CONTENT, cut=150_000)
    download([wanted], impatient)
    assert wanted.destination.read_bytes() == CONTENT
    first, second = server.seen("/tool")
    assert "Range" not in first
    assert second["Range"] == "bytes=150000-"
    assert server.sent == len(CONTENT)


def test_a_download_killed_earlier_goes_on(server: Server, wanted: File) -> None:
    server.paths["/tool"] = Behaviour(CONTENT)
    wanted.destination.with_name("tool.partial").write_bytes(CONTENT[:300_000])
    download([wanted])
    assert wanted.destination.read_bytes() == CONTENT
    assert server.sent == 100_000


def test_a_server_that_cannot_resume_sends_all_again(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(CONTENT, cut=150_000, ranges=False)
    download([wanted], impatient)
    assert wanted.destination.read_bytes() == CONTENT


def test_a_rest_of_another_file_is_thrown_away(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(CONTENT)
    wanted.destination.with_name("tool.partial").write_bytes(b"x" * 1000)
    download([wanted], impatient)
    assert wanted.destination.read_bytes() == CONTENT


def test_a_rest_longer_than_the_file_is_thrown_away(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(CONTENT)
    wanted.destination.with_name("tool.partial").write_bytes(b"x" * (len(CONTENT) + 5))
    download([wanted], impatient)
    assert wanted.destination.read_bytes() == CONTENT


def test_one_wrong_byte_is_refused_and_nothing_is_left(
    server: Server, wanted: File, impatient: Policy
) -> None:
    server.paths["/tool"] = Behaviour(CONTENT[:-1] + b"\0")
    with pytest.raises(PlatformError) as refused:
        download([wanted], impatient)
    assert wanted.url in str(refused.value)
    assert wanted.sha256 in str(refused.value)
    assert "next:" in str(refused.value)
    assert list(wanted.destination.parent.iterdir()) == []
    assert len(server.seen("/tool")) == 1


def test_every_failing_file_is_named_and_the_others_arrive(
    server: Server, wanted: File, tmp_path: Path, impatient: Policy
) -> None:
    server.paths["/tool"] = Behaviour(CONTENT)
    server.paths["/forbidden"] = Behaviour(status=403)
    lost = [File(name, f"{server.url}/{name}", tmp_path / name) for name in ("missing", "forbidden")]
    with pytest.raises(PlatformError) as failed:
        download([*lost, wanted], impatient)
    assert failed.value.what.startswith("2 of 3")
    assert [line.partition(":")[0] for line in failed.value.details] == ["forbidden", "missing"]
    assert "404" in failed.value.details[1]
    assert f"{server.url}/missing" in failed.value.details[1]
    assert wanted.destination.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(CONTENT, status=503, failures=2)
    download([wanted], impatient)
    assert len(server.seen("/tool")) == 3


def test_a_server_that_stays_busy_is_given_up(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(status=503)
    with pytest.raises(PlatformError, match="503, 3 attempts"):
        download([wanted], impatient)


def test_a_slow_server_is_waited_for(server: Server, wanted: File, impatient: Policy) -> None:
    server.paths["/tool"] = Behaviour(CONTENT, pause=0.1)
    download([wanted], impatient)
    assert len(server.seen("/tool")) == 1


def test_a_silent_server_is_given_up(server: Server, wanted: File) -> None:
    server.paths["/tool"] = Behaviour(silent=True)
    with pytest.raises(PlatformError, match="tool"):
        download([wanted], Policy(attempts=2, delay=0.01, stall=0.2))


def test_no_server_at_all_is_named(tmp_path: Path) -> None:
    nowhere = File("tool", "http://127.0.0.1:1/tool", tmp_path / "tool")
    with pytest.raises(PlatformError, match=r"http://127\.0\.0\.1:1/tool"):
        download([nowhere], Policy(attempts=2, delay=0.01))
