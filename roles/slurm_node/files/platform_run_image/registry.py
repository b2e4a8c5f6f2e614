"""The site's registry: what it has of an image. Everything is checked against its digest."""

import hashlib
import http.client
import json
import platform
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from platform_run_image import ImageError, settings

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# The registry is the site's own: a user's proxies are not for it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def resolve(repository: str, reference: str) -> tuple[str, dict[str, Any]]:
    """Return the digest and the manifest of an image for this machine's processor."""
    base = f"https://{settings.REGISTRY}/v2/{repository}/manifests"
    for _ in range(2):
        with _fetch(f"{base}/{reference}", ", ".join(MANIFESTS)) as answer:
            body = answer.read()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise ImageError(f"the manifest that the registry gave for {reference} has another digest")
        manifest: dict[str, Any] = json.loads(body)
        if "manifests" not in manifest:
            return digest, manifest
        machine = MACHINES.get(platform.machine(), platform.machine())
        fitting = [
            entry["digest"]
            for entry in manifest["manifests"]
            if entry.get("platform", {}).get("architecture") == machine
            and entry.get("platform", {}).get("os") == "linux"
        ]
        if not fitting:
            raise ImageError(f"{repository} has no image for {machine}")
        reference = fitting[0]
    raise ImageError(f"{repository}: an index names an index")


def download(repository: str, digest: str, target: Path) -> None:
    """Write a blob to a file and check its digest."""
    seen = hashlib.sha256()
    url = f"https://{settings.REGISTRY}/v2/{repository}/blobs/{digest}"
    with _fetch(url) as answer, target.open("wb") as file:
        while block := answer.read(1 << 20):
            seen.update(block)
            file.write(block)
    if f"sha256:{seen.hexdigest()}" != digest:
        raise ImageError(f"a blob of {repository} came with a wrong digest (wanted {digest})")


def _fetch(url: str, accept: str = "*/*") -> http.client.HTTPResponse:
    """Open a URL of the registry. An HTTP error becomes an ImageError in words; silence stays an OSError."""
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310
    try:
        answer: http.client.HTTPResponse = _OPENER.open(request, timeout=60)
    except urllib.error.HTTPError as error:
        reason = "there is no such image" if error.code == 404 else f"it answered {error.code} {error.reason}"
        raise ImageError(f"{reason} in the registry ({url})") from error
    return answer
