"""What both schedulers have and what waits for them, asked once for one decision.

What a scheduler does not answer as expected ends the look: nothing moves on a guess.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.engine import loading
from platformctl.engine.balance import waiting
from platformctl.engine.balance.waiting import Node, Waiting
from platformctl.engine.cluster import nodes
from platformctl.engine.cluster.membership import leaves
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.handoff import account as accounts
from platformctl.engine.handoff import kubernetes_side, slurm_side
from platformctl.engine.handoff.account import Account
from platformctl.engine.planning import ownership
from platformctl.engine.releases import NAMESPACES
from platformctl.site import devices

_SLURM = "sinfo --noheader --Node --format='%N|%R|%c|%m|%f|%T'"
_COLUMNS = 6
_SECONDS = 60
_STOPS = "what waits, so nothing moves"
# Pods of the site's own services start elsewhere at once; a node with nothing else is idle.
_SYSTEM = ("kube-system", "kube-flannel", "local-path-storage", *NAMESPACES)


@dataclass(frozen=True)
class Seen:
    """One node that can move. owner: `moving` while it does, `unknown` if its host does not answer."""

    name: str
    owner: str
    idle: bool
    fixed: str


@dataclass(frozen=True)
class View:
    """nodes: those that can move. waiting, serving: by side, the work that waits, and nodes in service."""

    nodes: Sequence[Seen]
    waiting: Mapping[str, Waiting]
    serving: Mapping[str, int]


async def look(fleet: Fleet, client: KubernetesClient) -> View:
    """Ask both schedulers. PlatformError: one of them does not answer."""
    fleet = loading.evaluated(fleet)
    names = [name for name in fleet.hosts if ownership.home(fleet, name)]
    said, jobs, known, kept, pods, listed = await asyncio.gather(
        slurm_side.ask(fleet, _SLURM, _STOPS, _SECONDS),
        slurm_side.ask(fleet, waiting.JOBS, _STOPS, _SECONDS),
        nodes.read(fleet, names) if names else _nothing(),
        accounts.read_all(client),
        _pods(client),
        client.get("/api/v1/nodes"),
    )
    in_slurm = _slurm_nodes(fleet, said)
    working = {pod["spec"].get("nodeName") for pod in pods if _is_work(pod)}
    in_kubernetes = {str(node["metadata"]["name"]): node for node in listed["items"]}
    seen = [
        _seen(node.name, node.owner, kept.get(node.name), in_slurm, in_kubernetes, working) for node in known
    ]
    kinds = [
        _kind(fleet.hosts[name], in_slurm[name], kept.get(name), in_kubernetes.get(name))
        for name in names
        if name in in_slurm
    ]
    in_queue = waiting.of_slurm(jobs, kinds)
    if in_queue is None:
        raise slurm_side.unknown(fleet, f"squeue says {jobs.strip()[:200]!r}", _STOPS)
    unplaced = [pod for pod in pods if pod["status"].get("phase") == "Pending"]
    return View(
        seen,
        {"slurm": in_queue, "kubernetes": waiting.of_kubernetes(unplaced, kinds)},
        {
            "slurm": sum(slurm_side.serves(row["state"]) for row in in_slurm.values()),
            "kubernetes": sum(map(_takes_pods, in_kubernetes.values())),
        },
    )


def _slurm_nodes(fleet: Fleet, said: str) -> dict[str, dict[str, Any]]:
    """The rows of sinfo by node; a node is in one row for each of its partitions."""
    found: dict[str, dict[str, Any]] = {}
    for line in said.splitlines():
        columns = line.split("|")
        if len(columns) != _COLUMNS:
            raise slurm_side.unknown(fleet, f"sinfo says {line[:200]!r}", _STOPS)
        name, partition, cpus, memory, features, state = columns
        row = found.setdefault(
            name,
            {"cpus": int(cpus), "memory": int(memory), "features": features, "state": state, "in": set()},
        )
        row["in"].add(partition)
    if not found:
        raise slurm_side.unknown(fleet, "sinfo names no nodes", _STOPS)
    return found


def _seen(
    name: str,
    owner: str,
    account: Account | None,
    in_slurm: Mapping[str, Mapping[str, Any]],
    in_kubernetes: Mapping[str, Mapping[str, Any]],
    working: set[str | None],
) -> Seen:
    fixed = ""
    if account and account.held:
        fixed = f"it was taken out of service: {account.held}"
    elif account and account.to:
        fixed = "a move of it has not ended"
    elif owner == "slurm":
        state = in_slurm[name]["state"] if name in in_slurm else "not there"
        fixed = "" if slurm_side.serves(state) else f"Slurm says that it is {state}"
        return Seen(name, owner, state == "idle", fixed)
    elif owner == "kubernetes":
        fixed = "" if _takes_pods(in_kubernetes.get(name)) else "it takes no pods"
        return Seen(name, owner, name not in working, fixed)
    else:
        fixed = f"its owner is {owner}"
    return Seen(name, owner, False, fixed)


def _kind(
    host: Host, row: Mapping[str, Any], account: Account | None, node: Mapping[str, Any] | None
) -> Node:
    """What a host offers to either side, whoever has it now."""
    variables = devices.on_host(host.variables, host.groups)
    counts: dict[str, int] = {}
    for device in devices.table(variables):
        name = ":".join(filter(None, (device.name, device.gres_type)))
        counts[name] = counts.get(name, 0) + len(device.devices)
    kept = (node or {}).get("metadata", {}).get("labels") or (account.left if account else {}).get("labels")
    own = {"kubernetes.io/hostname": host.name, "kubernetes.io/os": "linux"}
    return Node(
        host.name,
        row["cpus"],
        row["memory"],
        frozenset(row["in"]),
        frozenset(row["features"].split(",")),
        counts,
        {**own, **(kept or {}), **devices.labels(variables)},
        devices.allocatable(variables),
    )


def _takes_pods(node: Mapping[str, Any] | None) -> bool:
    if node is None or not kubernetes_side.is_open(node):
        return False
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in (node.get("status") or {}).get("conditions") or []
    )


def _is_work(pod: Mapping[str, Any]) -> bool:
    return leaves(pod) and pod["metadata"]["namespace"] not in _SYSTEM


async def _pods(client: KubernetesClient) -> list[dict[str, Any]]:
    return [pod async for page in client.list_pages("/api/v1/pods") for pod in page["items"]]


async def _nothing() -> list[nodes.Node]:
    return []
