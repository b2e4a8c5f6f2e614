"""A node in Kubernetes while it moves: our own taint, its pods, its leaving and return, and a pod as proof.

A taint of ours keeps pods away, and not a cordon: a cordon is an administrator's, whenever it was set. A node
that leaves is deleted, with what it had kept in the account; at its return it gets all of that again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from platformctl.clients.kubernetes import ApiError, ConflictError, KubernetesClient, NotFoundError
from platformctl.engine.cluster.membership import counted, leaves
from platformctl.engine.cluster.node_drain import Say
from platformctl.errors import ExitCode, PlatformError

TAINT = {"key": "platformctl.io/moving", "effect": "NoSchedule"}
OWNER = "platformctl.io/owner"
_NODES = "/api/v1/nodes"
_PODS = "/api/v1/namespaces/{}/pods"
_NAMESPACE = "kube-system"
_POLL_SECONDS = 0.5
_PROOF_SECONDS = 60
_TRIES = 10
# What a kubelet and the cluster's controllers say themselves of a node that registers.
_THEIRS = (
    *("kubernetes.io/", "beta.kubernetes.io/", "node.alpha.kubernetes.io/", "volumes.kubernetes.io/"),
    *("csi.volume.kubernetes.io/", "flannel.alpha.coreos.com/"),
)
_TOO_MANY = 429

Keep = Callable[[dict[str, Any]], Awaitable[None]]


async def look(client: KubernetesClient, name: str) -> dict[str, Any] | None:
    """The node as the API has it; None if there is none."""
    try:
        return await client.get(f"{_NODES}/{name}")
    except NotFoundError:
        return None


async def close(client: KubernetesClient, name: str, taint: Mapping[str, str] = TAINT) -> None:
    """Let no new pod onto the node, if there is one."""
    await _taints(client, name, lambda taints: [*_without(taints, taint), dict(taint)])


async def open_(client: KubernetesClient, name: str, taint: Mapping[str, str] = TAINT) -> None:
    """Take our own taint away. An administrator's cordon and taints stay."""
    await _taints(client, name, lambda taints: _without(taints, taint))


def _without(taints: list[dict[str, Any]], taint: Mapping[str, str]) -> list[dict[str, Any]]:
    return [one for one in taints if one["key"] != taint["key"]]


