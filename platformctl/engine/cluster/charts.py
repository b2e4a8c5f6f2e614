"""The charts stage: what runs inside the cluster, brought to what the inventory and the artefacts say."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformctl import paths
from platformctl.clients.helm import Helm, Release
from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_kubeconfig
from platformctl.engine import loading
from platformctl.engine.cluster import access, queues
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.role_defaults import default
from platformctl.vocabulary import GROUP

NAMESPACE = "platform-system"
# Names of the releases, in the order in which they are taken away.
RELEASES = ("job-router", "dask-operator")
_KEY_SECRET = "job-router-slurm"  # noqa: S105  (the name of a Secret)
_ROUTER_IMAGE = "ghcr.io/platformctl/job-router"
_DASK_IMAGE = "ghcr.io/dask/dask-kubernetes-operator"


async def apply(fleet: Fleet, _data: Path, index: Mapping[str, Any]) -> list[str]:
    """Install or upgrade the site's charts; returns the names of those that changed.

    index: the artefact store's index.json. Raises PlatformError when artefacts are missing, the cluster
    is not reachable, or a chart does not become ready.
    """
    fleet = loading.evaluated(fleet)
    folder = paths.cache_dir() / "store" / fleet.artifacts_source
    releases = [router(fleet, folder, index), dask_operator(fleet, folder, index)]
    with access.private_file(await access.admin_kubeconfig(fleet)) as path:
        await _prepare(fleet, path)
        helm = Helm(folder / "bin" / "helm", path)
        changed = await asyncio.gather(*(helm.ensure(release) for release in releases))
        names = [release.name for release, did in zip(releases, changed, strict=True) if did]
        return names + (["queues"] if await _queues(fleet, path) else [])


def router(fleet: Fleet, folder: Path, index: Mapping[str, Any]) -> Release:
    """The job router, knowing the site's users and its Slurm."""
    variables = fleet.variables
    values: dict[str, Any] = {
        "site": fleet.site,
        "image": _image(fleet, index, _ROUTER_IMAGE),
        "users": users(variables),
        "slurm": {"enabled": False},
    }
    if variables.get("shared_home_kubernetes", default("shared_home_kubernetes", bool)):
        values["home"] = {"path": _home(variables)}
    rest = fleet.first("slurm_rest")
    if rest is not None:
        port = rest.variables.get("slurm_rest_port") or default("slurm_rest_port", int)
        values["slurm"] = {
            "enabled": True,
            "address": f"https://rest.{variables['site_domain']}:{port}",
            "hostAddress": str(rest.variables.get("base_address") or rest.connection.address),
            "certificateAuthority": str(variables["secret_site_ca_certificate"]),
            "keySecret": _KEY_SECRET,
        }
    elif fleet.has_slurm:
        values["slurm"] = {
            "enabled": True,
            "address": str(variables["slurm_rest_url"]).rstrip("/"),
            "certificateAuthority": str(variables.get("slurm_rest_certificate_authority", "")),
            "keySecret": _KEY_SECRET,
        }
    return Release("job-router", NAMESPACE, _chart(folder, index, "job-router"), values)


def dask_operator(fleet: Fleet, folder: Path, index: Mapping[str, Any]) -> Release:
    """The operator of dask-kubernetes."""
    values = {"image": _image(fleet, index, _DASK_IMAGE)}
    return Release("dask-operator", NAMESPACE, _chart(folder, index, "dask-operator"), values)


def users(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inventory's users as the router knows them; a user's own group has the user's number."""
    gids = {group["name"]: group["gid"] for group in variables.get("users_groups") or []}
    home = _home(variables)
    return [
        {
            "name": account["name"],
            "uid": account["uid"],
            "gid": account["uid"],
            "groups": [gids[name] for name in account.get("groups") or [] if name in gids],
            "account": account.get("slurm_account"),
            "home": f"{home}/{account['name']}",
        }
        for account in variables.get("users_accounts") or []
        if account.get("state", "present") == "present"
    ]


def _home(variables: Mapping[str, Any]) -> str:
    return str(variables.get("shared_home_path") or default("shared_home_path", str)).rstrip("/")


async def _queues(fleet: Fleet, path: Path) -> bool:
    kubernetes = fleet.foreign_cluster or fleet.first("kubernetes_node") is not None
    wanted = queues.queues(fleet.variables, fleet.has_slurm, kubernetes)
    try:
        async with KubernetesClient(from_kubeconfig(path)) as client:
            return await queues.apply(client, wanted)
    except ApiError as error:
        raise PlatformError(
            f"the queues cannot be brought to what the inventory says: {error}",
            where="slurm_partitions",
            next=f"kubectl get queues.{GROUP}",
        ) from error


async def _prepare(fleet: Fleet, path: Path) -> None:
    """The namespace, and the Secret with Slurm's key: no chart value, so that no release holds it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "platformctl"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _KEY_SECRET, "namespace": NAMESPACE},
        "data": {"jwt.key": fleet.variables.get("secret_slurm_jwt_key", "")},
    }
    try:
        async with KubernetesClient(from_kubeconfig(path)) as client:
            await client.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
            if fleet.has_slurm:
                await client.apply(f"/api/v1/namespaces/{NAMESPACE}/secrets/{_KEY_SECRET}", secret)
    except ApiError as error:
        raise PlatformError(
            f"the Kubernetes API does not take the charts' namespace: {error}",
            where=f"namespace {NAMESPACE}",
            next=f"platformctl status -i {fleet.inventory}",
        ) from error


def _image(fleet: Fleet, index: Mapping[str, Any], image: str) -> dict[str, str]:
    """Values that name an image of ours: its tag, and its repository where it is not the chart's own."""
    tag = {"tag": str(_entry(index, "images", image)["tag"])}
    registry = fleet.variables.get("kubernetes_image_registry")
    return tag | ({"repository": f"{registry.rstrip('/')}/{image.rpartition('/')[2]}"} if registry else {})


def _chart(folder: Path, index: Mapping[str, Any], name: str) -> Path:
    return folder / str(_entry(index, "charts", name)["path"])


def _entry(index: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    try:
        entry: Mapping[str, Any] = index[section][name]
    except KeyError:
        raise PlatformError(
            f"the artefacts lack {name}", next="platformctl artifacts fetch", code=ExitCode.FAILED
        ) from None
    return entry
