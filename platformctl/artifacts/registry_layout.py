"""Archives in the storage layout of the registry: unpacked into its data folder, it serves their content.

Layout (distribution/distribution, registry/storage/paths.go, version 2):
  docker/registry/v2/blobs/sha256/<first two>/<hex>/data
  docker/registry/v2/repositories/<name>/_layers/sha256/<hex>/link
  docker/registry/v2/repositories/<name>/_manifests/revisions/sha256/<hex>/link
  docker/registry/v2/repositories/<name>/_manifests/tags/<tag>/current/link
  docker/registry/v2/repositories/<name>/_manifests/tags/<tag>/index/sha256/<hex>/link
where a link file contains "sha256:<hex>".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformctl.artifacts import layers
from platformctl.artifacts.hashing import canonical_json, hash_bytes, hash_file
from platformctl.artifacts.layers import Entry, Layer, file, with_parents, write_tar
from platformctl.errors import PlatformError

ROOT = "docker/registry/v2"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
BINARY_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Repository:
    """A repository with one tag: its manifest's bytes, and the blobs by hex digest (bytes or a file)."""

    name: str
    tag: str
    manifest: bytes
    blobs: Mapping[str, bytes | Path]

    @property
    def digest(self) -> str:
        """The manifest's digest with its algorithm, as in image names."""
        return f"sha256:{hash_bytes(self.manifest)}"


def image_repository(
    name: str,
    tag: str,
    parts: list[tuple[Layer, Path]],
    settings: Mapping[str, Any],
    labels: Mapping[str, str],
) -> Repository:
    """An image of the given layers, lowest first.

    settings: the `config` object of the OCI image configuration.
    """
    config = canonical_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {**settings, "Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer, _ in parts]},
        }
    )
    descriptors = [_descriptor(layers.MEDIA_TYPE, layer.digest, layer.size) for layer, _ in parts]
    manifest = _manifest(_descriptor(CONFIG_TYPE, hash_bytes(config), len(config)), descriptors)
    blobs: dict[str, bytes | Path] = {hash_bytes(config): config}
    blobs.update({layer.digest: path for layer, path in parts})
    return Repository(name, tag, manifest, blobs)


def binary_repository(name: str, tag: str, digest: str, path: Path) -> Repository:
    """A program as the single blob of a repository, so that a host can fetch it by its digest."""
    empty = b"{}"
    manifest = _manifest(
        _descriptor(EMPTY_TYPE, hash_bytes(empty), len(empty)),
        [_descriptor(BINARY_TYPE, digest, path.stat().st_size)],
        artifactType="application/vnd.platformctl.binary",
    )
    return Repository(name, tag, manifest, {hash_bytes(empty): empty, digest: path})


def write_archive(destination: Path, repository: Repository) -> None:
    """Write the repository as a tar archive, atomically; refuses a blob that does not match its digest."""
    for digest, blob in repository.blobs.items():
        place = str(blob) if isinstance(blob, Path) else ""
        if (hash_file(blob) if isinstance(blob, Path) else hash_bytes(blob)) != digest:
            raise PlatformError(
                f"a part of {repository.name} in the cache was damaged",
                where=place,
                next=f"rm {place} && platformctl artifacts fetch",
            )
    entries: list[Entry] = [*_blob_entries(repository), *_link_entries(repository)]
    partial = destination.with_name(destination.name + ".partial")
    with partial.open("wb") as stream:
        write_tar(stream, with_parents(entries))
    partial.replace(destination)


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _manifest(config: dict[str, Any], layers: list[dict[str, Any]], **extra: str) -> bytes:
    return canonical_json(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers, **extra}
    )


def _blob_entries(repository: Repository) -> list[Entry]:
    blobs = {**repository.blobs, hash_bytes(repository.manifest): repository.manifest}
    return [file(f"{ROOT}/blobs/sha256/{digest[:2]}/{digest}/data", blob) for digest, blob in blobs.items()]


def _link_entries(repository: Repository) -> list[Entry]:
    base = f"{ROOT}/repositories/{repository.name}"
    revision = hash_bytes(repository.manifest)
    tag = f"{base}/_manifests/tags/{repository.tag}"
    links = {f"{base}/_layers/sha256/{digest}": digest for digest in repository.blobs}
    links[f"{base}/_manifests/revisions/sha256/{revision}"] = revision
    links[f"{tag}/current"] = revision
    links[f"{tag}/index/sha256/{revision}"] = revision
    return [file(f"{folder}/link", f"sha256:{digest}".encode()) for folder, digest in links.items()]
