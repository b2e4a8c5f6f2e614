"""What is in the way of a file is named in words, and nothing is half written."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.roles.host_files.world import Host


@pytest.fixture
def mounted(host: Host) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system of its own."""
    places: list[Path] = []

    def mount(*options: str) -> Path:
        place = host.folder / "mounted"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=64k", *options)), "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_folder_in_the_place_of_a_file(host: Host) -> None:
    place = host.folder / "etc/x.conf"
    place.mkdir(parents=True)
    other = host.folder / "etc/first.conf"
    result = host.run(files=[host.file(path=str(other)), host.file()])
    assert f"{place} is a folder, and a file is to be written there" in result["msg"]
    assert left_over(host.folder / "etc") == ["x.conf"]


def test_a_file_in_the_place_of_a_folder(host: Host) -> None:
    (host.folder / "etc").write_text("")
    assert "a folder is wanted there" in host.run(files=[host.file()])["msg"]
    result = host.run(directories=[{"path": str(host.folder / "etc")}])
    assert "is no folder, and a folder is to be there" in result["msg"]


def test_a_full_disk(host: Host, mounted: Callable[..., Path]) -> None:
    place = mounted()
    (place / "old.conf").write_text("old\n")
    files = [
        host.file(path=str(place / "old.conf"), content="new\n"),
        host.file(path=str(place / "big.conf"), content="x" * 100_000),
    ]
    result = host.run(files=files)
    assert "no space left on device; nothing was changed" in result["msg"]
    assert (place / "old.conf").read_text() == "old\n"
    assert left_over(place) == ["old.conf"]


def test_a_file_system_that_is_read_only(host: Host, mounted: Callable[..., Path]) -> None:
    place = mounted("ro")
    result = host.run(files=[host.file(path=str(place / "x.conf"))])
    assert "the file system is mounted read-only" in result["msg"]
    assert str(place) in result["msg"]


def test_a_file_that_nobody_may_change(host: Host) -> None:
    path = host.folder / "etc/x.conf"
    path.parent.mkdir()
    path.write_text("theirs\n")
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no attributes")
    try:
        result = host.run(files=[host.file(path=str(host.folder / "etc/a.conf")), host.file()])
        assert f"chattr -i {path}" in result["msg"]
        assert left_over(path.parent) == ["x.conf"]
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_an_owner_who_is_not_there(host: Host) -> None:
    result = host.run(files=[host.file(owner="nobody-here")])
    assert "is to belong to somebody who is not here" in result["msg"]
    assert not (host.folder / "etc").exists()
