"""The work that waits for nodes, and how many nodes that can move it would fill.

Work counts only if it waits for nodes and not for something else, such as a limit of its user, and if it
would fit on a node that can move. What cannot be told counts as not fitting: then nothing moves for it.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.engine.cluster.membership import counted
from platformctl.jobs.quantity import parse_quantity

JOBS = "squeue --noconvert --noheader --states=PENDING --format='%A;%P;%D;%C;%m;%b;%f;%r'"
"""Command for a controller: the jobs that wait, as of_slurm reads them."""

_COLUMNS = 8
# Slurm's words for a job that only lacks nodes; also if all of its nodes are drained, or have moved away.
_LACKS_NODES = re.compile(r"Resources|Priority|ReqNodeNotAvail|Nodes?_?(required|Down)?", re.ASCII)
_GRES = re.compile(r"(?:gres/)?([A-Za-z0-9_.-]+)(?::([A-Za-z][A-Za-z0-9_.-]*))?(?::(\d+)|$)")
_NONE = ("", "N/A", "(null)", "0")


@dataclass(frozen=True)
class Node:
    """What a node that can move offers: CPUs, memory in MiB, and what work may ask of it by name.

    partitions, features: of Slurm. devices: by the name of gres, how many. labels, resources: in Kubernetes.
    """

    name: str
    cpus: int
    memory_mib: int
    partitions: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    devices: Mapping[str, int] | None = None
    labels: Mapping[str, str] | None = None
    resources: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Waiting:
    """How many nodes the work would fill, and in words what it is."""

    nodes: int = 0
    words: str = ""


def of_slurm(said: str, nodes: Sequence[Node]) -> Waiting | None:
    """What waits in Slurm for nodes such as these; None if that is no answer of squeue."""
    amount, jobs = 0.0, 0
    for line in said.splitlines():
        columns = line.split(";")
        if len(columns) != _COLUMNS or not (columns[2].isdecimal() and columns[3].isdecimal()):
            return None
        found = max((_of_job(columns, node) for node in nodes), default=0.0)
        amount, jobs = amount + found, jobs + bool(found)
    return _waiting(amount, jobs, "job")


def _of_job(columns: Sequence[str], node: Node) -> float:
    """The nodes of this kind that a job would fill; 0 if it would not run there, or does not lack nodes."""
    _, partitions, nodes, cpus, memory, gres, features, reason = columns
    if not _LACKS_NODES.match(reason) or not node.partitions.intersection(partitions.split(",")):
        return 0
    count = int(nodes)
    each = math.ceil(int(cpus) / count) if count else int(cpus)
    if each > node.cpus or _mebibytes(memory) > node.memory_mib:
        return 0
    if features not in _NONE and not set(features.split("&")) <= node.features:
        return 0
    if gres not in _NONE and not _has(gres, node.devices or {}):
        return 0
    return float(count) if count > 1 else max(1 / node.cpus, int(cpus) / node.cpus)


def _mebibytes(text: str) -> float:
    """Memory as squeue writes it: `4000M`, `1.50G`, `0`. An amount for each CPU ends with c; it is passed."""
    found = re.fullmatch(r"([\d.]+)([KMGT]?)(c?)", text)
    if not found or found[3]:
        return 0
    return float(found[1]) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[found[2]]


def _has(gres: str, devices: Mapping[str, int]) -> bool:
    for word in gres.split(","):
        found = _GRES.fullmatch(word)
        if not found:
            return False
        name = ":".join(filter(None, (found[1], found[2])))
        there = sum(
            count for known, count in devices.items() if known == name or known.startswith(f"{name}:")
        )
        if there < int(found[3] or 1):
            return False
    return True


def of_kubernetes(pods: Iterable[Mapping[str, Any]], nodes: Sequence[Node]) -> Waiting:
    """What waits in Kubernetes for nodes such as these. pods: those of phase Pending."""
    amount, count = 0.0, 0
    for pod in pods:
        found = max((_of_pod(pod, node) for node in nodes), default=0.0) if _lacks_nodes(pod) else 0.0
        amount, count = amount + found, count + bool(found)
    return _waiting(amount, count, "pod")


def _lacks_nodes(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences") or []}
    return "DaemonSet" not in owners and any(
        one["type"] == "PodScheduled" and one["status"] == "False" and one.get("reason") == "Unschedulable"
        for one in conditions
    )


def _of_pod(pod: Mapping[str, Any], node: Node) -> float:
    spec = pod["spec"]
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    wanted = (spec.get("nodeSelector") or {}).items()
    if required or not wanted <= (node.labels or {}).items():
        return 0
    asks = _requests(spec)
    parts = {"cpu": asks.pop("cpu", 0.0) / node.cpus}
    parts["memory"] = asks.pop("memory", 0.0) / 2**20 / node.memory_mib
    for name, amount in asks.items():
        if "/" in name:
            offered = (node.resources or {}).get(name, 0)
            parts[name] = amount / offered if offered else math.inf
    most = max(parts.values())
    # A pod that asks for nothing fills no node, but it has none to be on.
    return 0 if most > 1 else max(most, 1 / node.cpus)


def _requests(spec: Mapping[str, Any]) -> dict[str, float]:
    """What a pod asks for: the sum of its containers, or the largest of what starts before them."""

    def of(container: Mapping[str, Any]) -> dict[str, float]:
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        return {name: float(parse_quantity(value)) for name, value in asked.items()}

    total: dict[str, float] = {}
    for container in spec.get("containers") or []:
        for name, amount in of(container).items():
            total[name] = total.get(name, 0.0) + amount
    for container in spec.get("initContainers") or []:
        for name, amount in of(container).items():
            total[name] = max(total.get(name, 0.0), amount)
    return total


def _waiting(amount: float, count: int, kind: str) -> Waiting:
    if not count:
        return Waiting()
    nodes = math.ceil(round(amount, 6))
    return Waiting(
        nodes, f"{counted(count, kind)} wait{'s' if count == 1 else ''} for {counted(nodes, 'node')}"
    )
