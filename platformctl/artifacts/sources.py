"""Where artefacts come from. A source provides programs and images; the rest is the same for all sources.

    modules   programs are built from Go modules, images are made of them
    upstream  programs and images are downloaded from their publishers, pinned by the site's lock
    mirror    like upstream, but from the site's own server: files at <mirror>/<publisher's host>/<path>,
              images by the registry protocol at <mirror>/v2/<publisher's host>/<name>
Images that are `ours` in the catalogue are made on this machine with every source.
"""

import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from platformctl.artifacts import images, programs, registries, wheels
from platformctl.artifacts.catalogue import Catalogue, Download, Image
from platformctl.artifacts.download import File, download
from platformctl.artifacts.hashing import hash_bytes, hash_file, hash_value
from platformctl.artifacts.images import Workshop
from platformctl.artifacts.layers import BlobStore
from platformctl.artifacts.lock import Lock, read_lock
from platformctl.artifacts.progress import Progress
from platformctl.artifacts.registry_layout import Repository
from platformctl.artifacts.store import open_store
from platformctl.errors import ExitCode, PlatformError


@dataclass(frozen=True)
class Offer:
    """A program or image of a publisher that a lock would pin. address: where it is downloaded from."""

    name: str
    version: str
    address: str


class Source(Protocol):
    """What fetching and locking need from a source."""

    catalogue: Catalogue
    """With the versions and tags of this source."""

    def offers(self) -> list[Offer]:
        """Everything that is downloaded only if a lock pins it."""

    def pins(self) -> Mapping[str, str]:
        """What a lock would pin now: hex sha256 by name. This may download files."""

    def local_pins(self) -> Mapping[str, str]:
        """The pins that are known without downloading, to compare with the site's lock."""

    def workshop(self) -> Workshop:
        """What images are made from: the key of each program, and its path after `provide` was called."""

    def provide(self, workshop: Workshop, names: Collection[str], progress: Progress) -> None:
        """Make or download the named programs that are not in the cache."""

    def image_key(self, workshop: Workshop, name: str) -> str:
        """Digest of what an image is made from, or the digest that it is pulled by."""

    def image_programs(self, name: str) -> Collection[str]:
        """The programs that making an image needs."""

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Make or pull an image."""


class Modules:
    """Programs from Go modules, images made of them.

    toolchain: a file with the last output of `go version`, so that a complete store needs no Go.
    """

    def __init__(self, catalogue: Catalogue, folder: Path, toolchain: Path) -> None:
        self.catalogue = catalogue
        self.folder = folder
        self.toolchain = toolchain

    def offers(self) -> list[Offer]:
        """Nothing: go.sum and the wheels' hashes pin what is downloaded."""
        return []

    def pins(self) -> dict[str, str]:
        """The locks that builds are made from."""
        modules = {
            f"gomodules/{folder.name}": programs.module_key(folder)
            for folder in programs.MODULES.iterdir()
            if folder.is_dir()
        }
        return {**modules, **wheel_pins(self.catalogue)}

    local_pins = pins

    def workshop(self) -> Workshop:
        """Keys of programs depend on the Go version: this machine's, or without Go that of the last fetch."""
        built = self.folder / "programs"
        placed = {item.name: (item.key, built / item.filename) for item in self._builds()}
        return Workshop(self.catalogue, self.folder, BlobStore(self.folder), placed)

    def provide(self, workshop: Workshop, names: Collection[str], progress: Progress) -> None:
        """Build the programs that are not in the cache."""
        absent = {name for name in names if not workshop.programs[name][1].exists()}
        if absent:
            programs.go_version()
            missing = [item for item in self._builds() if item.name in absent]
            built = self.folder / "programs"
            built.mkdir(exist_ok=True)
            progress.expect([programs.step_name(item.name) for item in missing])
            programs.build(self.catalogue, missing, built, progress)
        if programs.has_go():
            self.toolchain.write_text(programs.go_version())

    def image_key(self, workshop: Workshop, name: str) -> str:
        """Every image is made here."""
        return images.image_key(workshop, name)

    def image_programs(self, name: str) -> Collection[str]:
        """The programs that the image contains."""
        return self.catalogue.images[name].programs

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Every image is made here."""
        return images.make_image(workshop, name)

    def _builds(self) -> list[programs.Build]:
        if programs.has_go():
            version = programs.go_version()
        else:
            version = self.toolchain.read_text() if self.toolchain.exists() else ""
        return programs.plan(self.catalogue, self.catalogue.programs, version)


class Remote:
    """Programs and images downloaded from publishers, or from a mirror of them.

    lock: the site's lock file, if it has one; pinned: what is in it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Path,
        lock: Path | None,
        pinned: Lock | None,
        mirror: str | None = None,
    ) -> None:
        self.catalogue = catalogue.published()
        self.folder = folder
        self.lock = lock
        self.pinned = pinned
        self.mirror = mirror

    def offers(self) -> list[Offer]:
        """Every program and image that is downloaded."""
        programs_offered = [
            Offer(name, self.catalogue.programs[name].version, self._url(recipe))
            for name, recipe in self._recipes().items()
        ]
        images_offered = [
            Offer(name, image.tag, registries.remote(name, self.mirror).url)
            for name, image in self._pulled().items()
        ]
        return [*programs_offered, *images_offered]

    def pins(self) -> dict[str, str]:
        """Download what publishers offer now, and return its digests."""
        pins = {f"binaries/{name}": digest for name, digest in self._downloaded().items()}
        for name, image in self._pulled().items():
            source = registries.remote(name, self.mirror)
            pins[_image_pin(name, image)] = registries.find_manifest(source, image.tag).digest
        return {**pins, **self.local_pins()}

    def local_pins(self) -> dict[str, str]:
        """Only the pins of the wheels are known without downloading."""
        return wheel_pins(self.catalogue)

    def workshop(self) -> Workshop:
        """The keys of the programs: their pinned digests."""
        self._check_pinned()
        placed = {}
        for name, recipe in self._recipes().items():
            key = hash_value([self._pin(f"binaries/{name}"), recipe.member])
            placed[name] = (key, self.folder / "programs" / f"{name}-{key[:16]}")
        return Workshop(self.catalogue, self.folder, BlobStore(self.folder), placed)

    def provide(self, workshop: Workshop, names: Collection[str], progress: Progress) -> None:
        """Download the programs that are not in the cache."""
        files = {
            name: self._file(name, recipe)
            for name, recipe in self._recipes().items()
            if name in names and not workshop.programs[name][1].exists()
        }
        missing = {name: file for name, file in files.items() if not file.destination.exists()}
        progress.expect([programs.step_name(name) for name in missing])
        if missing:
            progress.start(f"downloading {', '.join(missing)}")
            download(list(missing.values()), received=progress.received)
        for name in missing:
            progress.done(programs.step_name(name))
        for name, file in files.items():
            _unpack(file, self._recipes()[name], workshop.programs[name][1])

    def image_key(self, workshop: Workshop, name: str) -> str:
        """The key of its inputs if it is made here; its pinned digest if it is pulled."""
        image = self.catalogue.images[name]
        return images.image_key(workshop, name) if image.ours else self._pin(_image_pin(name, image))

    def image_programs(self, name: str) -> Collection[str]:
        """The programs that the image contains; none if it is pulled."""
        image = self.catalogue.images[name]
        return image.programs if image.ours else ()

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Pull the image, or make it if it is `ours`."""
        image = self.catalogue.images[name]
        if image.ours:
            return images.make_image(workshop, name)
        source = registries.remote(name, self.mirror)
        return registries.pull(source, image.tag, self._pin(_image_pin(name, image)), workshop.blobs.path)

    def _pulled(self) -> dict[str, Image]:
        return {name: image for name, image in self.catalogue.images.items() if not image.ours}

    def _recipes(self) -> dict[str, Download]:
        delivered = self.catalogue.delivered().items()
        return {name: program.upstream for name, program in delivered if program.upstream}

    def _url(self, recipe: Download) -> str:
        return mirrored(recipe.url, self.mirror)

    def _file(self, name: str, recipe: Download) -> File:
        """The download of a pinned program, to a file named by its digest."""
        digest = self._pin(f"binaries/{name}")
        return File(name, self._url(recipe), self.folder / "downloads" / digest, digest)

    def _downloaded(self) -> dict[str, str]:
        """The digests of all programs that are offered now. The downloads are kept for the fetch."""
        downloads = self.folder / "downloads"
        files = {}
        for name, recipe in self._recipes().items():
            url = self._url(recipe)
            place = downloads / f"unpinned-{hash_bytes(url.encode())}"
            # A partial file may be the rest of another version; without a pin this cannot be detected.
            place.with_name(f"{place.name}.partial").unlink(missing_ok=True)
            files[name] = File(name, url, place)
        download(list(files.values()))
        digests = {name: hash_file(file.destination) for name, file in files.items()}
        for name, file in files.items():
            file.destination.replace(downloads / digests[name])
        return digests

    def _check_pinned(self) -> None:
        """Refuse a lock that does not pin everything. Names all missing pins, before any download."""
        names = [f"binaries/{name}" for name in self._recipes()]
        names += [_image_pin(name, image) for name, image in self._pulled().items()]
        pins = self.pinned.pins if self.pinned else {}
        missing = [name for name in names if name not in pins]
        if missing:
            what = "the site's lock does not pin everything" if pins else "the site has no lock"
            raise PlatformError(
                f"{what}, and nothing is downloaded without a pin",
                where=str(self.lock or ""),
                next="platformctl artifacts lock",
                code=ExitCode.REFUSED,
                details=[f"not pinned: {name}" for name in missing] if pins else [],
            )

    def _pin(self, name: str) -> str:
        assert self.pinned is not None
        return self.pinned.pins[name]


def _image_pin(name: str, image: Image) -> str:
    """What the lock calls an image."""
    return f"images/{name}:{image.tag}"


def _unpack(file: File, recipe: Download, program: Path) -> None:
    """Put the program in its place: it is the download, or one member of it."""
    if hash_file(file.destination) != file.sha256:
        raise PlatformError(
            f"the download of {file.name} in the cache was damaged",
            where=str(file.destination),
            next=f"rm {file.destination} && platformctl artifacts fetch",
        )
    program.parent.mkdir(exist_ok=True)
    partial = program.with_name(program.name + ".partial")
    if recipe.member:
        with tarfile.open(file.destination) as archive:
            partial.write_bytes(_member(archive, recipe.member, file))
    else:
        partial.write_bytes(file.destination.read_bytes())
    programs.keep(partial, program)


def _member(archive: tarfile.TarFile, name: str, file: File) -> bytes:
    try:
        content = archive.extractfile(name)
    except KeyError:
        content = None
    if content is None:
        raise PlatformError(
            f"the archive of {file.name} has no file {name}",
            where=file.url,
            next="report it: platformctl's catalogue names a file that the publisher's archive does not have",
        )
    return content.read()


def find_source(
    name: str, catalogue: Catalogue, folder: Path, lock: Path | None = None, mirror: str | None = None
) -> Source:
    """The source with a name, as in artifacts_source. lock: the site's lock file, which need not exist."""
    pinned = read_lock(lock) if lock else None
    if name == "modules":
        return Modules(catalogue, folder, open_store(name).folder / "toolchain")
    if name == "upstream":
        return Remote(catalogue, folder, lock, pinned)
    if name == "mirror" and mirror:
        return Remote(catalogue, folder, lock, pinned, mirror)
    what = (
        "the source `mirror` needs the mirror's address" if name == "mirror" else f"there is no source {name}"
    )
    raise PlatformError(
        what,
        next="set artifacts_source to modules, upstream or mirror (with artifacts_mirror_url)",
        code=ExitCode.INVALID,
    )


def mirrored(url: str, mirror: str | None) -> str:
    """A publisher's address, or the address of the same file on the mirror."""
    if mirror is None:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def wheel_pins(catalogue: Catalogue) -> dict[str, str]:
    """The locks of the wheels that images carry."""
    names = {image.wheels for image in catalogue.images.values() if image.wheels}
    return {f"wheels/{name}": hash_file(wheels.lock_path(name)) for name in names}
