"""What of the site's own services in the cluster is not available, and why, in words for people."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.engine.releases import NAMESPACES

_NAMESPACES = ("kube-system", "local-path-storage", *NAMESPACES)
_SAY_SECONDS = 5.0

Say = Callable[[str], None]


async def unavailable(client: KubernetesClient) -> list[str]:
    """One sentence for each Deployment and each API behind the API server that does not answer now."""
    found = [line for namespace in _NAMESPACES for line in await _deployments(client, namespace)]
    return found + await _apis(client)


@asynccontextmanager
async def told(client: KubernetesClient, say: Say) -> AsyncIterator[None]:
    """While something else waits for the cluster, say what is not available yet."""

    async def tell() -> None:
        said: list[str] = []
        while True:
            await asyncio.sleep(_SAY_SECONDS)
            with suppress(ApiError):  # what waits reports it itself
                missing = await unavailable(client)
                if missing and missing != said:
                    said = missing
                    say("; ".join(missing))

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _deployments(client: KubernetesClient, namespace: str) -> list[str]:
    found = []
    for item in await _items(client, f"/apis/apps/v1/namespaces/{namespace}/deployments"):
        wanted = int(item.get("spec", {}).get("replicas", 1))
        ready = int(item.get("status", {}).get("availableReplicas", 0))
        seen = item.get("status", {}).get("observedGeneration") == item["metadata"].get("generation")
        if ready < wanted or not seen:
            selector = item["spec"]["selector"].get("matchLabels", {})
            labels = ",".join(f"{key}={value}" for key, value in selector.items())
            pods = await _items(client, f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels)
            why = _of_pods(pods)
            name = f"Deployment {namespace}/{item['metadata']['name']}"
            found.append(f"{name}: {ready} of {wanted} pods ready{f' ({why})' if why else ''}")
    return found


async def _apis(client: KubernetesClient) -> list[str]:
    """APIs that a service of the site serves behind the API server."""
    found = []
    for item in await _items(client, "/apis/apiregistration.k8s.io/v1/apiservices"):
        service = item.get("spec", {}).get("service") or {}
        if service.get("namespace") not in _NAMESPACES:
            continue
        conditions = item.get("status", {}).get("conditions") or []
        state: Mapping[str, Any] = next(
            (entry for entry in conditions if entry.get("type") == "Available"), {}
        )
        if state.get("status") != "True":
            why = state.get("message") or state.get("reason") or "not checked yet"
            where = f"{service['namespace']}/{service.get('name')}"
            found.append(f"the API {item['metadata']['name']} (service {where}) does not answer: {why}")
    return found


async def _items(client: KubernetesClient, path: str, **query: str) -> list[dict[str, Any]]:
    return [item async for page in client.list_pages(path, **query) for item in page["items"]]


def _of_pods(pods: list[dict[str, Any]]) -> str:
    """Why the pods are not ready: where they are, and what their containers wait for."""
    if not pods:
        return "no pod is there"
    reasons = [f"{pod['metadata']['name']}{_where(pod)}: {_state(pod)}" for pod in pods if not _ready(pod)]
    return ", ".join(reasons)


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def _where(pod: Mapping[str, Any]) -> str:
    node = pod.get("spec", {}).get("nodeName")
    return f" on {node}" if node else ""


def _state(pod: Mapping[str, Any]) -> str:
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        if waiting := state.get("waiting"):
            return ": ".join(part for part in (waiting.get("reason"), waiting.get("message")) if part)
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            return f"{container['name']} ended with {ended['exitCode']} ({ended.get('reason', '')})"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {condition.get('message', '')}"
    return f"{status.get('phase', 'Pending')}, not ready"
