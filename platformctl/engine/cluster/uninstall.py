"""Takes the charts from a cluster that others made, and what was made with them, before the cluster is left.

Objects of our kinds go first, while their controllers still run: a Job cancels its work on the schedulers
when it is deleted, and without the router its finalizer would keep it, and its definition, for ever.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl import paths
from platformctl.clients.helm import Helm
from platformctl.clients.kubernetes import ApiError, KubernetesClient, NotFoundError, from_kubeconfig
from platformctl.engine.cluster import access, charts
from platformctl.engine.fleet import Fleet
from platformctl.engine.running import cluster_lock
from platformctl.engine.running.interrupt import ends_cleanly
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import GRANT_LABEL

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# Made by a hook of the job router's chart, which no release owns.
_GRANTS = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_PATIENCE_SECONDS = 180
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Kind:
    """A kind of object that our charts define. path: of its collection over all namespaces."""

    name: str
    path: str
    count: int


@dataclass(frozen=True)
class Removal:
    """What is in the cluster: our kinds with the number of their objects, and our namespace."""

    kinds: tuple[Kind, ...]
    namespace: bool

    @property
    def nothing(self) -> bool:
        """Whether there is nothing of ours."""
        return not (self.kinds or self.namespace)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """For people: what, and what becomes of it."""
        found = [("charts", f"{', '.join(charts.RELEASES)} in namespace {charts.NAMESPACE}")]
        return found + [
            (kind.name, f"{kind.count} deleted; what they started is ended")
            for kind in self.kinds
            if kind.count
        ]


async def removal(fleet: Fleet) -> Removal:
    """Read from the cluster what it has. PlatformError: it does not answer."""
    with access.private_file(await access.admin_kubeconfig(fleet)) as path:
        try:
            async with KubernetesClient(from_kubeconfig(path)) as client:
                return Removal(await _kinds(client), await _there(client))
        except ApiError as error:
            raise _no_answer(fleet, error) from error


async def remove(fleet: Fleet, found: Removal) -> None:
    """Remove it. PlatformError: something stays, named; a second call goes on."""
    with ends_cleanly("platformctl reset"), access.private_file(await access.admin_kubeconfig(fleet)) as path:
        async with cluster_lock.hold(fleet, "reset"), KubernetesClient(from_kubeconfig(path)) as client:
            try:
                await _empty(client, found.kinds)
                store = paths.cache_dir() / "store" / fleet.artifacts_source
                helm = Helm(store / "bin" / "helm", path)
                for release in charts.RELEASES:
                    await helm.remove(release, charts.NAMESPACE)
                for grant in (await client.get(_GRANTS, labelSelector=GRANT_LABEL))["items"]:
                    await client.delete(_path(_GRANTS, grant["metadata"]))
                # The charts keep their definitions, so that no uninstalled chart takes users' objects along.
                for kind in found.kinds:
                    await client.delete(f"{_DEFINITIONS}/{kind.name}")
                await client.delete(f"/api/v1/namespaces/{charts.NAMESPACE}")
                await _until(lambda: _there(client), f"namespace {charts.NAMESPACE}")
            except ApiError as error:
                raise _no_answer(fleet, error) from error


async def _kinds(client: KubernetesClient) -> tuple[Kind, ...]:
    found = []
    for definition in (await client.get(_DEFINITIONS))["items"]:
        annotations = definition["metadata"].get("annotations") or {}
        if annotations.get(_RELEASE_NAMESPACE) == charts.NAMESPACE:
            spec = definition["spec"]
            version = next(item["name"] for item in spec["versions"] if item["storage"])
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            name = definition["metadata"]["name"]
            found.append(Kind(name, path, len((await client.get(path))["items"])))
    return tuple(found)


async def _empty(client: KubernetesClient, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        for item in (await client.get(kind.path))["items"]:
            await client.delete(_path(kind.path, item["metadata"]))
    for kind in kinds:
        await _until(lambda path=kind.path: _some(client, path), kind.name)  # type: ignore[misc]


def _path(collection: str, metadata: dict[str, Any]) -> str:
    """Of one object. collection: over all namespaces."""
    group, _, plural = collection.rpartition("/")
    inside = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{group}{inside}/{plural}/{metadata['name']}"


async def _some(client: KubernetesClient, path: str) -> bool:
    return bool((await client.get(path))["items"])


async def _there(client: KubernetesClient) -> bool:
    try:
        await client.get(f"/api/v1/namespaces/{charts.NAMESPACE}")
    except NotFoundError:
        return False
    return True


async def _until(there: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while await there():
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{what} is still there after {_PATIENCE_SECONDS} s, so its charts were left",
                where=what,
                next=f"kubectl get {what.removeprefix('namespace ')} -A; then the same command again",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _no_answer(fleet: Fleet, error: ApiError) -> PlatformError:
    given = fleet.variables.get("kubernetes_kubeconfig")
    return PlatformError(
        f"the cluster does not answer as it should: {error}",
        where=str(given),
        next=f"kubectl --kubeconfig {given} get nodes",
        code=ExitCode.UNREACHABLE,
    )
