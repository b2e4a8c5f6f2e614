"""Image layers: deterministic tar streams compressed with zstd.

The same entries give the same bytes on every machine (sorted names, one fixed time, no user names). So an
image's digest identifies its content, and images with the same content share a layer. Format: OCI image
specification, "Image Layer Filesystem Changeset".
"""

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
COMPRESSION_LEVEL = 3
EXECUTABLE = 0o755
REGULAR = 0o644


@dataclass(frozen=True)
class Layer:
    """A stored layer. digest: of the compressed blob; diff_id: of the tar inside; size: compressed bytes."""

    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One member of a layer: its header, and the source of its content (none for folders and links)."""

    header: tarfile.TarInfo
    content: bytes | Path | None = None


class _Tee(io.RawIOBase):
    """Writes to a file, and hashes and counts the bytes."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target = target
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[no-untyped-def]  # any buffer
        self.sha256.update(data)
        self.target.write(data)
        self.size += len(data)
        return len(data)


class BlobStore:
    """Blobs by digest in one folder, and layers by the key of their inputs."""

    def __init__(self, folder: Path) -> None:
        self.blobs = folder / "blobs"
        self.keys = folder / "layers"
        for path in (self.blobs, self.keys):
            path.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob of this digest lies."""
        return self.blobs / digest

    def find(self, key: str) -> Layer | None:
        """The layer made earlier from the same inputs, if its blob is still there."""
        record = self.keys / f"{key}.json"
        if not record.exists():
            return None
        layer = Layer(**json.loads(record.read_text()))
        return layer if self.path(layer.digest).exists() else None

    def write(self, key: str, entries: Iterable[Entry]) -> Layer:
        """Write a layer and store it under the key of its inputs."""
        partial = self.blobs / f"{key}.partial"
        with partial.open("wb") as file:
            compressed = _Tee(file)
            compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
            with compressor.stream_writer(cast("IO[bytes]", compressed), closefd=False) as stream:
                plain = _Tee(cast("IO[bytes]", stream))
                write_tar(cast("IO[bytes]", plain), entries)
        layer = Layer(compressed.sha256.hexdigest(), plain.sha256.hexdigest(), compressed.size)
        partial.replace(self.path(layer.digest))
        (self.keys / f"{key}.json").write_text(json.dumps(asdict(layer)))
        return layer


def write_tar(stream: IO[bytes], entries: Iterable[Entry]) -> None:
    """Write entries as a tar archive, in order of name, parents first."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in sorted(entries, key=lambda entry: entry.header.name):
            _add(archive, entry)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    header = entry.header
    header.mtime, header.uname, header.gname = 0, "", ""
    # Of extended headers, keep only file attributes (e.g. capabilities), not times.
    header.pax_headers = {key: value for key, value in header.pax_headers.items() if ".xattr." in key}
    if isinstance(entry.content, Path):
        header.size = entry.content.stat().st_size
        with entry.content.open("rb") as file:
            archive.addfile(header, file)
    elif entry.content is not None:
        header.size = len(entry.content)
        archive.addfile(header, io.BytesIO(entry.content))
    else:
        archive.addfile(header)


def folder(name: str, mode: int = EXECUTABLE) -> Entry:
    """A folder owned by root."""
    header = tarfile.TarInfo(name)
    header.type, header.mode = tarfile.DIRTYPE, mode
    return Entry(header)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname, header.mode = tarfile.SYMTYPE, target, 0o777
    return Entry(header)


def file(name: str, content: bytes | Path, mode: int = REGULAR) -> Entry:
    """A regular file owned by root."""
    header = tarfile.TarInfo(name)
    header.mode = mode
    return Entry(header, content)


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """Add missing parent folders of the entries."""
    by_name = {entry.header.name: entry for entry in entries}
    for name in list(by_name):
        for parent in list(Path(name).parents)[:-1]:
            parent_name = parent.as_posix()
            if parent_name not in by_name:
                by_name[parent_name] = folder(parent_name)
    return list(by_name.values())


def tree_entries(source: Path, prefix: str = "") -> Iterator[Entry]:
    """The content of a folder, owned by root, below prefix (a path without slashes at its ends).

    Of a file's mode only the executable bit is kept: the other bits depend on the umask of its creator.
    """
    for directory, names, files in os.walk(source):
        here = Path(directory)
        for name in sorted([*names, *files]):
            path = here / name
            relative = path.relative_to(source).as_posix()
            target = f"{prefix}/{relative}" if prefix else relative
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield link(target, str(path.readlink()))
            elif stat.S_ISDIR(mode):
                yield folder(target)
            elif stat.S_ISREG(mode):
                yield file(target, path, EXECUTABLE if mode & stat.S_IXUSR else REGULAR)
