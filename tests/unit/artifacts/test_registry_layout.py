import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from bad_server import Behaviour, Server

from platformctl.artifacts import layers, registries
from platformctl.artifacts.layers import BlobStore
from platformctl.artifacts.registry_layout import (
    Repository,
    binary_repository,
    image_repository,
    write_archive,
)
from platformctl.errors import PlatformError

V2 = "docker/registry/v2"
NAME = "registry.example/tools/hello"


@pytest.fixture
def image(tmp_path: Path) -> Repository:
    store = BlobStore(tmp_path / "cache")
    made = [store.write(name, [layers.file(name, name.encode())]) for name in ("lower", "upper")]
    parts = [(layer, store.path(layer.digest)) for layer in made]
    return image_repository(NAME, "1.0", parts, {"Entrypoint": ["/upper"]}, {"title": "hello"})


def unpacked(repository: Repository, folder: Path) -> Path:
    archive = folder / "archive.tar"
    write_archive(archive, repository)
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "data", filter="data")
    return folder / "data" / V2


def blob(root: Path, digest: str) -> bytes:
    hexadecimal = digest.removeprefix("sha256:")
    return (root / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal / "data").read_bytes()


def test_every_blob_lies_under_its_own_digest(image: Repository, tmp_path: Path) -> None:
    root = unpacked(image, tmp_path)
    found = list(root.glob("blobs/sha256/*/*/data"))
    assert len(found) == 4
    for path in found:
        assert path.parent.name == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.parent.parent.name == path.parent.name[:2]


def test_a_reader_gets_from_the_tag_to_the_layers(image: Repository, tmp_path: Path) -> None:
    root = unpacked(image, tmp_path)
    repository = root / "repositories" / NAME
    digest = (repository / "_manifests/tags/1.0/current/link").read_text()
    assert digest == image.digest
    hexadecimal = digest.removeprefix("sha256:")
    assert (repository / f"_manifests/revisions/sha256/{hexadecimal}/link").read_text() == digest
    assert (repository / f"_manifests/tags/1.0/index/sha256/{hexadecimal}/link").read_text() == digest
    manifest = json.loads(blob(root, digest))
    for part in (manifest["config"], *manifest["layers"]):
        linked = repository / "_layers" / part["digest"].replace(":", "/") / "link"
        assert linked.read_text() == part["digest"]
        assert len(blob(root, part["digest"])) == part["size"]
    config = json.loads(blob(root, manifest["config"]["digest"]))
    assert config["config"]["Entrypoint"] == ["/upper"]
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 2


def test_the_same_image_gives_the_same_archive(image: Repository, tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        write_archive(tmp_path / name, image)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_program_is_a_blob_that_hosts_fetch_by_its_digest(tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_bytes(b"program")
    digest = hashlib.sha256(b"program").hexdigest()
    root = unpacked(binary_repository("platformctl/tool", "1", digest, program), tmp_path)
    assert (root / f"repositories/platformctl/tool/_layers/sha256/{digest}/link").exists()
    assert blob(root, digest) == b"program"


def test_a_damaged_part_is_refused(image: Repository, tmp_path: Path) -> None:
    damaged = next(part for part in image.blobs.values() if isinstance(part, Path))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")
    with pytest.raises(PlatformError, match="damaged") as refused:
        write_archive(tmp_path / "archive.tar", image)
    assert str(damaged) in refused.value.next
    assert not (tmp_path / "archive.tar").exists()


def serve(server: Server, image: Repository, root: Path, below: str) -> None:
    """Serve an unpacked repository by the registry's protocol."""
    manifest = blob(root, image.digest)
    for reference in (image.tag, image.digest):
        server.paths[f"{below}/manifests/{reference}"] = Behaviour(manifest)
    for digest in image.blobs:
        server.paths[f"{below}/blobs/sha256:{digest}"] = Behaviour(blob(root, digest))


def test_an_image_is_pulled_back_as_it_was(image: Repository, server: Server, tmp_path: Path) -> None:
    serve(server, image, unpacked(image, tmp_path), f"/v2/{NAME}")
    source = registries.remote(NAME, server.url)
    digest = registries.find_manifest(source, "1.0").digest
    pulled = registries.pull(source, "1.0", digest, BlobStore(tmp_path / "pulled").path)
    assert pulled.digest == image.digest
    write_archive(tmp_path / "again.tar", pulled)
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "archive.tar").read_bytes()


def test_the_image_of_this_platform_is_chosen(image: Repository, server: Server, tmp_path: Path) -> None:
    serve(server, image, unpacked(image, tmp_path), f"/v2/{NAME}")
    other = {"platform": {"os": "linux", "architecture": "arm64"}, "digest": "sha256:" + "0" * 64}
    ours = {"platform": {"os": "linux", "architecture": "amd64"}, "digest": image.digest}
    server.paths[f"/v2/{NAME}/manifests/1.0"] = Behaviour(json.dumps({"manifests": [other, ours]}).encode())
    found = registries.find_manifest(registries.remote(NAME, server.url), "1.0")
    assert f"sha256:{found.digest}" == image.digest


def test_a_registry_that_asks_for_a_token_gets_one(image: Repository, server: Server, tmp_path: Path) -> None:
    serve(server, image, unpacked(image, tmp_path), f"/v2/{NAME}")
    challenge = f'Bearer realm="{server.url}/token",service="registry.example",scope="pull"'
    tag = server.paths[f"/v2/{NAME}/manifests/1.0"]
    server.paths[f"/v2/{NAME}/manifests/1.0"] = Behaviour(
        tag.content, status=401, failures=1, headers={"WWW-Authenticate": challenge}
    )
    server.paths["/token"] = Behaviour(b'{"token": "abc"}')
    registries.find_manifest(registries.remote(NAME, server.url), "1.0")
    assert server.seen(f"/v2/{NAME}/manifests/1.0")[1]["Authorization"] == "Bearer abc"


def test_a_registry_that_gives_no_token_is_named(server: Server) -> None:
    challenge = f'Bearer realm="{server.url}/token",service="registry.example",scope="pull"'
    server.paths[f"/v2/{NAME}/manifests/1.0"] = Behaviour(status=401, headers={"WWW-Authenticate": challenge})
    server.paths["/token"] = Behaviour(status=403)
    with pytest.raises(PlatformError, match="no anonymous token: 403") as refused:
        registries.find_manifest(registries.remote(NAME, server.url), "1.0")
    assert refused.value.where == f"{server.url}/token"


def test_another_manifest_than_the_pinned_one_is_refused(
    image: Repository, server: Server, tmp_path: Path
) -> None:
    serve(server, image, unpacked(image, tmp_path), f"/v2/{NAME}")
    pinned = "1" * 64
    server.paths[f"/v2/{NAME}/manifests/sha256:{pinned}"] = Behaviour(image.manifest)
    with pytest.raises(PlatformError, match="nothing was installed"):
        registries.pull(registries.remote(NAME, server.url), "1.0", pinned, BlobStore(tmp_path).path)


def test_publishers_are_asked_where_they_answer() -> None:
    assert registries.remote("registry.k8s.io/coredns/coredns", None).url == (
        "https://registry.k8s.io/v2/coredns/coredns"
    )
    assert registries.remote("docker.io/library/perl", None).url == (
        "https://registry-1.docker.io/v2/library/perl"
    )
