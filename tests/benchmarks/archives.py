"""An image of the store as an OCI archive, which `ctr images import` takes."""

import io
import json
import tarfile
from pathlib import Path

_BLOBS = "docker/registry/v2/blobs/sha256/"


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
    if len(blob) > 65536 or not blob.startswith(b"{") or b'"layers"' not in blob:
        return None
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{digest}",
        "size": len(blob),
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
    }


def _add(sink: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    sink.addfile(info, io.BytesIO(data))
