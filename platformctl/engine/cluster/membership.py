"""Which nodes Kubernetes and Slurm have, and which of them the inventory lacks.

Each scheduler is asked once, at its first control host. One that does not answer has no nodes here: what is
wrong with it is for `status` to say.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet, Host

_ADMIN = "/etc/kubernetes/admin.conf"
KUBECTL = f"kubectl --kubeconfig {_ADMIN} --request-timeout=10s"
"""kubectl on a control plane."""

_LINE = (
    '{range .items[*]}{.metadata.name}{"\\t"}{.status.conditions[?(@.type=="Ready")].status}{"\\t"}'
    '{.status.addresses[?(@.type=="InternalIP")].address}{"\\t"}{.metadata.labels}{"\\n"}{end}'
)
_NODES = f"[ ! -e {_ADMIN} ] || {KUBECTL} get nodes --output 'jsonpath={_LINE}'"
_SLURM_NODES = (
    "command -v sinfo >/dev/null || exit 0; sinfo --noheader --Node --format='%N|%T|%o' | sort --unique"
)
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_SECONDS = 15


@dataclass(frozen=True)
class ClusterNode:
    """A node as a scheduler has it. ready: it answers. address: empty if the scheduler does not know it."""

    name: str
    state: str
    ready: bool
    address: str = ""
    control_plane: bool = False


@dataclass(frozen=True)
class Membership:
    """The nodes of both schedulers, by name."""

    kubernetes: Mapping[str, ClusterNode] = field(default_factory=dict)
    slurm: Mapping[str, ClusterNode] = field(default_factory=dict)


@dataclass(frozen=True)
class Stray:
    """A node that a scheduler has and the inventory lacks. work: number of its pods or jobs."""

    name: str
    scheduler: str
    state: str
    work: int

    @property
    def load(self) -> str:
        """How much work it has, in words."""
        return counted(self.work, "pod" if self.scheduler == "Kubernetes" else "job")

    def words(self, inventory: Path) -> str:
        """What is wrong, and the command that ends it."""
        return (
            f"{self.name} is a node of {self.scheduler} ({self.state}, {self.load}), but the inventory has"
            f" no such host; to end that: platformctl node remove -i {inventory} {self.name}"
        )


def counted(number: int, what: str) -> str:
    """A number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


async def ask(fleet: Fleet) -> Membership:
    """Ask both schedulers of the site for their nodes."""
    kubernetes, slurm = await asyncio.gather(
        _ask(fleet.first("kubernetes_control_plane"), _NODES),
        _ask(fleet.first("slurm_controller"), _SLURM_NODES),
    )
    return Membership(_kubernetes(kubernetes), _slurm(slurm))


async def strays(fleet: Fleet, membership: Membership) -> tuple[Stray, ...]:
    """The nodes that the inventory lacks, with what runs on them. Asks for that only if there are some."""
    gone = {
        "Kubernetes": [node for name, node in membership.kubernetes.items() if name not in fleet.hosts],
        "Slurm": [node for name, node in membership.slurm.items() if name not in fleet.hosts],
    }
    if not any(gone.values()):
        return ()
    pods, jobs = await asyncio.gather(
        count_pods(fleet, [node.name for node in gone["Kubernetes"]]),
        count_jobs(fleet, [node.name for node in gone["Slurm"]]),
    )
    counts = {"Kubernetes": pods, "Slurm": jobs}
    return tuple(
        Stray(node.name, scheduler, node.state, counts[scheduler].get(node.name, 0))
        for scheduler, nodes in gone.items()
        for node in nodes
    )


async def count_pods(fleet: Fleet, names: Iterable[str]) -> Mapping[str, int]:
    """The number of pods on each of these nodes, without those that every node has."""
    found = await asyncio.gather(*(pods_of(fleet, name) for name in names))
    return dict(zip(names, map(len, found), strict=True))


async def pods_of(fleet: Fleet, name: str) -> list[str]:
    """The pods on a node as NAMESPACE/NAME, without those of daemon sets, static and ended ones."""
    script = f"{KUBECTL} get pods --all-namespaces --field-selector=spec.nodeName={name} --output=json"
    text = await _ask(fleet.first("kubernetes_control_plane"), script)
    items = json.loads(text)["items"] if text else []
    return [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in items if leaves(pod)]


async def count_jobs(fleet: Fleet, names: Iterable[str]) -> Mapping[str, int]:
    """The number of jobs on each of these nodes."""
    names = list(names)
    if not names:
        return {}
    script = (
        f"squeue --noheader --states=R,S,CG --nodelist={','.join(names)} --format=%N"
        ' | while read -r list; do scontrol show hostnames "$list"; done'
    )
    return Counter((await _ask(fleet.first("slurm_controller"), script)).split())


async def _ask(host: Host | None, script: str) -> str:
    """What a host answers; empty if it does not, or there is none."""
    if host is None:
        return ""
    reply = await remote.run(host.connection, script, seconds=_SECONDS)
    return reply.out if reply.code == 0 else ""


def _kubernetes(text: str) -> dict[str, ClusterNode]:
    nodes = {}
    for line in text.splitlines():
        name, ready, address, labels = (*line.split("\t"), "", "", "")[:4]
        if name:
            state = "Ready" if ready == "True" else "NotReady"
            nodes[name] = ClusterNode(name, state, ready == "True", address, _CONTROL_PLANE in labels)
    return nodes


def _slurm(text: str) -> dict[str, ClusterNode]:
    nodes = {}
    for line in text.splitlines():
        name, state, address = (*line.split("|"), "", "")[:3]
        answers = not state.startswith(("down", "unknown")) and "*" not in state
        nodes[name] = ClusterNode(name, state, answers, address)
    return nodes


def leaves(pod: Mapping[str, Any]) -> bool:
    """Whether a pod ends when its node is drained."""
    metadata = pod["metadata"]
    owners = {owner["kind"] for owner in metadata.get("ownerReferences") or []}
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not (owners & {"DaemonSet", "Node"}) and not ended