async def _taints(
    client: KubernetesClient, name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    def patch(node: dict[str, Any]) -> dict[str, Any]:
        before = node["spec"].get("taints") or []
        after = change(before)
        return {} if after == before else {"spec": {"taints": after}}

    await _change(client, name, patch)


async def _change(
    client: KubernetesClient, name: str, patch: Callable[[dict[str, Any]], dict[str, Any]]
) -> bool:
    """Merge what `patch` makes of the node, unless that is empty; returns whether there is a node.

    The patch is made again if somebody else changed the node in between.
    """
    for _ in range(_TRIES):
        node = await look(client, name)
        if node is None:
            return False
        found = patch(node)
        if not found:
            return True
        version = {"resourceVersion": node["metadata"]["resourceVersion"]}
        try:
            await client.merge(
                f"{_NODES}/{name}", {**found, "metadata": {**found.get("metadata", {}), **version}}
            )
        except ConflictError:
            continue
        return True
    raise _busy(name)


async def others(client: KubernetesClient, name: str) -> list[str]:
    """The other nodes that take pods."""
    found = await client.get(_NODES)
    return [
        str(node["metadata"]["name"])
        for node in found["items"]
        if node["metadata"]["name"] != name and is_open(node)
    ]


def is_open(node: Mapping[str, Any]) -> bool:
    """Whether neither a cordon nor a taint keeps new pods away from a node."""
    taints = node["spec"].get("taints") or []
    return not node["spec"].get("unschedulable") and all(
        taint["effect"] == "PreferNoSchedule" for taint in taints
    )


async def pods(client: KubernetesClient, name: str) -> list[dict[str, Any]]:
    """The pods that must leave the node: not those of daemon sets, static ones, and those that have ended."""
    found = [
        pod
        async for page in client.list_pages("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
        for pod in page["items"]
    ]
    return [pod for pod in found if leaves(pod)]


async def empty(
    client: KubernetesClient, name: str, deadline: float, say: Say, *, wait: bool, force: bool
) -> list[dict[str, Any]]:
    """Have the pods leave the node; returns those that are still there at the deadline (monotonic).

    Pods that something starts again elsewhere are evicted, as their disruption budgets allow. wait: the
    others may run to their end. force: all are deleted, without regard for budgets.
    """
    # A move that was killed may have left its own.
    await client.delete(_proof(name))
    told = ""
    while left := await pods(client, name):
        for pod in left:
            if force:
                await client.delete(_path(pod), pod["metadata"]["uid"])
            elif not (wait and _works(pod)) and not pod["metadata"].get("deletionTimestamp"):
                await _evict(client, pod)
        if time.monotonic() > deadline:
            return left
        shown = ", ".join(words(pod) for pod in left[:3])
        if shown != told:
            say(f"{name}: waiting for {counted(len(left), 'pod')} to end: {shown}")
            told = shown
        await asyncio.sleep(_POLL_SECONDS)
    return []


def words(pod: dict[str, Any]) -> str:
    """A pod in words."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


async def leave(client: KubernetesClient, name: str, keep: Keep) -> None:
    """Delete the node once `keep` has stored what it had; if it changed in between, once more."""
    for _ in range(_TRIES):
        node = await look(client, name)
        if node is None:
            return
        await keep(kept(node))
        again = await look(client, name)
        if again and kept(again) == kept(node):
            await client.delete(f"{_NODES}/{name}", node["metadata"]["uid"])
            return
    raise _busy(name)


def kept(node: dict[str, Any]) -> dict[str, Any]:
    """What people and operators gave a node: labels, annotations, taints, and whether it is cordoned."""
    taints = [
        one
        for one in _without(node["spec"].get("taints") or [], TAINT)
        if not one["key"].startswith("node.kubernetes.io/")
    ]
    return {
        "labels": _others(node["metadata"].get("labels")),
        "annotations": _others(node["metadata"].get("annotations")),
        "taints": taints,
        "unschedulable": bool(node["spec"].get("unschedulable")),
    }


def joined(left: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What a node has that leaves before it got back all that it had `left` with the last time."""
    if not left:
        return now
    taints = [*left["taints"], *(one for one in now["taints"] if one not in left["taints"])]
    return {
        "labels": {**left["labels"], **now["labels"]},
        "annotations": {**left["annotations"], **now["annotations"]},
        "taints": taints,
        "unschedulable": left["unschedulable"] or now["unschedulable"],
    }


async def registered(client: KubernetesClient, name: str, seconds: float) -> None:
    """Wait until the node is there and ready. PlatformError: it is not after so many seconds."""
    deadline, said = time.monotonic() + seconds, "it has not registered"
    while True:
        node = await look(client, name)
        if node is not None:
            conditions = {item["type"]: item for item in node["status"].get("conditions") or ()}
            ready = conditions.get("Ready", {})
            if ready.get("status") == "True":
                return
            said = str(ready.get("message") or "it is not ready")
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{name} is not ready in Kubernetes {seconds:.0f} s after its kubelet started: {said}",
                where=name,
                next="look there: journalctl -u kubelet -n 50",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def restore(
    client: KubernetesClient, name: str, before: dict[str, Any], labels: Mapping[str, str]
) -> None:
    """Give the node that is back what it had when it left, and say whose it is.

    labels: those for the devices and the runtimes that it has by the inventory.
    """

    def patch(node: dict[str, Any]) -> dict[str, Any]:
        taints = list(node["spec"].get("taints") or [])
        have = {(one["key"], one["effect"]) for one in taints}
        taints += [one for one in before.get("taints") or [] if (one["key"], one["effect"]) not in have]
        spec: dict[str, Any] = {"taints": taints}
        if before.get("unschedulable"):
            spec["unschedulable"] = True
        return {
            "metadata": {
                "labels": {**(before.get("labels") or {}), **labels, OWNER: "kubernetes"},
                "annotations": before.get("annotations") or {},
            },
            "spec": spec,
        }

    if not await _change(client, name, patch):
        raise _busy(name)


async def prove(client: KubernetesClient, name: str, image: str) -> str:
    """Run a pod on the node, past our own taint; returns what was proven. PlatformError: it fails."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"platformctl-proof-{name}", "namespace": _NAMESPACE},
        "spec": {
            "nodeName": name,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "proof", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    }
    path = _proof(name)
    await client.delete(path)
    deadline, phase = time.monotonic() + _PROOF_SECONDS, "it was not made"
    try:
        while True:
            try:
                found = await client.get(path)
                phase = str(found["status"].get("phase"))
                if phase == "Running" and found["status"].get("podIP"):
                    return f"a pod ran on {name} at {found['status']['podIP']}"
            except NotFoundError:
                await client.create(_PODS.format(_NAMESPACE), pod)
            if time.monotonic() > deadline or phase == "Failed":
                raise PlatformError(
                    f"a pod did not run on {name} within {_PROOF_SECONDS} s: {phase}",
                    where=name,
                    next="look there: journalctl -u kubelet -n 50",
                )
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await client.delete(path)


def _proof(name: str) -> str:
    return f"{_PODS.format(_NAMESPACE)}/platformctl-proof-{name}"


async def _evict(client: KubernetesClient, pod: dict[str, Any]) -> None:
    """Ask for an eviction. A budget that forbids it now may allow it later."""
    metadata = {name: pod["metadata"][name] for name in ("name", "namespace")}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    try:
        await client.create(f"{_path(pod)}/eviction", body)
    except NotFoundError:
        return
    except ApiError as error:
        if error.code != _TOO_MANY:
            raise


def _path(pod: dict[str, Any]) -> str:
    return f"{_PODS.format(pod['metadata']['namespace'])}/{pod['metadata']['name']}"


def _works(pod: dict[str, Any]) -> bool:
    """Whether a pod is work that ends by itself, or that nothing would start again."""
    ends = pod["spec"].get("restartPolicy", "Always") != "Always"
    return ends or not pod["metadata"].get("ownerReferences")


def _others(found: dict[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (found or {}).items() if not name.startswith(_THEIRS)}


def _busy(name: str) -> PlatformError:
    return PlatformError(
        f"the node {name} changes all the time, so it was left as it is",
        where=f"node {name} of the cluster",
        next="the same command again",
        code=ExitCode.FAILED,
    )
