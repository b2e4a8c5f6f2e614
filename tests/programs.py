"""Programs of the lab's artefacts, run by tests on this machine."""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import yaml
import zstandard

from platformctl import paths
from platformctl.artifacts import catalogue
from platformctl.artifacts.store import Store, open_store

_INVENTORY = paths.data_dir() / "inventories" / "lab"
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"


def program(name: str) -> Path:
    """A program: a file of the store, or taken out of the image that carries it, whatever the lab's source.

    FileNotFoundError: the store has neither.
    """
    store = open_store(lab_source())
    delivered = store.folder / "bin" / name
    return delivered if delivered.exists() else _from_image(store, name)


def lab_source() -> str:
    """Where labs of this checkout take their artefacts from."""
    values = yaml.safe_load((_INVENTORY / "group_vars/all/artifacts.yml").read_text())
    return str(values["artifacts_source"])


def _from_image(store: Store, name: str) -> Path:
    index = store.index()["images"] if store.index_path.exists() else {}
    for image, recipe in catalogue.load().images.items():
        if name in recipe.programs and image in index:
            digest = index[image]["digest"].removeprefix("sha256:")
            taken = paths.cache_dir() / "tests" / f"{name}-{digest[:16]}"
            if not taken.exists():
                _take(store.folder / index[image]["archive"], recipe.programs[name], taken)
            return taken
    raise FileNotFoundError(f"{name}: run `platformctl artifacts fetch -i {_INVENTORY}` first")


def _take(archive: Path, member: str, destination: Path) -> None:
    """Write one file of an image (registry storage layout) to a place of its own."""
    destination.parent.mkdir(exist_ok=True)
    # Two test processes may want the same program.
    partial = destination.with_name(f".{destination.name}.{os.getpid()}")
    for layer in _layers(archive):
        for found in layer:
            content = layer.extractfile(found) if found.name.removeprefix("./") == member else None
            if content is not None:
                with partial.open("wb") as file:
                    shutil.copyfileobj(content, file)
                partial.chmod(0o755)
                partial.replace(destination)
                return
    raise FileNotFoundError(f"{member} is in no layer of {archive}")


def _layers(archive: Path) -> Iterator[tarfile.TarFile]:
    """The layers of an image; its other blobs are JSON."""
    with tarfile.open(archive) as blobs:
        for blob in blobs:
            content = blobs.extractfile(blob)
            if content is None or not blob.name.endswith("/data"):
                continue
            start = content.read(4)
            content.seek(0)
            if start == _ZSTD or start.startswith(_GZIP):
                with _plain(content, start) as stream, tarfile.open(fileobj=stream, mode="r|*") as layer:
                    yield layer


@contextmanager
def _plain(content: IO[bytes], start: bytes) -> Iterator[IO[bytes]]:
    """The stream without zstd, which tarfile does not know; gzip it undoes itself."""
    if start == _ZSTD:
        with zstandard.ZstdDecompressor().stream_reader(content) as stream:
            yield io.BufferedReader(stream)
    else:
        yield content
