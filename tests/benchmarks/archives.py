"""An image of the store as an OCI archive, which `ctr images import` takes."""

import io
import json
import tarfile
from pathlib import Path

from platformctl.artifacts.registry_layout import MANIFEST_TYPE, ROOT

_BLOBS = f"{ROOT}/blobs/sha256/"


def write_oci(archive: Path, name: str, folder: Path) -> Path:
    """Write `archive` (registry storage layout, one image) to folder as an OCI archive named `name`."""
    target = folder / f"{archive.stem}.tar"
    with tarfile.open(archive) as source, tarfile.open(target, "w") as sink:
        manifest = None
        for member in source.getmembers():
            if not member.name.removeprefix("./").startswith(_BLOBS) or not member.name.endswith("/data"):
                continue
            digest = member.name.split("/")[-2]
            extracted = source.extractfile(member)
            assert extracted is not None
            blob = extracted.read()
            _add(sink, f"blobs/sha256/{digest}", blob)
            manifest = manifest or _manifest(digest, blob, name)
        _add(sink, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(sink, "index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    return target


def _manifest(digest: str, blob: bytes, name: str) -> dict[str, object] | None:
    # A configuration holds the word "layers" too: only the media type tells them apart.
    if len(blob) > 65536 or not blob.startswith(b"{") or json.loads(blob).get("mediaType") != MANIFEST_TYPE:
        return None
    return {
        "mediaType": MANIFEST_TYPE,
        "digest": f"sha256:{digest}",
        "size": len(blob),
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
    }


def _add(sink: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    sink.addfile(info, io.BytesIO(data))
