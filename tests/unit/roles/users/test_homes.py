"""Keys in homes: nobody loses the way in, and nothing that was there is lost."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_files import load

load("roles/shared_home/library/home_directories.py")
homes: Any = importlib.import_module("ansible.module_utils.shared_home.homes")
OLD, NEW = "ssh-ed25519 AAAA old", "ssh-ed25519 BBBB new"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "carol" / ".ssh").mkdir(parents=True)
    return tmp_path / "carol"


def keys(home: Path, name: str = "authorized_keys") -> str:
    return (home / ".ssh" / name).read_text()


def test_keys_of_the_inventory_replace_others_which_are_kept_beside_them(home: Path) -> None:
    (home / ".ssh/authorized_keys").write_text(f"{OLD}\n")
    assert homes.write_keys(home, [NEW], keep=False)
    assert keys(home).splitlines()[1:] == [NEW]
    assert keys(home, homes.KEPT) == f"{OLD}\n"
    assert (home / ".ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert not homes.write_keys(home, [NEW], keep=False)
    # What was there first stays kept, whatever is replaced later.
    (home / ".ssh/authorized_keys").write_text("third\n")
    assert homes.write_keys(home, [NEW], keep=False)
    assert keys(home, homes.KEPT) == f"{OLD}\n"


def test_who_platformctl_logs_in_as_keeps_all_keys(home: Path) -> None:
    (home / ".ssh/authorized_keys").write_text(OLD)
    assert homes.write_keys(home, [NEW], keep=True)
    assert keys(home) == f"{OLD}\n{NEW}\n"
    assert not homes.write_keys(home, [NEW], keep=True)
    assert not (home / ".ssh" / homes.KEPT).exists()


def test_the_keys_go_along_to_a_new_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "as_user", lambda _, action: action())
    monkeypatch.setattr(homes.os, "lchown", lambda *_: None)
    (home / ".ssh/authorized_keys").write_text(f"{OLD}\n")
    homes.carry_keys(home, tmp_path / "new", 1000)
    assert keys(tmp_path / "new") == f"{OLD}\n"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    # Who logs in some other way needs none.
    homes.carry_keys(tmp_path / "none", tmp_path / "other", 1000)
    assert not (tmp_path / "other").exists()


def test_a_home_that_another_host_has_just_made_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes.os, "lchown", lambda *_: None)
    homes.make_home(home, 1000, 0o700)
    assert (home / ".ssh").is_dir()
    assert [path.name for path in home.parent.iterdir()] == ["carol"]
