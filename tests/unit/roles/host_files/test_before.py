"""What was on a host before platformctl is kept, and comes back."""

import json
import os
from pathlib import Path

import pytest

from tests.unit.roles.host_files.world import Host


def foreign(host: Host, text: str = "theirs\n", mode: int = 0o640) -> Path:
    path = host.folder / "etc/x.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, 7, 8)
    return path


def test_a_file_of_others_is_kept_once_and_comes_back_as_it_was(host: Host) -> None:
    path = foreign(host)
    assert host.run(files=[host.file()])["kept"] == [str(path)]
    assert path.read_text() == "a = 1\n"
    assert host.run(files=[host.file(content="a = 2\n")])["kept"] == []
    assert host.run(absent=[str(path)])["changed"]
    found = path.stat()
    assert (path.read_text(), found.st_mode & 0o777, found.st_uid, found.st_gid) == ("theirs\n", 0o640, 7, 8)
    # A second reset has nothing to do: what is there is theirs.
    assert not host.run(absent=[str(path)])["changed"]
    assert path.read_text() == "theirs\n"


def test_what_was_kept_is_for_root_only(host: Host) -> None:
    foreign(host)
    host.run(files=[host.file()])
    assert host.remembered.stat().st_mode & 0o777 == 0o700
    assert (host.remembered / "before").stat().st_mode & 0o777 == 0o700
    described = json.loads((host.remembered / "before/files.json").read_text())
    assert described[str(host.folder / "etc/x.conf")] == {"mode": "0640", "uid": 7, "gid": 8}


def test_a_file_of_ours_goes_and_one_of_others_stays(host: Host) -> None:
    path = foreign(host)
    assert not host.run(absent=[str(path)])["changed"]
    assert path.read_text() == "theirs\n"
    path.unlink()
    host.run(files=[host.file()])
    assert host.run(absent=[str(path)])["changed"]
    assert not path.exists()


def test_a_file_that_says_that_it_is_ours_is_not_kept(host: Host) -> None:
    """It comes from an installation that kept no record."""
    path = foreign(host, "# Written by platformctl.\na = 0\n")
    assert host.run(files=[host.file()])["kept"] == []
    host.run(absent=[str(path)])
    assert not path.exists()


def test_a_link_comes_back_as_a_link(host: Host) -> None:
    target = foreign(host)
    link = host.folder / "etc/link.conf"
    link.symlink_to(target)
    host.run(files=[host.file(path=str(link))])
    assert not link.is_symlink()
    assert target.read_text() == "theirs\n"
    host.run(absent=[str(link)])
    assert (link.is_symlink(), link.readlink()) == (True, target)


def test_of_a_folder_only_what_is_ours_goes(host: Host) -> None:
    path = foreign(host)
    host.run(files=[host.file(path=str(host.folder / "etc/deep/y.conf"))])
    assert host.run(absent=[str(path.parent)])["changed"]
    assert sorted(path.parent.rglob("*")) == [path]
    path.unlink()
    assert host.run(absent=[str(path.parent)])["changed"]
    assert not path.parent.exists()


def test_a_file_that_others_changed_is_named(host: Host) -> None:
    host.run(files=[host.file()])
    (host.folder / "etc/x.conf").write_text("a = 3\n")
    (remark,) = host.run(files=[host.file()])["remarks"]
    assert remark.startswith(f"{host.folder / 'etc/x.conf'} was changed by somebody else")
    # A new content of ours is no drift.
    assert host.run(files=[host.file(content="a = 2\n")])["remarks"] == []


def test_a_check_run_keeps_and_records_nothing(host: Host) -> None:
    foreign(host)
    assert host.run(check=True, files=[host.file()])["changed"]
    assert not host.remembered.exists()


@pytest.mark.parametrize("damage", ["{", ""])
def test_a_damaged_record_is_named_and_nothing_is_written(host: Host, damage: str) -> None:
    host.run(files=[host.file()])
    record = host.remembered / "written.json"
    record.write_text(damage)
    result = host.run(files=[host.file(content="a = 2\n")])
    assert f"{record} is damaged" in result["msg"]
    assert (host.folder / "etc/x.conf").read_text() == "a = 1\n"
