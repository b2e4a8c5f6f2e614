"""Root filesystems, with an archive as mmdebstrap writes it in place of mmdebstrap."""

import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from platformctl.artifacts import roots
from platformctl.artifacts.catalogue import Root
from platformctl.artifacts.layers import BlobStore, Layer
from platformctl.errors import PlatformError

ROOT = Root(variant="extract", packages=["hello"], links={"usr/bin/hi": "hello"})


def debian_archive(path: Path) -> None:
    with tarfile.open(path, "w") as archive:

        def add(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", target: str = "") -> None:
            header = tarfile.TarInfo(name)
            header.type, header.linkname, header.size = kind, target, len(content)
            header.mtime, header.uname = 1_700_000_000, "builder"
            archive.addfile(header, io.BytesIO(content))

        add("./dev/null", tarfile.CHRTYPE)
        add("./usr/bin/", tarfile.DIRTYPE)
        add("./usr/bin/zebra", content=b"program")
        add("./usr/bin/hello", tarfile.LNKTYPE, target="./usr/bin/zebra")
        add("./usr/share/doc/", tarfile.DIRTYPE)
        add("./usr/share/doc/hello", content=b"words")
        add("./lib", tarfile.SYMTYPE, target="usr/lib")


@pytest.fixture
def mmdebstrap(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        commands.append(command)
        debian_archive(Path(command[-1]))
        return ""

    monkeypatch.setattr(roots, "run", run)
    monkeypatch.setattr(roots.shutil, "which", lambda name: f"/usr/bin/{name}")
    return commands


def made(tmp_path: Path) -> tuple[Layer, BlobStore]:
    store = BlobStore(tmp_path)
    return roots.make_root("hello", ROOT, store, tmp_path / "roots"), store


def content(layer: Layer, store: BlobStore) -> dict[str, tuple[tarfile.TarInfo, bytes | None]]:
    plain = zstandard.ZstdDecompressor().stream_reader(store.path(layer.digest).read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            found[member.name] = (member, file.read() if file else None)
        return found


def test_what_an_image_does_not_need_is_left_out(tmp_path: Path, mmdebstrap: list[list[str]]) -> None:
    found = content(*made(tmp_path))
    assert set(found) == {
        "etc/group",
        "etc/passwd",
        "lib",
        "usr/bin",
        "usr/bin/hello",
        "usr/bin/hi",
        "usr/bin/zebra",
        "usr/share/doc",
    }
    assert {(header.mtime, header.uname) for header, _ in found.values()} == {(0, "")}
    assert found["usr/bin/hi"][0].linkname == "hello"
    assert found["lib"][0].linkname == "usr/lib"


def test_a_hard_link_is_a_file_of_its_own(tmp_path: Path, mmdebstrap: list[list[str]]) -> None:
    found = content(*made(tmp_path))
    assert found["usr/bin/hello"][1] == found["usr/bin/zebra"][1] == b"program"


def test_users_exist_without_an_installed_debian(tmp_path: Path, mmdebstrap: list[list[str]]) -> None:
    passwd = content(*made(tmp_path))["etc/passwd"][1]
    assert passwd is not None
    assert b"nonroot:x:65532:65532" in passwd


def test_the_same_packages_are_unpacked_once(tmp_path: Path, mmdebstrap: list[list[str]]) -> None:
    assert made(tmp_path)[0] == made(tmp_path)[0]
    assert len(mmdebstrap) == 1
    assert "--include=hello" in mmdebstrap[0]


def test_a_machine_without_mmdebstrap_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots.shutil, "which", lambda _name: None)
    with pytest.raises(PlatformError) as refused:
        made(tmp_path)
    assert "apt-get install mmdebstrap" in refused.value.next
