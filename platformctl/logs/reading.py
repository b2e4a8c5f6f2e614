"""Reads Jobs and pods for the logs API in bounded memory, however large users made them.

A Job may have 1.5 MiB, mostly its script or template, which the logs API never needs. So only a few are read
at the same time, what may be large is dropped at once, and whether a Job changed is asked of its metadata.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient

_AT_ONCE = 4
_MAY_BE_LARGE = frozenset({"script", "args", "template", "stageIn", "stageOut"})


class Reader:
    """Shared by all requests."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def job(self, path: str) -> Mapping[str, Any]:
        """A Job without what may be large in its spec. Raises ApiError."""
        async with self._places:
            job = await self._client.get(path)
            spec = job.get("spec")
            kept = {
                name: value
                for name, value in (spec if isinstance(spec, dict) else {}).items()
                if name not in _MAY_BE_LARGE
            }
            metadata = {name: value for name, value in job["metadata"].items() if name != "managedFields"}
            return {"metadata": metadata, "spec": kept, "status": job.get("status") or {}}

    async def version(self, path: str) -> tuple[str, str]:
        """uid and resourceVersion of a Job. Raises ApiError."""
        metadata = (await self._client.metadata(path))["metadata"]
        return metadata["uid"], metadata["resourceVersion"]

    async def pods(self, namespace: str, selector: str) -> list[Mapping[str, Any]]:
        """Pods with a label: their names, labels and ages, the name of the first container, and the phase."""
        pods: list[Mapping[str, Any]] = []
        path = f"/api/v1/namespaces/{namespace}/pods"
        async with self._places, aclosing(self._client.list_pages(path, labelSelector=selector)) as pages:
            async for page in pages:
                pods += [_pod(item) for item in page["items"]]
        return pods


def _pod(item: Mapping[str, Any]) -> Mapping[str, Any]:
    names = ("namespace", "name", "labels", "creationTimestamp")
    metadata = item["metadata"]
    return {
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "container": str(item["spec"]["containers"][0]["name"]),
        "phase": (item.get("status") or {}).get("phase"),
    }
