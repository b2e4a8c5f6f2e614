import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from platformctl.artifacts import layers
from platformctl.artifacts.layers import BlobStore


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "tool").write_text("#!/bin/sh\n")
    (folder / "bin" / "tool").chmod(0o700)
    (folder / "note").write_text("hello")
    (folder / "link").symlink_to("bin/tool")
    return folder


def members(store: BlobStore, digest: str) -> dict[str, tarfile.TarInfo]:
    plain = zstandard.ZstdDecompressor().stream_reader(store.path(digest).read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return {member.name: member for member in archive}


def test_a_blob_is_named_by_its_digest_and_the_tar_by_diff_id(tmp_path: Path, tree: Path) -> None:
    store = BlobStore(tmp_path)
    layer = store.write("key", layers.tree_entries(tree))
    blob = store.path(layer.digest).read_bytes()
    assert hashlib.sha256(blob).hexdigest() == layer.digest
    assert len(blob) == layer.size
    plain = zstandard.ZstdDecompressor().stream_reader(blob).read()
    assert hashlib.sha256(plain).hexdigest() == layer.diff_id


def test_members_are_sorted_owned_by_root_and_without_times(tmp_path: Path, tree: Path) -> None:
    store = BlobStore(tmp_path)
    found = members(store, store.write("key", layers.tree_entries(tree, "opt")).digest)
    assert list(found) == ["opt/bin", "opt/bin/tool", "opt/link", "opt/note"]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in found.values()} == {
        (0, 0, 0, "")
    }
    assert found["opt/bin/tool"].mode == 0o755
    assert found["opt/note"].mode == 0o644
    assert found["opt/link"].linkname == "bin/tool"


def test_the_same_content_gives_the_same_layer(tmp_path: Path, tree: Path) -> None:
    first = BlobStore(tmp_path / "1").write("a", layers.tree_entries(tree))
    (tree / "note").touch()
    (tree / "note").chmod(0o600)
    (tree / "bin").chmod(0o700)
    assert BlobStore(tmp_path / "2").write("b", layers.tree_entries(tree)) == first


def test_a_layer_is_found_by_the_key_of_its_inputs(tmp_path: Path, tree: Path) -> None:
    store = BlobStore(tmp_path)
    assert store.find("key") is None
    layer = store.write("key", layers.tree_entries(tree))
    assert BlobStore(tmp_path).find("key") == layer
    store.path(layer.digest).unlink()
    assert store.find("key") is None


def test_folders_above_files_are_added_once() -> None:
    entries = layers.with_parents([layers.file("a/b/one", b"1"), layers.file("a/two", b"2")])
    assert sorted(entry.header.name for entry in entries) == ["a", "a/b", "a/b/one", "a/two"]
