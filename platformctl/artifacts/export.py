"""Exports images of the store as one OCI archive, for nodes that do not pull from the site's registry.

Format: OCI image layout in a tar archive (oci-layout, index.json, blobs/sha256/<hex>), which
`ctr images import`, `kind load image-archive`, `podman load` and `skopeo copy oci-archive:` read.
"""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from platformctl.artifacts.hashing import canonical_json
from platformctl.artifacts.registry_layout import MANIFEST_TYPE, ROOT
from platformctl.errors import ExitCode, PlatformError

_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_LAYOUT = {"imageLayoutVersion": "1.0.0"}


def chosen(index: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The images of the store's index with these names (full, or the last part); all if none is named."""
    known = list(index["images"])
    images = []
    for name in names:
        fitting = [image for image in known if name in (image, image.rpartition("/")[2])]
        if not fitting:
            raise PlatformError(
                f"the store has no image {name}",
                where=", ".join(known),
                next="platformctl artifacts list",
                code=ExitCode.INVALID,
            )
        images += fitting
    return list(dict.fromkeys(images)) or known


def write(store: Path, index: Mapping[str, Any], names: Iterable[str], destination: Path) -> None:
    """Write images of the store as one archive, atomically."""
    manifests, written = [], set[str]()
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        with tarfile.open(partial, "w") as archive:
            for name in names:
                record = index["images"][name]
                with tarfile.open(store / record["archive"]) as source:
                    size = _copy(source, archive, record["digest"].removeprefix("sha256:"), written)
                manifests.append(_descriptor(name, record, size))
            _add(archive, "oci-layout", canonical_json(_LAYOUT))
            document = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": manifests}
            _add(archive, "index.json", canonical_json(document))
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: tarfile.TarFile, archive: tarfile.TarFile, manifest: str, written: set[str]) -> int:
    """Copy the blobs of an archive in the registry's layout; returns the size of its manifest."""
    size = 0
    for member in source:
        parts = member.name.removeprefix(f"{ROOT}/blobs/sha256/").split("/")
        if not member.isreg() or len(parts) != 3 or parts[2] != "data":
            continue
        if parts[1] == manifest:
            size = member.size
        if parts[1] not in written:
            written.add(parts[1])
            header = tarfile.TarInfo(f"blobs/sha256/{parts[1]}")
            header.size = member.size
            archive.addfile(header, source.extractfile(member))
    return size


def _descriptor(name: str, record: Mapping[str, Any], size: int) -> dict[str, Any]:
    annotations = {
        "io.containerd.image.name": f"{name}:{record['tag']}",
        "org.opencontainers.image.ref.name": f"{name}:{record['tag']}",
    }
    return {
        "mediaType": MANIFEST_TYPE,
        "digest": record["digest"],
        "size": size,
        "annotations": annotations,
    }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    archive.addfile(header, io.BytesIO(content))
