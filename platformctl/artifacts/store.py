"""The store: what a site installs from, in one folder for each source.

    <cache>/store/<source>/index.json    what there is: versions, digests and paths
                           bin/          programs for hosts and for the operator's machine
                           archives/     programs and images in the registry's storage layout
                           charts/       packaged charts
                           state.json    keys of the inputs, and size, time and digest of each file

index.json is written last and atomically, so that it never names a file that is not there.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.errors import PlatformError
from platformctl.paths import cache_dir

# Sections of the index: programs for hosts, for the operator's machine, images, charts.
KINDS = ("binaries", "tools", "images", "charts")


@dataclass(frozen=True)
class Stamp:
    """A file's size, time and digest when it was last hashed. modified: nanoseconds since 1970."""

    size: int
    modified: int
    sha256: str

    def untouched(self, path: Path) -> bool:
        """Whether the file still has the same size and time."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)


@dataclass
class State:
    """The content of state.json: keys of inputs by artefact, records of the index, and stamps of files."""

    keys: dict[str, str] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, Stamp] = field(default_factory=dict)


def of_site(index: Mapping[str, Any], chosen: Collection[str]) -> dict[str, Any]:
    """The index without the images that only other sites have chosen, as if these sites were not there."""
    images = index.get("images", {})
    mine = {name: one for name, one in images.items() if one.get("only_for", "") in {"", *chosen}}
    if len(mine) == len(images):
        return dict(index)
    found = {**index, "images": mine}
    return found | {"lock": hash_value({kind: found[kind] for kind in found if kind != "lock"})}


class Store:
    """One source's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "archives", "charts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.state = self._read_state()

    @property
    def index_path(self) -> Path:
        """The file that the playbooks read."""
        return self.folder / "index.json"

    def index(self) -> dict[str, Any]:
        """What the playbooks read."""
        if not self.index_path.exists():
            raise PlatformError(
                "no artefacts here yet", where=str(self.folder), next="platformctl artifacts fetch"
            )
        index: dict[str, Any] = _read_json(self.index_path)
        return index

    def stamp(self, path: str) -> str:
        """Record a file that was just written; returns its digest."""
        status = (self.folder / path).stat()
        digest = hash_file(self.folder / path)
        self.state.files[path] = Stamp(status.st_size, status.st_mtime_ns, digest)
        return digest

    def current(self, artefact: str, key: str) -> bool:
        """Whether an artefact was made from these inputs and its files still exist."""
        record = self.state.records.get(artefact, {})
        paths = [record[name] for name in ("path", "archive") if name in record]
        known = all(path in self.state.files and (self.folder / path).exists() for path in paths)
        return self.state.keys.get(artefact) == key and bool(paths) and known

    def put(self, artefact: str, key: str, record: dict[str, Any]) -> None:
        """Record an artefact; artefact: kind, colon and name."""
        self.state.keys[artefact] = key
        self.state.records[artefact] = record

    def differs(self, wanted: set[str], changed: list[str]) -> bool:
        """Whether the index must be written: it is missing, or an artefact was made or is unwanted."""
        return bool(changed) or set(self.state.records) != wanted or not self.index_path.exists()

    def publish(self, wanted: set[str]) -> dict[str, Any]:
        """Remove unwanted artefacts, write the state and then the index; returns the index."""
        for artefact in set(self.state.records) - wanted:
            del self.state.records[artefact], self.state.keys[artefact]
        used = {
            record[name]
            for record in self.state.records.values()
            for name in ("path", "archive")
            if name in record
        }
        for path in set(self.state.files) - used:
            (self.folder / path).unlink(missing_ok=True)
            del self.state.files[path]
        index: dict[str, Any] = {kind: {} for kind in KINDS}
        for artefact, record in sorted(self.state.records.items()):
            kind, _, name = artefact.partition(":")
            index[kind][name] = record
        index["lock"] = hash_value(index)
        self._write_state()
        _write_json(self.index_path, index)
        return index

    def check_touched(self) -> None:
        """Hash again the files whose size or time changed since they were last hashed; refuse wrong bytes.

        A missing file is not an error here: it is made again.
        """
        paths = [(self.folder / path, path, stamp) for path, stamp in self.state.files.items()]
        self._check([path for file, path, stamp in paths if file.exists() and not stamp.untouched(file)])

    def check_all(self) -> int:
        """Hash every file again and return how many; refuses wrong bytes and an index changed by hand."""
        index = self.index()
        lock = index.pop("lock")
        if hash_value(index) != lock:
            raise PlatformError(
                "index.json was changed by hand",
                where=str(self.index_path),
                next="platformctl artifacts fetch",
            )
        self._check(list(self.state.files))
        return len(self.state.files)

    def _check(self, paths: list[str]) -> None:
        wrong = []
        for path in paths:
            expected = self.state.files[path].sha256
            file = self.folder / path
            if not file.exists():
                wrong.append(f"{path}: missing")
            elif (actual := hash_file(file)) != expected:
                wrong.append(f"{path}: sha256 is {actual}, expected {expected}")
        if wrong:
            raise PlatformError(
                "artefacts differ from their digests; nothing was installed",
                where=str(self.folder),
                next=f"remove the named files below {self.folder}, then `platformctl artifacts fetch`",
                details=wrong,
            )
        for path in paths:
            self.stamp(path)

    def _read_state(self) -> State:
        path = self.folder / "state.json"
        if not path.exists():
            return State()
        raw = _read_json(path)
        try:
            files = {name: Stamp(**stamp) for name, stamp in raw["files"].items()}
            return State(raw["keys"], raw["records"], files)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, error) from error

    def _write_state(self) -> None:
        state = self.state
        files = {name: vars(stamp) for name, stamp in state.files.items()}
        _write_json(
            self.folder / "state.json", {"keys": state.keys, "records": state.records, "files": files}
        )


def open_store(source: str) -> Store:
    """The store of a source."""
    return Store(cache_dir() / "store" / source)


def _write_json(path: Path, value: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    partial.replace(path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> PlatformError:
    return PlatformError(
        f"a file of the artefact store cannot be read: {error}",
        where=str(path),
        next=f"rm {path}, then: platformctl artifacts fetch",
    )
