"""Tests find the programs that they run, whether the lab's artefacts were built or downloaded."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard

from platformctl.artifacts import registry_layout
from platformctl.artifacts.hashing import hash_bytes
from platformctl.artifacts.layers import Layer
from platformctl.artifacts.store import open_store
from tests.programs import lab_source, program

IMAGE = "registry.k8s.io/etcd"


def _layer(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name.replace("__", "/"))
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return stream.getvalue()


def _store_image(folder: Path, *blobs: bytes) -> None:
    store = open_store(lab_source())
    parts = []
    for number, blob in enumerate(blobs):
        path = folder / f"layer{number}"
        path.write_bytes(blob)
        parts.append((Layer(hash_bytes(blob), "0" * 64, len(blob)), path))
    repository = registry_layout.image_repository(IMAGE, "1", parts, {}, {})
    registry_layout.write_archive(store.folder / "archives/etcd.tar", repository)
    record = {"digest": repository.digest, "archive": "archives/etcd.tar"}
    store.index_path.write_text(json.dumps({"images": {IMAGE: record}}))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_program_that_is_in_an_image_only_is_taken_out_of_it(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    other = compress(_layer(etc__hosts=b""))
    _store_image(tmp_path, other, compress(_layer(usr__local__bin__etcd=b"#!/bin/sh\n")))
    found = program("etcd")
    assert found.read_bytes() == b"#!/bin/sh\n"
    assert found.stat().st_mode & 0o111
    assert program("etcd") == found


def test_a_program_of_the_store_needs_no_image() -> None:
    delivered = open_store(lab_source()).folder / "bin" / "kubectl"
    delivered.touch()
    assert program("kubectl") == delivered


def test_without_artefacts_the_next_step_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="artifacts fetch"):
        program("etcd")
