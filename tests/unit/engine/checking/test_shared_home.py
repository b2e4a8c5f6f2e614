"""One file system for all homes: what preflight says of hosts that have another one, or cannot use it."""

from typing import Any

import pytest

from platformctl.engine.checking import shared_home
from platformctl.engine.checking.findings import Level, Subject
from tests.ansible_files import load

GIB = 1024**3
HOME = {
    "path": "/home",
    "mount": "/home",
    "type": "nfs4",
    "source": "files:/home",
    "options": ["rw", "nosuid", "nodev"],
    "inode": 2,
    "changed": 10**18,
    "free": 100 * GIB,
    "free_inodes": 10**6,
    "read_only": False,
    "marker": "",
}
LOCAL = {"mount": "/", "type": "ext4", "source": "/dev/vda", "options": ["rw"], "inode": 77}


def judged(**homes: dict[str, Any]) -> list[tuple[str, str, str]]:
    subjects = [
        Subject(name, "", frozenset(), "s", {"home": {**HOME, **home}}) for name, home in homes.items()
    ]
    return [(one.host, one.level.value, one.found) for one in shared_home.judge(subjects)]


def test_one_file_system_with_the_options_that_it_needs_is_fine() -> None:
    assert judged(a={}, b={}, c={}) == []
    # Not asked: nothing to say.
    assert list(shared_home.judge([Subject("a", "", frozenset(), "s", {})])) == []


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ({"error": "stale file handle"}, "/home cannot be used: stale file handle"),
        ({"error": "does not answer within 5 s"}, "/home does not answer within 5 s"),
        ({"read_only": True}, "/home is read-only"),
        ({"options": ["rw", "nodev"]}, "/home is mounted without nosuid"),
        ({"options": ["rw"]}, "/home is mounted without nosuid and nodev"),
        ({"free_inodes": 0}, "/home takes no more files"),
        ({"free": 1024**2}, "1 MiB free at /home"),
        (
            {"inode": 3, "source": "/dev/sdb1", "type": "ext4"},
            "/home is another file system (ext4 /dev/sdb1; on a nfs4 files:/home)",
        ),
        (LOCAL, "/home is not mounted (a folder of the host itself; on a nfs4 files:/home)"),
    ],
)
def test_what_is_wrong_on_one_host_is_named_once(home: dict[str, Any], words: str) -> None:
    assert judged(a={}, b=home, c={}) == [("b", "error", words)]


def test_the_marker_decides_where_there_is_one() -> None:
    marked = {"marker": "x"}
    assert judged(a=marked, b={**marked, "changed": 0, "inode": 9}) == []
    assert [row[0] for row in judged(a=marked, b={"marker": "y"}, c=marked)] == ["b"]


def test_folders_made_while_the_hosts_are_asked_are_no_difference() -> None:
    assert judged(a={}, b={"changed": 10**18 + 5 * 10**9}) == []
    assert [row[0] for row in judged(a={}, b={"changed": 0}, c={})] == ["b"]


def test_a_site_without_any_mount_is_told_so_and_a_single_host_warned() -> None:
    assert ("a", "error", "/home is no mount of its own, so it has no nosuid and no nodev") in judged(
        a=LOCAL, b={**LOCAL, "inode": 78}
    )
    assert [row[:2] for row in judged(a=LOCAL)] == [("a", Level.WARNING.value)]


def test_an_automounter_gives_its_mounts_options_of_their_own() -> None:
    assert judged(a={"type": "autofs", "options": ["rw"]}, b={"type": "autofs", "options": ["rw"]}) == []


def test_a_folder_is_looked_at_and_what_is_none_has_words(tmp_path: Any) -> None:
    load("roles/preflight/library/host_probe.py")
    from ansible.module_utils.shared_home import state

    (tmp_path / state.MARKER).write_text("word\n")
    found = state.look(str(tmp_path))
    assert (found["marker"], found["read_only"], found["inode"]) == ("word", False, tmp_path.stat().st_ino)
    assert str(tmp_path).startswith(found["mount"])
    assert state.look(str(tmp_path / "none"))["error"] == "no such file or directory"
    (tmp_path / "file").touch()
    assert state.look(str(tmp_path / "file"))["error"] == "is not a folder"


def test_a_file_system_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from ansible.module_utils.shared_home import state

    monkeypatch.setattr(state, "_ask", lambda _: time.sleep(60))
    started = time.monotonic()
    assert state.look("/home", seconds=0.2)["error"] == "does not answer within 0 s"
    assert time.monotonic() - started < 10
