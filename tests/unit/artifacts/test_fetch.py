"""A whole fetch from a mirror: one program in an archive, one image, one chart, a lock."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from bad_server import Behaviour, Server

from platformctl.artifacts import catalogue as catalogues
from platformctl.artifacts import charts, layers
from platformctl.artifacts.catalogue import Catalogue
from platformctl.artifacts.fetch import fetch, pin, unpinned
from platformctl.artifacts.hashing import hash_bytes
from platformctl.artifacts.layers import BlobStore
from platformctl.artifacts.lock import Lock, read_lock, write_lock
from platformctl.artifacts.registry_layout import Repository, image_repository
from platformctl.artifacts.store import open_store
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

READ = "read on the release page"
CATALOGUE = Catalogue.model_validate(
    {
        "stamps": {},
        "programs": {
            "tool": {
                "version": "1.1",
                "for": "hosts",
                "go": {"package": "tool.example/tool"},
                "upstream": {
                    "url": "https://tool.example/v{version}/tool.tgz",
                    "member": "bin/tool",
                    "version": "1.0",
                    "evidence": READ,
                },
            }
        },
        "roots": {},
        "images": {
            "registry.example/hello": {"tag": "v2", "upstream": {"tag": "v1", "evidence": READ}},
            "registry.example/rare": {"tag": "v1", "only_for": "rare", "upstream": {"evidence": READ}},
        },
    }
)
ARCHIVE = "/tool.example/v1.0/tool.tgz"
IMAGE = "/v2/registry.example/hello"


@pytest.fixture
def site(server: Server, caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock file of a site whose mirror is the local server."""
    (tmp_path / "charts" / "hello").mkdir(parents=True)
    (tmp_path / "charts" / "hello" / "Chart.yaml").write_text("name: hello\nversion: 1.2.3\n")
    monkeypatch.setattr(catalogues, "load", lambda: CATALOGUE)
    monkeypatch.setattr(charts, "data_dir", lambda: tmp_path)
    server.paths[ARCHIVE] = Behaviour(archive_of(b"program"))
    publish(server, tmp_path / "publisher", b"hello")
    return tmp_path / "artifacts.lock.txt"


def archive_of(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        header = tarfile.TarInfo("bin/tool")
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))
    return stream.getvalue()


def publish(server: Server, folder: Path, content: bytes) -> Repository:
    store = BlobStore(folder)
    layer = store.write(content.hex(), [layers.file("hello", content)])
    image = image_repository("hello", "v1", [(layer, store.path(layer.digest))], {}, {})
    for reference in ("v1", image.digest):
        server.paths[f"{IMAGE}/manifests/{reference}"] = Behaviour(image.manifest)
    for digest, blob in image.blobs.items():
        content = blob if isinstance(blob, bytes) else blob.read_bytes()
        server.paths[f"{IMAGE}/blobs/sha256:{digest}"] = Behaviour(content)
    return image


def test_a_mirror_fills_the_store(server: Server, site: Path, quiet: Output) -> None:
    pin("mirror", site, mirror=server.url)
    result = fetch("mirror", quiet, lock=site, mirror=server.url)
    index = open_store("mirror").index()
    assert sorted(result.changed) == ["binaries:tool", "charts:hello", "images:registry.example/hello"]
    assert (result.folder / index["binaries"]["tool"]["path"]).read_bytes() == b"program"
    assert index["binaries"]["tool"]["version"] == "1.0"
    assert index["images"]["registry.example/hello"]["tag"] == "v1"
    assert index["charts"]["hello"]["path"] == "charts/hello-1.2.3.tgz"
    assert open_store("mirror").check_all() == 4


def test_what_was_downloaded_for_the_lock_is_not_downloaded_again(
    server: Server, site: Path, quiet: Output
) -> None:
    pin("mirror", site, mirror=server.url)
    fetch("mirror", quiet, lock=site, mirror=server.url)
    assert len(server.seen(ARCHIVE)) == 1


def test_half_a_file_that_was_left_is_not_pinned(
    server: Server, site: Path, quiet: Output, caches: Path
) -> None:
    pin("mirror", site, mirror=server.url)
    wanted = read_lock(site)
    (download,) = (caches / "artifacts" / "downloads").iterdir()
    url = f"{server.url}{ARCHIVE}"
    left = download.with_name(f"unpinned-{hash_bytes(url.encode())}.partial")
    left.write_bytes(b"of another file")
    pin("mirror", site, mirror=server.url)
    assert read_lock(site) == wanted


def test_a_complete_store_needs_no_cache(server: Server, site: Path, quiet: Output, caches: Path) -> None:
    pin("mirror", site, mirror=server.url)
    fetch("mirror", quiet, lock=site, mirror=server.url)
    before = len(server.requests)
    shutil.rmtree(caches / "artifacts")
    assert fetch("mirror", quiet, lock=site, mirror=server.url).changed == []
    assert len(server.requests) == before


def test_what_a_lock_would_pin_is_said_until_there_is_one(server: Server, site: Path) -> None:
    offers = unpinned("mirror", site, mirror=server.url)
    assert [(offer.name, offer.version, offer.address) for offer in offers] == [
        ("tool", "1.0", f"{server.url}{ARCHIVE}"),
        ("registry.example/hello", "v1", f"{server.url}{IMAGE}"),
    ]
    pin("mirror", site, mirror=server.url)
    assert unpinned("mirror", site, mirror=server.url) == []
    assert unpinned("modules", site.with_name("none")) == []


