"""What was in place before platformctl wrote there for the first time, and what it wrote.

before/files/PATH with before/files.json is written once a path and never again; a reset puts it back.
written.json has the digest of every file that platformctl wrote: it tells our files from others, and shows
which of ours somebody changed since.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.host_files import files, state

# A host that was installed before there was a record has files of ours too.
_OUR_WORDS = b"Written by platformctl"


def _before() -> pathlib.Path:
    return pathlib.Path(state.FOLDER, "before", "files.json")


def _written() -> pathlib.Path:
    return pathlib.Path(state.FOLDER, "written.json")


def changed_by_others(paths: Iterable[pathlib.Path]) -> list[str]:
    """Which of these files platformctl wrote, and somebody else has changed or removed since."""
    ours = state.read(_written())
    return [str(path) for path in paths if ours.get(str(path), "") not in ("", files.digest(path))]


def keep(paths: Iterable[pathlib.Path]) -> list[str]:
    """Keep what is at these paths and is not ours, with owner and mode; say what was kept."""
    ours = state.read(_written())
    strange = [
        path for path in paths if str(path) not in ours and os.path.lexists(path) and not _marked(path)
    ]
    if not strange:
        return []
    with state.changed(_before()) as known:
        new = [path for path in strange if str(path) not in known]
        known.update({str(path): _copy(path) for path in new})
    return [str(path) for path in new]


def record(digests: Mapping[str, str]) -> None:
    """Note that the files at these paths are ours. digests: what they shall have; empty where it varies."""
    known = state.read(_written())
    if any(known.get(path) != digest for path, digest in digests.items()):
        with state.changed(_written()) as ours:
            ours.update(digests)


def restore(path: pathlib.Path, check_mode: bool) -> bool:
    """Put back what was at a path before platformctl wrote there, or remove our file; say whether it changed.

    What is not ours stays. Of a folder all goes that is ours, and the folder once nothing else is in it.
    """
    if path.is_dir() and not path.is_symlink():
        return _restore_folder(path, check_mode)
    former = state.read(_before()).get(str(path))
    there = os.path.lexists(path)
    ours = there and (str(path) in state.read(_written()) or _marked(path))
    if not check_mode:
        if former:
            _put_back(path, former)
        elif ours:
            path.unlink()
        _forget(path)
    return bool(former or ours)


def _restore_folder(folder: pathlib.Path, check_mode: bool) -> bool:
    names = {*state.read(_written()), *state.read(_before())}
    inside = [pathlib.Path(name) for name in sorted(names) if name.startswith(f"{folder}/")]
    changed = [restore(path, check_mode) for path in inside]
    if check_mode:
        return any(changed)
    below = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    for empty in (*below, folder):
        with contextlib.suppress(OSError):
            empty.rmdir()
    return any(changed) or not folder.exists()


def _marked(path: pathlib.Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return _OUR_WORDS in stream.read(4096)


def _place(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(state.FOLDER, "before", "files", str(path).lstrip("/"))


def _copy(path: pathlib.Path) -> dict[str, Any]:
    found = path.lstat()
    described = {"mode": f"{found.st_mode & 0o7777:04o}", "uid": found.st_uid, "gid": found.st_gid}
    if path.is_symlink():
        return {**described, "link": str(path.readlink())}
    state.folder("before", "files")
    place = _place(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)
    return described


def _put_back(path: pathlib.Path, former: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".platformctl-{path.name}")
    unfinished.unlink(missing_ok=True)
    if "link" in former:
        unfinished.symlink_to(former["link"])
    else:
        shutil.copyfile(_place(path), unfinished)
        os.chown(unfinished, former["uid"], former["gid"])
        unfinished.chmod(int(former["mode"], 8))
    unfinished.replace(path)


def _forget(path: pathlib.Path) -> None:
    for document in (_before(), _written()):
        if str(path) in state.read(document):
            with state.changed(document) as known:
                known.pop(str(path), None)
    _place(path).unlink(missing_ok=True)
