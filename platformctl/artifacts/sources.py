"""Where artefacts come from. A source gives programs and images; everything else is the same for all.

    modules   programs are built from Go modules, images are made of them
    upstream  programs and images are downloaded from their publishers, pinned by the site's lock
    mirror    the same from a site's own server: files at <mirror>/<publisher's host>/<path>, images by the
              registry protocol at <mirror>/v2/<publisher's host>/<name>
Images that nobody publishes (`ours` in the catalogue) are made here with every source.
"""

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from platformctl.artifacts import images, programs, registries, wheels
from platformctl.artifacts.catalogue import Catalogue, Download, Image
from platformctl.artifacts.download import File, download
from platformctl.artifacts.hashing import hash_bytes, hash_file, hash_value
from platformctl.artifacts.images import Workshop
from platformctl.artifacts.layers import BlobStore
from platformctl.artifacts.lock import Lock
from platformctl.artifacts.progress import Progress
from platformctl.artifacts.registry_layout import Repository
from platformctl.errors import ExitCode, PlatformError


class Source(Protocol):
    """What fetching and locking ask of a source."""

    def pins(self) -> Mapping[str, str]:
        """What a lock pins now: hex sha256 by name. May download."""

    def local_pins(self) -> Mapping[str, str]:
        """The part of the pins that is known without downloading, to hold against the site's lock."""

    def workshop(self, progress: Progress) -> Workshop:
        """Make or download the programs that are needed and return where they lie."""

    def image_key(self, workshop: Workshop, name: str) -> str:
        """Digest of what an image is made from, or the digest that it is pulled by."""

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Make or pull an image."""


class Modules:
    """Programs from Go modules, images made of them."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self.catalogue = catalogue
        self.folder = folder

    def pins(self) -> dict[str, str]:
        """The locks that builds are made from."""
        modules = {
            f"gomodules/{folder.name}": programs.module_key(folder)
            for folder in programs.MODULES.iterdir()
            if folder.is_dir()
        }
        return {**modules, **wheel_pins(self.catalogue)}

    local_pins = pins

    def workshop(self, progress: Progress) -> Workshop:
        """Build the programs that are not in the cache."""
        built = self.folder / "programs"
        built.mkdir(exist_ok=True)
        builds = programs.plan(self.catalogue, self.catalogue.programs, programs.go_version())
        missing = [item for item in builds if not (built / item.filename).exists()]
        progress.expect([programs.step_name(item.name) for item in missing])
        if missing:
            programs.build(self.catalogue, missing, built, progress)
        placed = {item.name: (item.key, built / item.filename) for item in builds}
        return Workshop(self.catalogue, self.folder, BlobStore(self.folder), placed)

    def image_key(self, workshop: Workshop, name: str) -> str:
        """Every image is made here."""
        return images.image_key(workshop, name)

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Every image is made here."""
        return images.make_image(workshop, name)


class Remote:
    """Programs and images downloaded from publishers, or from a mirror of them."""

    def __init__(
        self, catalogue: Catalogue, folder: Path, pinned: Lock | None, mirror: str | None = None
    ) -> None:
        self.catalogue = catalogue
        self.folder = folder
        self.pinned = pinned
        self.mirror = mirror

    def pins(self) -> dict[str, str]:
        """Download what publishers offer now and say what it is."""
        files = self._files(pinned=False)
        download(list(files.values()))
        found = {f"binaries/{name}": hash_file(file.destination) for name, file in files.items()}
        for name, image in self._pulled().items():
            source = registries.remote(name, self.mirror)
            found[f"images/{name}:{image.tag}"] = registries.find_manifest(source, image.tag).digest
        return {**found, **self.local_pins()}

    def local_pins(self) -> dict[str, str]:
        """Wheels are the only thing that is not downloaded by the lock itself."""
        return wheel_pins(self.catalogue)

    def workshop(self, progress: Progress) -> Workshop:
        """Download the programs that are not in the cache."""
        files = self._files(pinned=True)
        missing = {name: file for name, file in files.items() if not file.destination.exists()}
        progress.expect([programs.step_name(name) for name in missing])
        if missing:
            progress.start(f"downloading {', '.join(missing)}")
            download(list(missing.values()), received=progress.received)
        for name in missing:
            progress.done(programs.step_name(name))
        placed = {}
        for name, file in files.items():
            recipe = self.catalogue.programs[name].download()
            assert recipe is not None
            assert file.sha256 is not None
            key = hash_value([file.sha256, recipe.member])
            placed[name] = (key, self._program(file, recipe, key))
        return Workshop(self.catalogue, self.folder, BlobStore(self.folder), placed)

    def image_key(self, workshop: Workshop, name: str) -> str:
        """What is made here has a key of inputs, what is pulled its pinned digest."""
        image = self.catalogue.images[name]
        return images.image_key(workshop, name) if image.ours else self._pin(f"images/{name}:{image.tag}")

    def image(self, workshop: Workshop, name: str) -> Repository:
        """Pull an image, or make it where nobody publishes it."""
        image = self.catalogue.images[name]
        if image.ours:
            return images.make_image(workshop, name)
        source = registries.remote(name, self.mirror)
        digest = self._pin(f"images/{name}:{image.tag}")
        return registries.pull(source, image.tag, digest, workshop.blobs.path)

    def _pulled(self) -> dict[str, Image]:
        return {name: image for name, image in self.catalogue.images.items() if not image.ours}

    def _files(self, pinned: bool) -> dict[str, File]:
        """The downloads of the delivered programs, each to a place named by its digest or its address."""
        files = {}
        for name, program in self.catalogue.delivered().items():
            recipe = program.download()
            assert recipe is not None
            url = mirrored(recipe.url, self.mirror)
            digest = self._pin(f"binaries/{name}") if pinned else None
            place = self.folder / "downloads" / (digest or f"unpinned-{hash_bytes(url.encode())}")
            files[name] = File(name, url, place, digest)
        return files

    def _program(self, file: File, recipe: Download, key: str) -> Path:
        """The program itself: the download, or one member of it."""
        program = self.folder / "programs" / f"{file.name}-{key[:16]}"
        if program.exists():
            return program
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
                content = archive.extractfile(recipe.member)
                assert content is not None
                partial.write_bytes(content.read())
        else:
            partial.write_bytes(file.destination.read_bytes())
        programs.keep(partial, program)
        return program

    def _pin(self, name: str) -> str:
        digest = self.pinned.pins.get(name) if self.pinned else None
        if digest is None:
            raise PlatformError(
                f"no lock pins {name}, and nothing is downloaded without a pin",
                next="platformctl artifacts lock -i INVENTORY",
                code=ExitCode.REFUSED,
            )
        return digest


def find_source(
    name: str, catalogue: Catalogue, folder: Path, pinned: Lock | None, mirror: str | None
) -> Source:
    """The source of a name that a site may ask for."""
    if name == "modules":
        return Modules(catalogue, folder)
    if name == "upstream":
        return Remote(catalogue, folder, pinned)
    if name == "mirror" and mirror:
        return Remote(catalogue, folder, pinned, mirror)
    what = (
        "the source `mirror` needs the mirror's address" if name == "mirror" else f"there is no source {name}"
    )
    raise PlatformError(
        what,
        next="set artifacts_source to modules, upstream or mirror (with artifacts_mirror_url)",
        code=ExitCode.INVALID,
    )


def mirrored(url: str, mirror: str | None) -> str:
    """A publisher's address, or the place of the same file on the mirror."""
    if mirror is None:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def wheel_pins(catalogue: Catalogue) -> dict[str, str]:
    """The locks of the wheels that images carry."""
    names = {image.wheels for image in catalogue.images.values() if image.wheels}
    return {f"wheels/{name}": hash_file(wheels.lock_path(name)) for name in names}