def test_an_archive_without_the_program_is_named(server: Server, site: Path, quiet: Output) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz"):
        pass
    server.paths[ARCHIVE] = Behaviour(stream.getvalue())
    pin("mirror", site, mirror=server.url)
    with pytest.raises(PlatformError, match="has no file bin/tool") as refused:
        fetch("mirror", quiet, lock=site, mirror=server.url)
    assert refused.value.where == f"{server.url}{ARCHIVE}"


def test_everything_that_a_lock_does_not_pin_is_named_at_once(
    server: Server, site: Path, quiet: Output
) -> None:
    pin("mirror", site, mirror=server.url)
    lines = [line for line in site.read_text().splitlines() if "tool" not in line and "hello" not in line]
    site.write_text("\n".join([*lines, f"{'0' * 64}  binaries/older"]) + "\n")
    before = len(server.requests)
    with pytest.raises(PlatformError, match="does not pin everything") as refused:
        fetch("mirror", quiet, lock=site, mirror=server.url)
    assert refused.value.details == [
        "not pinned: binaries/tool",
        "not pinned: images/registry.example/hello:v1",
    ]
    assert len(server.requests) == before


def test_a_second_fetch_asks_nobody(server: Server, site: Path, quiet: Output) -> None:
    pin("mirror", site, mirror=server.url)
    fetch("mirror", quiet, lock=site, mirror=server.url)
    before = len(server.requests)
    assert fetch("mirror", quiet, lock=site, mirror=server.url).changed == []
    assert len(server.requests) == before


def test_nothing_is_downloaded_without_a_lock(server: Server, site: Path, quiet: Output) -> None:
    with pytest.raises(PlatformError, match="nothing is downloaded without a pin") as refused:
        fetch("mirror", quiet, lock=site, mirror=server.url)
    assert refused.value.code is ExitCode.REFUSED
    assert server.requests == []


def test_a_file_that_changed_since_the_lock_is_refused(
    server: Server, site: Path, quiet: Output, caches: Path
) -> None:
    pin("mirror", site, mirror=server.url)
    shutil.rmtree(caches / "artifacts" / "downloads")
    server.paths[ARCHIVE] = Behaviour(archive_of(b"malware"))
    with pytest.raises(PlatformError, match="the lock says"):
        fetch("mirror", quiet, lock=site, mirror=server.url)
    assert not open_store("mirror").index_path.exists()


def test_an_image_that_changed_since_the_lock_is_refused(
    server: Server, site: Path, quiet: Output, tmp_path: Path
) -> None:
    pin("mirror", site, mirror=server.url)
    lock = read_lock(site)
    assert lock is not None
    pinned = lock.pins["images/registry.example/hello:v1"]
    image = publish(server, tmp_path / "attacker", b"malware")
    server.paths[f"{IMAGE}/manifests/sha256:{pinned}"] = Behaviour(image.manifest)
    with pytest.raises(PlatformError, match="nothing was installed"):
        fetch("mirror", quiet, lock=site, mirror=server.url)


def test_a_lock_for_another_source_stops_at_once(server: Server, site: Path, quiet: Output) -> None:
    write_lock(site, Lock("upstream", {}))
    with pytest.raises(PlatformError, match="for the source upstream"):
        fetch("mirror", quiet, lock=site, mirror=server.url)
    assert server.requests == []


def test_a_damaged_store_stops_and_says_how_to_go_on(server: Server, site: Path, quiet: Output) -> None:
    pin("mirror", site, mirror=server.url)
    folder = fetch("mirror", quiet, lock=site, mirror=server.url).folder
    (folder / "bin" / "tool").write_bytes(b"programme")
    with pytest.raises(PlatformError, match="bin/tool"):
        fetch("mirror", quiet, lock=site, mirror=server.url)
    (folder / "bin" / "tool").unlink()
    assert fetch("mirror", quiet, lock=site, mirror=server.url).changed == ["binaries:tool"]
    assert (folder / "bin" / "tool").read_bytes() == b"program"


def test_the_digests_of_the_registry_are_in_the_index(server: Server, site: Path, quiet: Output) -> None:
    pin("mirror", site, mirror=server.url)
    folder = fetch("mirror", quiet, lock=site, mirror=server.url).folder
    record = json.loads((folder / "index.json").read_text())["images"]["registry.example/hello"]
    with tarfile.open(folder / record["archive"]) as archive:
        link = archive.extractfile(
            "docker/registry/v2/repositories/registry.example/hello/_manifests/tags/v1/current/link"
        )
        assert link is not None
        assert link.read().decode() == record["digest"]


@pytest.mark.parametrize("name", ["mirror", "floppy"])
def test_a_source_that_cannot_be_is_refused(site: Path, quiet: Output, name: str) -> None:
    with pytest.raises(PlatformError) as refused:
        fetch(name, quiet)
    assert refused.value.code is ExitCode.INVALID


def test_what_only_some_sites_need_is_theirs_and_stays_in_the_shared_store(
    server: Server, site: Path, quiet: Output, tmp_path: Path
) -> None:
    server.paths |= {
        path.replace("/hello/", "/rare/"): answer
        for path, answer in server.paths.items()
        if "/hello/" in path
    }
    offered = unpinned("mirror", site, mirror=server.url)
    assert [offer.name for offer in offered] == ["tool", "registry.example/hello"]
    pin("mirror", site, mirror=server.url)
    other = tmp_path / "other.lock.txt"
    pin("mirror", other, mirror=server.url, chosen={"rare"})
    fetch("mirror", quiet, lock=other, mirror=server.url, chosen={"rare"})
    assert "registry.example/rare" in open_store("mirror").index()["images"]
    # A site without it has no pin for it, and takes nothing away from the other one.
    assert fetch("mirror", quiet, lock=site, mirror=server.url).changed == []
    assert "registry.example/rare" in open_store("mirror").index()["images"]
