"""The charts stage: installs in the cluster what the inventory and the artefacts say."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from platformctl.clients.helm import Helm, Release
from platformctl.clients.kubeconfig import private_file
from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_document
from platformctl.engine import loading
from platformctl.engine.cluster import access, claims, queues, quotas, workloads
from platformctl.engine.cluster.workloads import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.releases import NAMESPACE, RELEASES, SLURM_KEY_SECRET, ChartRelease
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import accounts


async def apply(fleet: Fleet, index: Mapping[str, Any], say: Say = lambda _: None) -> list[str]:
    """Install or upgrade the site's charts; returns the names of those that changed.

    index: the artefact store's index.json. say: told what in the cluster is waited for. Raises PlatformError
    when artefacts are missing, the cluster is not reachable, or a chart does not become ready.
    """
    fleet = loading.evaluated(fleet)
    wanted = [helm_release(chart, fleet, index) for chart in RELEASES]
    kubeconfig = await access.admin_kubeconfig(fleet)
    with private_file(kubeconfig) as path:
        async with KubernetesClient(from_document(kubeconfig)) as client:
            await _prepare(fleet, client)
            await _come_back(fleet, client)
            helm = Helm(fleet.store / "bin" / "helm", path)
            changed = await _ensure(client, helm, wanted, say)
            if not await quotas.until_counted(client):
                say("the cluster does not count Jobs yet, and refuses them until it does")
            names = [release.name for release, did in zip(wanted, changed, strict=True) if did]
            return names + (["queues"] if await _queues(fleet, client) else [])


async def _ensure(client: KubernetesClient, helm: Helm, wanted: list[Release], say: Say) -> list[bool]:
    """Bring the releases to what is wanted. Helm says only that it waited too long, and not for what."""
    try:
        async with workloads.told(client, say):
            return await asyncio.gather(*(helm.ensure(release) for release in wanted))
    except PlatformError as error:
        with contextlib.suppress(ApiError):
            error.details += await workloads.unavailable(client)
        raise


def helm_release(chart: ChartRelease, fleet: Fleet, index: Mapping[str, Any]) -> Release:
    """What Helm installs: the packaged chart of the store, with the site's values."""
    images = {key: _image(fleet, index, image) for key, image in chart.images.items()}
    packaged = fleet.store / str(_entry(index, "charts", chart.name)["path"])
    return Release(chart.name, NAMESPACE, packaged, {**images, **chart.values(fleet)})


async def _queues(fleet: Fleet, client: KubernetesClient) -> bool:
    kubernetes = fleet.foreign_cluster or fleet.first("kubernetes_node") is not None
    wanted = queues.queues(fleet.variables, fleet.has_slurm, kubernetes)
    try:
        return await queues.apply(client, wanted)
    except ApiError as error:
        raise PlatformError(
            f"the queues cannot be brought to what the inventory says: {error}",
            where="slurm_partitions",
            next=f"correct slurm_partitions if the cluster refuses them, then: "
            f"platformctl charts -i {fleet.inventory}",
        ) from error


async def _come_back(fleet: Fleet, client: KubernetesClient) -> None:
    try:
        await claims.let_go(client, accounts.names(fleet.variables))
    except ApiError as error:
        raise PlatformError(
            f"the Kubernetes API does not say which claims of homes there are: {error}",
            where="persistentvolumeclaims",
            next=f"platformctl status -i {fleet.inventory}",
        ) from error


async def _prepare(fleet: Fleet, client: KubernetesClient) -> None:
    """The namespace, and the Secret with Slurm's key. It is not a chart value, so no release contains it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "platformctl"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SLURM_KEY_SECRET, "namespace": NAMESPACE},
        "data": {"jwt.key": fleet.variables.get("secret_slurm_jwt_key", "")},
    }
    try:
        await client.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
        if fleet.has_slurm:
            await client.apply(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SLURM_KEY_SECRET}", secret)
    except ApiError as error:
        raise PlatformError(
            f"the Kubernetes API does not take the charts' namespace: {error}",
            where=f"namespace {NAMESPACE}",
            next=f"platformctl status -i {fleet.inventory}",
        ) from error


def _image(fleet: Fleet, index: Mapping[str, Any], image: str) -> dict[str, str]:
    """Values for an image of platformctl: its tag, and its repository if it differs from the chart's."""
    tag = {"tag": str(_entry(index, "images", image)["tag"])}
    registry = fleet.variables.get("kubernetes_image_registry")
    return tag | ({"repository": f"{registry.rstrip('/')}/{image.rpartition('/')[2]}"} if registry else {})


def _entry(index: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    try:
        entry: Mapping[str, Any] = index[section][name]
    except KeyError:
        raise PlatformError(
            f"the artefacts lack {name}", next="platformctl artifacts fetch -i SITE", code=ExitCode.FAILED
        ) from None
    return entry
