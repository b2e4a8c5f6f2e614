"""Pulls images from their publishers' registries, or from a mirror of them, into blobs by digest.

Protocol: OCI distribution specification 1.1, pull; with the anonymous bearer tokens that registries issue.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from platformctl.artifacts.download import CONNECT, File, Policy, download
from platformctl.artifacts.hashing import hash_bytes
from platformctl.artifacts.registry_layout import MANIFEST_TYPE, Repository
from platformctl.errors import PlatformError
from platformctl.surroundings import proxy_for

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
# The only publisher whose registry has another host name than its images.
REGISTRY_HOSTS = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Remote:
    """Where a repository is pulled from: the address up to and including its name, below /v2/."""

    name: str
    url: str


def remote(repository: str, mirror: str | None) -> Remote:
    """The publisher's address of a repository, or the mirror's: <mirror>/v2/<publisher>/<name>."""
    host, _, name = repository.partition("/")
    if mirror:
        return Remote(repository, f"{mirror.rstrip('/')}/v2/{repository}")
    return Remote(repository, f"https://{REGISTRY_HOSTS.get(host, host)}/v2/{name}")


@dataclass(frozen=True)
class Manifest:
    """An image's manifest for linux/amd64 as received, and the headers for requests of its blobs."""

    content: bytes
    headers: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Hex digest of the manifest."""
        return hash_bytes(self.content)

    def blobs(self) -> list[str]:
        """Hex digests of the configuration and the layers."""
        document = json.loads(self.content)
        return [part["digest"].removeprefix("sha256:") for part in (document["config"], *document["layers"])]


def find_manifest(source: Remote, tag: str, digest: str | None = None) -> Manifest:
    """Read the manifest of a tag, or of a pinned hex digest, and check the digest."""
    return asyncio.run(_find_manifest(source, tag, digest))


def pull(
    source: Remote,
    tag: str,
    digest: str,
    blobs: Callable[[str], Path],
    policy: Policy | None = None,
) -> Repository:
    """Pull an image pinned by its manifest's hex digest; blobs(hex) returns the path of a blob."""
    manifest = find_manifest(source, tag, digest)
    wanted = {blob: blobs(blob) for blob in manifest.blobs()}
    missing = [
        File(source.name, f"{source.url}/blobs/sha256:{blob}", path, blob, manifest.headers)
        for blob, path in wanted.items()
        if not path.exists()
    ]
    download(missing, policy)
    return Repository(source.name, tag, manifest.content, wanted)


async def _find_manifest(source: Remote, tag: str, digest: str | None) -> Manifest:
    timeout = aiohttp.ClientTimeout(total=120, sock_connect=CONNECT)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        reference = f"sha256:{digest}" if digest else tag
        content, headers = await _get(session, source, reference, {})
        document = json.loads(content)
        if document.get("mediaType") in INDEX_TYPES or "manifests" in document:
            reference = _for_this_platform(document, source.name)
            content, headers = await _get(session, source, reference, headers)
    manifest = Manifest(content, headers)
    if reference.startswith("sha256:") and f"sha256:{manifest.digest}" != reference:
        raise PlatformError(
            f"{source.name}: the manifest is {manifest.digest}, not {reference}; nothing was installed",
            where=source.url,
        )
    return manifest


async def _get(
    session: aiohttp.ClientSession, source: Remote, reference: str, headers: Mapping[str, str]
) -> tuple[bytes, dict[str, str]]:
    """Read a manifest; if the registry requires a token, get one and read again."""
    url = f"{source.url}/manifests/{reference}"
    accept = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}
    sent = dict(headers)
    try:
        for _ in range(2):
            async with session.get(url, headers={**accept, **sent}, proxy=proxy_for(url)) as response:
                if response.status == 401 and not sent:
                    sent = await _token(session, response.headers.get("WWW-Authenticate", ""))
                    continue
                if response.status != 200:
                    raise PlatformError(f"{source.name}: the registry answered {response.status}", where=url)
                return await response.read(), sent
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PlatformError(
            f"{source.name}: {error}", where=url, next="check that this machine reaches the registry"
        ) from error
    raise PlatformError(f"{source.name}: the registry refuses anonymous pulls", where=url)


async def _token(session: aiohttp.ClientSession, challenge: str) -> dict[str, str]:
    """An anonymous token, as the challenge of a 401 describes."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.pop("realm", "")
    if not realm:
        return {}
    async with session.get(realm, params=fields, proxy=proxy_for(realm)) as response:
        if response.status != 200:
            raise PlatformError(f"the registry gives no anonymous token: {response.status}", where=realm)
        # Whatever type the server calls it.
        document: dict[str, Any] = json.loads(await response.read())
    return {"Authorization": f"Bearer {document.get('token') or document.get('access_token')}"}


def _for_this_platform(index: dict[str, Any], name: str) -> str:
    for entry in index["manifests"]:
        platform = entry.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return str(entry["digest"])
    raise PlatformError(f"{name}: no image for linux/amd64")
