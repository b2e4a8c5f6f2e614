"""Lets go of the claims of homes that are being deleted, so that a user who comes back gets new ones.

Kubernetes keeps a deleted claim while a pod uses it. Helm cannot make a claim of that name again meanwhile,
and would wait for as long as the pod runs. A home is a folder of the shared file system: the pod keeps its
mount, no file is touched, and the new claim leads to the same folder.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError
from platformctl.errors import PlatformError
from platformctl.vocabulary import HOME_CLAIM_PREFIX, USER_LABEL

_CLAIMS, _VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
_PATIENCE_SECONDS, _POLL_SECONDS = 60, 0.5


async def let_go(client: KubernetesClient, users: Collection[str]) -> list[str]:
    """Remove the claims of these users' homes that are being deleted; returns their names."""
    claims = [_path(claim) for claim in await _going(client, _CLAIMS, users)]
    for path in claims:
        try:
            await client.merge(path, {"metadata": {"finalizers": None}})
        except NotFoundError:
            continue
    await _until_gone(client, users)
    return claims


async def _going(
    client: KubernetesClient, collection: str, users: Collection[str]
) -> list[Mapping[str, Any]]:
    return [
        item["metadata"]
        for item in (await client.get(collection))["items"]
        if item["metadata"].get("deletionTimestamp")
        and item["metadata"]["name"].startswith(HOME_CLAIM_PREFIX)
        and (item["metadata"].get("annotations") or {}).get(USER_LABEL) in users
    ]


def _path(metadata: Mapping[str, Any]) -> str:
    return f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}"


async def _until_gone(client: KubernetesClient, users: Collection[str]) -> None:
    """A volume goes by itself when its claim has gone."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while going := [item for kind in (_CLAIMS, _VOLUMES) for item in await _going(client, kind, users)]:
        if time.monotonic() > deadline:
            names = ", ".join(sorted(str(item["name"]) for item in going))
            raise PlatformError(
                f"claims of homes are still being deleted after {_PATIENCE_SECONDS} s: {names}",
                where="Kubernetes",
                next="see what keeps them: kubectl get persistentvolumes,persistentvolumeclaims -A; then the"
                " same command again",
            )
        await asyncio.sleep(_POLL_SECONDS)
