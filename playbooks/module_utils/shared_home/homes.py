"""Home directories and the keys in them, made with the rights of their users."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable

SKELETON = pathlib.Path("/etc/skel")
KEPT = "authorized_keys.before-platformctl"
_OURS = "# Written by platformctl, from ssh_keys of the inventory. Other keys are replaced.\n"
# Hosts that share the home may write the same file at once.
_TRIES = 3


def make_home(home: pathlib.Path, uid: int, mode: int) -> None:
    """Make a home beside its place and move it there, so that a half made one is never taken for a home."""
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    if SKELETON.is_dir():
        shutil.copytree(SKELETON, temporary, symlinks=True, dirs_exist_ok=True)
    for entry in (temporary, *temporary.rglob("*")):
        os.lchown(entry, uid, uid)
    temporary.chmod(mode)
    try:
        temporary.rename(home)
    except OSError:
        # Another host of the site was faster.
        shutil.rmtree(temporary, ignore_errors=True)
        if not home.is_dir():
            raise


def as_user(uid: int, action: Callable[[], bool]) -> bool:
    """Run the action with the user's rights: in a home, root must not follow links that the user has laid."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        return action()
    finally:
        os.seteuid(0)
        os.setegid(0)


def written_keys(have: str, keys: Iterable[str], keep: bool) -> str:
    """Return what authorized_keys should say. keep: nobody may lose the way in by a key that is there."""
    wanted = [key.strip() for key in keys]
    if keep:
        there = [line.strip() for line in have.splitlines()]
        missing = [key for key in wanted if key not in there]
        return "\n".join([*have.rstrip("\n").splitlines(), *missing]) + "\n" if missing else have
    return _OURS + "".join(f"{key}\n" for key in wanted)


def write_keys(home: pathlib.Path, keys: Iterable[str], keep: bool, check_mode: bool = False) -> bool:
    """Return whether authorized_keys differed from the keys; write it unless in check mode.

    Keys of others that would go are kept in a file beside it, once.
    """
    path, keys = home / ".ssh" / "authorized_keys", list(keys)
    have = _text(path)
    content = written_keys(have, keys, keep)
    if have == content:
        return False
    if check_mode:
        return True
    path.parent.mkdir(mode=0o700, exist_ok=True)
    kept = path.with_name(KEPT)
    if (
        not have.startswith(_OURS)
        and set(have.splitlines()) - set(content.splitlines())
        and not kept.exists()
    ):
        _replace(kept, have)
    for _ in range(_TRIES):
        _replace(path, content)
        content = written_keys(_text(path), keys, keep)
        if _text(path) == content:
            break
    return True


def carry_keys(old: pathlib.Path, new: pathlib.Path, uid: int) -> None:
    """Let somebody whose home changes log in with the same keys as before."""
    lines = [line for line in _text(old / ".ssh" / "authorized_keys").splitlines() if line.strip()]
    if lines:
        if not new.exists():
            make_home(new, uid, 0o700)
        as_user(uid, lambda: write_keys(new, lines, keep=True))


def _text(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def _replace(path: pathlib.Path, content: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    pathlib.Path(name).replace(path)
