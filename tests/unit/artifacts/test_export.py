"""Images of a store as one OCI archive."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from platformctl.artifacts import export
from platformctl.artifacts.hashing import hash_bytes
from platformctl.artifacts.layers import BlobStore, file
from platformctl.artifacts.registry_layout import image_repository, write_archive
from platformctl.errors import PlatformError

NAMES = ("registry.example/tools/one", "registry.example/tools/two")


@pytest.fixture
def index(tmp_path: Path) -> dict[str, Any]:
    """A store with two images that share a layer."""
    blobs = BlobStore(tmp_path)
    shared = blobs.write("shared", [file("etc/motd", b"hello\n")])
    found = {}
    for name in NAMES:
        own = blobs.write(name.rpartition("/")[2], [file("etc/name", name.encode())])
        parts = [(layer, blobs.path(layer.digest)) for layer in (shared, own)]
        repository = image_repository(name, "1.0", parts, {"Cmd": ["sh"]}, {})
        archive = f"{name.rpartition('/')[2]}.tar"
        write_archive(tmp_path / archive, repository)
        found[name] = {"tag": "1.0", "digest": repository.digest, "archive": archive}
    return {"images": found}


def test_every_blob_is_there_once_and_is_what_its_name_says(tmp_path: Path, index: dict[str, Any]) -> None:
    export.write(tmp_path, index, NAMES, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        contents = {}
        for member in archive:
            assert member.name not in contents
            stream = archive.extractfile(member)
            assert stream is not None
            contents[member.name] = stream.read()
    assert json.loads(contents.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    listed = json.loads(contents.pop("index.json"))["manifests"]
    assert [item["annotations"]["io.containerd.image.name"] for item in listed] == [f"{n}:1.0" for n in NAMES]
    assert {f"blobs/sha256/{hash_bytes(content)}" for content in contents.values()} == set(contents)
    for item in listed:
        manifest = contents[f"blobs/sha256/{item['digest'].removeprefix('sha256:')}"]
        assert len(manifest) == item["size"]
        described = json.loads(manifest)
        for part in [described["config"], *described["layers"]]:
            assert len(contents[f"blobs/sha256/{part['digest'].removeprefix('sha256:')}"]) == part["size"]


def test_images_are_chosen_by_their_name_or_its_last_part(index: dict[str, Any]) -> None:
    assert export.chosen(index, ["two", NAMES[1]]) == [NAMES[1]]
    assert export.chosen(index, []) == list(NAMES)
    with pytest.raises(PlatformError, match="no image three"):
        export.chosen(index, ["three"])


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, index: dict[str, Any]) -> None:
    (tmp_path / "two.tar").write_bytes(b"no archive")
    with pytest.raises(tarfile.ReadError):
        export.write(tmp_path, index, NAMES, tmp_path / "out.tar")
    assert not list(tmp_path.glob("*out.tar*"))
