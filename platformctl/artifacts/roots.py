"""Root filesystems of Debian packages, made by mmdebstrap and kept as one layer each.

apt checks the packages against the archive's signed lists. Documentation, translations and caches are
left out.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from platformctl.artifacts import layers
from platformctl.artifacts.catalogue import Root
from platformctl.artifacts.hashing import hash_value
from platformctl.artifacts.layers import BlobStore, Entry, Layer
from platformctl.artifacts.process import run
from platformctl.errors import PlatformError

SUITE = "trixie"
# Part of each key: increase it if this module changes what it makes from the same packages.
FORMAT = 1
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LEFT_OUT = (
    "boot/",
    "dev/",
    "proc/",
    "sys/",
    "run/",
    "usr/games/",
    "usr/include/",
    "usr/lib/systemd/",
    "usr/lib/x86_64-linux-gnu/gconv/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "var/cache/",
    "var/lib/apt/lists/",
    "var/log/",
)
USERS = """\
root:x:0:0:root:/root:/bin/sh
nonroot:x:65532:65532:nonroot:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/sh
"""
GROUPS = "root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n"


def root_key(root: Root) -> str:
    """Digest of a root filesystem's inputs."""
    return hash_value([root.model_dump(), SUITE, FORMAT])


def make_root(name: str, root: Root, blobs: BlobStore, folder: Path) -> Layer:
    """The layer of a root filesystem; if a program is run in it, its tree stays in folder/<key>."""
    key = root_key(root)
    layer = blobs.find(key)
    if layer and (tree_path(root, folder).exists() or not _needs_tree(root)):
        return layer
    if shutil.which("mmdebstrap") is None:
        raise PlatformError(
            f"the image root `{name}` is made with mmdebstrap, which is not installed",
            next="apt-get install mmdebstrap debian-archive-keyring",
        )
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{key}.tar"
    run(
        [
            "mmdebstrap",
            f"--variant={root.variant}",
            f"--include={','.join(root.packages)}",
            '--aptopt=APT::Install-Recommends "false"',
            SUITE,
            str(archive),
        ],
        remedy="check that this machine reaches a Debian mirror",
    )
    try:
        entries = list(_finished(root, archive, tree_path(root, folder)))
        with tarfile.open(archive) as source:
            return blobs.write(key, _with_content(source, entries))
    finally:
        archive.unlink()


def tree_path(root: Root, folder: Path) -> Path:
    """Where the unpacked tree of a root lies."""
    return folder / root_key(root)


def run_python(tree: Path, interpreter: str, arguments: list[str]) -> None:
    """Run the interpreter of an unpacked root with that root's own libraries, without changing root."""
    run(
        [
            str(tree / LIBRARIES / "ld-linux-x86-64.so.2"),
            "--library-path",
            str(tree / LIBRARIES),
            str(tree / interpreter),
            *arguments,
        ],
        environment={
            "PYTHONHOME": str(tree / "usr"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": "/usr/bin:/bin",
        },
    )


def compile_python(tree: Path, interpreter: str, sources: Path, target: str) -> None:
    """Compile the files of a folder as if they were at target in the image."""
    run_python(
        tree,
        interpreter,
        [
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode=unchecked-hash",
            "-s",
            str(sources),
            "-p",
            target,
            str(sources),
        ],
    )


def _needs_tree(root: Root) -> bool:
    return bool(root.python or root.applets)


def _finished(root: Root, archive: Path, tree: Path) -> Iterator[Entry]:
    """The entries of the layer: the kept members of the archive and what is added to them."""
    with tarfile.open(archive) as source:
        members = [member for member in source if _kept(member)]
        if _needs_tree(root):
            shutil.rmtree(tree, ignore_errors=True)
            source.extractall(tree, members, filter="tar")
    for member in members:
        member.name = _clean(member.name)
        if member.islnk():
            member.linkname = _clean(member.linkname)
        yield Entry(member)
    names = {member.name for member in members}
    added = [layers.link(path, target) for path, target in root.links.items()]
    if root.variant == "extract":
        added += [layers.file("etc/passwd", USERS.encode()), layers.file("etc/group", GROUPS.encode())]
    if root.applets:
        added += _applet_links(tree / root.applets, root.applets)
    if root.python:
        added += _compiled_library(tree, root.python)
    yield from (entry for entry in added if entry.header.name not in names)


def _with_content(source: tarfile.TarFile, entries: list[Entry]) -> Iterator[Entry]:
    """Read the content of members from the archive; a hard link becomes a separate file."""
    regular = {entry.header.name: entry.header for entry in entries if entry.header.isreg()}
    for entry in sorted(entries, key=lambda entry: entry.header.name):
        header = entry.header
        if entry.content is not None or not (header.isreg() or header.islnk()):
            yield entry
            continue
        stored = source.extractfile(regular[header.linkname] if header.islnk() else header)
        assert stored is not None
        header.type = tarfile.REGTYPE
        yield Entry(header, stored.read())


def _kept(member: tarfile.TarInfo) -> bool:
    name = _clean(member.name)
    left_out = any(name.startswith(prefix) and name != prefix.rstrip("/") for prefix in LEFT_OUT)
    return bool(name) and not left_out and not member.isdev()


def _clean(name: str) -> str:
    return name.removeprefix("./").strip("/") if name != "." else ""


def _applet_links(program: Path, path: str) -> list[Entry]:
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    folder = str(Path(path).parent)
    return [layers.link(f"{folder}/{name}", Path(path).name) for name in names if name != Path(path).name]


def _compiled_library(tree: Path, interpreter: str) -> list[Entry]:
    library = f"usr/lib/{Path(interpreter).name}"
    compile_python(tree, interpreter, tree / library, f"/{library}")
    entries = layers.tree_entries(tree / library, library)
    return [entry for entry in entries if "__pycache__" in entry.header.name]
