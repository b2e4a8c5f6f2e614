"""Images made here: a shared root, static programs, wheels and our own sources, one layer each.

Layers are cached by the key of their inputs, so only what changed is made again.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformctl
from platformctl.artifacts import layers, roots, wheels
from platformctl.artifacts.catalogue import Catalogue, Image
from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.artifacts.layers import BlobStore, Entry, Layer
from platformctl.artifacts.programs import checked
from platformctl.artifacts.registry_layout import Repository, image_repository

SOURCES = Path(platformctl.__file__).parent
# The modules of platformctl that run inside the cluster: glob patterns below the package.
SOURCE_PATTERNS = (
    "__init__.py",
    "errors.py",
    "paths.py",
    "private_files.py",
    "surroundings.py",
    "vocabulary.py",
    "clients/__init__.py",
    "clients/kubeconfig.py",
    "clients/kubernetes.py",
    "clients/nesting.py",
    "clients/slurmrestd.py",
    "device_plugin/*.py",
    "jobs/*.py",
    "logs/*.py",
    "router/**/*.py",
)
FORMAT = 1


@dataclass(frozen=True)
class Workshop:
    """What is needed to make images.

    folder: the cache. programs: by name, the key of each program's inputs, and its path.
    """

    catalogue: Catalogue
    folder: Path
    blobs: BlobStore
    programs: Mapping[str, tuple[str, Path]]

    @property
    def roots(self) -> Path:
        """Unpacked root filesystems."""
        return self.folder / "roots"

    def wheels_folder(self, image: Image) -> Path:
        """The folder with the installed wheels of an image."""
        assert image.wheels is not None
        assert image.root is not None
        key = wheels.wheels_key(image.wheels, roots.root_key(self.catalogue.roots[image.root]))
        return self.folder / "wheels" / f"{image.wheels}-{key[:16]}"


def image_key(workshop: Workshop, name: str) -> str:
    """Digest of everything an image is made from."""
    image = workshop.catalogue.images[name]
    root = workshop.catalogue.roots[image.root] if image.root else None
    return hash_value(
        [
            name,
            image.model_dump(exclude={"upstream", "only_for"}),
            root and roots.root_key(root),
            {program: workshop.programs[program][0] for program in image.programs},
            image.wheels and wheels.wheels_key(image.wheels, roots.root_key(root) if root else ""),
            source_key() if image.sources else None,
            platformctl.__version__,
            FORMAT,
        ]
    )


def source_files() -> dict[str, Path]:
    """The modules of platformctl that run inside the cluster, by their path below the package."""
    modules = [path for pattern in SOURCE_PATTERNS for path in SOURCES.glob(pattern)]
    return {path.relative_to(SOURCES).as_posix(): path for path in sorted(modules)}


def source_key() -> str:
    """Digest of the modules of platformctl that run inside the cluster."""
    return hash_value({name: hash_file(path) for name, path in source_files().items()})


def make_image(workshop: Workshop, name: str) -> Repository:
    """Make the layers that are missing and put the image together."""
    image = workshop.catalogue.images[name]
    parts: list[Layer] = []
    if image.root:
        root = workshop.catalogue.roots[image.root]
        parts.append(roots.make_root(image.root, root, workshop.blobs, workshop.roots))
    if image.programs:
        parts.append(_program_layer(workshop, image))
    if image.wheels:
        parts.append(_wheels_layer(workshop, image))
    if image.sources:
        parts.append(_source_layer(workshop, image))
    tag = _tag(image, parts)
    placed = [(part, workshop.blobs.path(part.digest)) for part in parts]
    labels = {"org.opencontainers.image.title": name, "org.opencontainers.image.version": tag}
    return image_repository(name, tag, placed, image.settings(), labels)


class _Versions(dict[str, str]):
    """Values for the names in a tag. A name that is not known is a package in the wheels' lock."""

    def __init__(self, image: Image, **known: str) -> None:
        super().__init__(known)
        self.image = image

    def __missing__(self, name: str) -> str:
        assert self.image.wheels is not None
        return wheels.locked_version(self.image.wheels, name)


def _tag(image: Image, parts: list[Layer]) -> str:
    content = hash_value([part.diff_id for part in parts])[:10]
    return image.tag.format_map(_Versions(image, platformctl=platformctl.__version__, content=content))


def _program_layer(workshop: Workshop, image: Image) -> Layer:
    built = {path: workshop.programs[name] for name, path in image.programs.items()}
    key = hash_value([{path: key for path, (key, _) in built.items()}, FORMAT])
    if layer := workshop.blobs.find(key):
        return layer
    entries = [layers.file(path, checked(program), layers.EXECUTABLE) for path, (_, program) in built.items()]
    return workshop.blobs.write(key, layers.with_parents(entries))


def _wheels_layer(workshop: Workshop, image: Image) -> Layer:
    assert image.wheels is not None
    assert image.root is not None
    root = workshop.catalogue.roots[image.root]
    assert root.python is not None
    installed = workshop.wheels_folder(image)
    if not installed.exists():
        installed.parent.mkdir(parents=True, exist_ok=True)
        wheels.install(image.wheels, roots.tree_path(root, workshop.roots), root.python, installed)
    key = wheels.wheels_key(image.wheels, roots.root_key(root))
    return workshop.blobs.find(key) or workshop.blobs.write(key, layers.tree_entries(installed))


def _source_layer(workshop: Workshop, image: Image) -> Layer:
    assert image.root is not None
    root = workshop.catalogue.roots[image.root]
    assert root.python is not None
    key = hash_value([source_key(), roots.root_key(root), FORMAT])
    if layer := workshop.blobs.find(key):
        return layer
    staging = workshop.folder / "sources"
    shutil.rmtree(staging, ignore_errors=True)
    package = staging / wheels.SITE / "platformctl"
    for name, path in source_files().items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, package / name)
    tree = roots.tree_path(root, workshop.roots)
    roots.compile_python(tree, root.python, staging / wheels.SITE, f"/{wheels.SITE}")
    entries: list[Entry] = list(layers.tree_entries(staging))
    return workshop.blobs.write(key, entries)
