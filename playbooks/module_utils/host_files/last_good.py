"""The files that a service was healthy with: last-good/NAME/ below the state folder.

They are also the record that the files in place are proven. If they differ, a run was killed between writing
and the proof, or somebody changed a file: then the service must be proven again.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.host_files import files, state

# Programs are watched too; their publisher's older version is no configuration.
_LARGEST = 1 << 20


class LastGood:
    """The last good content of a task's files. name: the service's, or whatever else names the task."""

    def __init__(self, name: str, paths: Iterable[str]) -> None:
        self._folder = state.FOLDER / "last-good" / name
        self._paths = [pathlib.Path(path) for path in paths]

    def exists(self) -> bool:
        """Whether the service was ever proven."""
        return bool((self._folder / "files.json").is_file())

    def in_place(self) -> bool:
        """Whether the files in place are those that the service was proven with."""
        return self.exists() and bool(state.read(self._folder / "files.json") == self._present())

    def take(self) -> None:
        """Keep the files in place as the last good ones."""
        self._keep(self._present())

    def complete(self) -> None:
        """Add files that were no part of the task when it was proven, as they are before they are written."""
        known = state.read(self._folder / "files.json")
        if new := {name: found for name, found in self._present().items() if name not in known}:
            self._keep({**known, **new})

    def _keep(self, described: dict[str, dict[str, Any] | None]) -> None:
        state.folder("last-good", self._folder.name)
        # A service of a shared node belongs to stages of both schedulers, which run at the same time.
        with state.locked():
            for name, found in described.items():
                if found and not (self._folder / found["sha256"]).exists():
                    state.put(self._folder / found["sha256"], pathlib.Path(name).read_bytes())
            state.put(self._folder / "files.json", state.as_json(described))
            used = {found["sha256"] for found in described.values() if found}
            for path in self._folder.iterdir():
                if path.name not in (*used, "files.json"):
                    path.unlink()

    def restore(self) -> list[str]:
        """Put the last good files back; say which of them differed."""
        restored = []
        present = self._present()
        for name, described in state.read(self._folder / "files.json").items():
            if name not in present or present[name] == described:
                continue
            path = pathlib.Path(name)
            if described is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_name(f".platformctl-{path.name}")
                unfinished.write_bytes((self._folder / described["sha256"]).read_bytes())
                os.chown(unfinished, described["uid"], described["gid"])
                unfinished.chmod(described["mode"])
                unfinished.replace(path)
            restored.append(name)
        return restored

    def _present(self) -> dict[str, dict[str, Any] | None]:
        """The small files of the task by their paths; None where there is none."""
        return {str(path): _describe(path) for path in self._paths if not _is_large(path)}


def _is_large(path: pathlib.Path) -> bool:
    return path.is_file() and path.stat().st_size > _LARGEST


def _describe(path: pathlib.Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = path.stat()
    return {
        "sha256": files.digest(path.resolve()),
        "mode": found.st_mode & 0o7777,
        "uid": found.st_uid,
        "gid": found.st_gid,
    }
