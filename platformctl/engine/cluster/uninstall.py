"""Removes the charts, and the objects of the kinds that they define, from an existing cluster.

The objects are deleted first, while their controllers still run. The router cancels the work of a deleted Job
on the schedulers and removes its finalizer. Without the router, the Job and its definition would stay.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.clients.helm import Helm
from platformctl.clients.kubeconfig import private_file
from platformctl.clients.kubernetes import ApiError, KubernetesClient, NotFoundError, from_document
from platformctl.engine.cluster import access, cluster_lock
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.releases import NAMESPACE, RELEASES
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import GRANT_LABEL

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# Made by a hook of the job router's chart, which no release owns.
_GRANTS = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_PATIENCE_SECONDS = 180
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class ResourceKind:
    """A kind of object that our charts define. path: of its collection over all namespaces."""

    name: str
    path: str
    count: int


@dataclass(frozen=True)
class ChartRemoval:
    """What the cluster has: the charts' kinds with the number of their objects, and the charts' namespace."""

    kinds: tuple[ResourceKind, ...]
    namespace: bool

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.kinds or self.namespace)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """For people: what is removed, and what happens with it."""
        charts = ", ".join(release.name for release in RELEASES)
        return [("charts", f"{charts} in namespace {NAMESPACE}")] + [
            (kind.name, f"{kind.count} deleted; what they started is ended")
            for kind in self.kinds
            if kind.count
        ]


async def planned_removal(fleet: Fleet) -> ChartRemoval:
    """Read from the cluster what it has. PlatformError: it does not answer."""
    try:
        async with KubernetesClient(from_document(await access.admin_kubeconfig(fleet))) as client:
            return ChartRemoval(await _kinds(client), await _there(client))
    except ApiError as error:
        raise _no_answer(fleet, error) from error


async def remove(fleet: Fleet, removal: ChartRemoval) -> None:
    """Remove it. PlatformError names what could not be removed; a second call continues."""
    with ends_cleanly(f"platformctl reset -i {fleet.inventory}"):
        kubeconfig = await access.admin_kubeconfig(fleet)
        async with cluster_lock.hold(fleet, "reset"), KubernetesClient(from_document(kubeconfig)) as client:
            with private_file(kubeconfig) as path:
                helm = Helm(fleet.store / "bin" / "helm", path)
                try:
                    await _remove(client, helm, removal)
                except ApiError as error:
                    raise _no_answer(fleet, error) from error


async def _remove(client: KubernetesClient, helm: Helm, removal: ChartRemoval) -> None:
    await _empty(client, removal.kinds)
    for release in RELEASES:
        await helm.remove(release.name, NAMESPACE)
    for grant in (await client.get(_GRANTS, labelSelector=GRANT_LABEL))["items"]:
        await client.delete(_path(_GRANTS, grant["metadata"]))
    # Helm leaves the definitions of the charts, so that removing a release never deletes users' objects.
    for kind in removal.kinds:
        await client.delete(f"{_DEFINITIONS}/{kind.name}")
    await client.delete(f"/api/v1/namespaces/{NAMESPACE}")
    await _until(lambda: _there(client), f"namespace {NAMESPACE}")


async def _kinds(client: KubernetesClient) -> tuple[ResourceKind, ...]:
    kinds = []
    for definition in (await client.get(_DEFINITIONS))["items"]:
        annotations = definition["metadata"].get("annotations") or {}
        if annotations.get(_RELEASE_NAMESPACE) == NAMESPACE:
            spec = definition["spec"]
            version = next(item["name"] for item in spec["versions"] if item["storage"])
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            name = definition["metadata"]["name"]
            kinds.append(ResourceKind(name, path, len((await client.get(path))["items"])))
    return tuple(kinds)


async def _empty(client: KubernetesClient, kinds: Sequence[ResourceKind]) -> None:
    for kind in kinds:
        for item in (await client.get(kind.path))["items"]:
            await client.delete(_path(kind.path, item["metadata"]))
    for kind in kinds:
        await _until(lambda path=kind.path: _some(client, path), kind.name)  # type: ignore[misc]


def _path(collection: str, metadata: dict[str, Any]) -> str:
    """The path of one object. collection: the path of its kind over all namespaces."""
    group, _, plural = collection.rpartition("/")
    inside = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{group}{inside}/{plural}/{metadata['name']}"


async def _some(client: KubernetesClient, path: str) -> bool:
    return bool((await client.get(path))["items"])


async def _there(client: KubernetesClient) -> bool:
    try:
        await client.get(f"/api/v1/namespaces/{NAMESPACE}")
    except NotFoundError:
        return False
    return True


async def _until(there: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while await there():
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{what} is still there after {_PATIENCE_SECONDS} s, so its charts were not removed",
                where=what,
                next=f"see what keeps it: kubectl get {what.removeprefix('namespace ')} -A; "
                "then the same command again",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _no_answer(fleet: Fleet, error: ApiError) -> PlatformError:
    given = access.given_kubeconfig(fleet)
    return PlatformError(
        f"the cluster does not answer as it should: {error}",
        where=str(given),
        next=f"kubectl --kubeconfig {given} get nodes",
        code=ExitCode.UNREACHABLE,
    )
