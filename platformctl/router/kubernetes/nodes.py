"""The nodes of Kubernetes: what could ever run there, and how much is free now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.jobs import kubernetes as translation
from platformctl.jobs.model import JobSpec
from platformctl.jobs.quantity import parse_quantity
from platformctl.router import fit
from platformctl.router.backend import Load, Ticket, Unavailable
from platformctl.router.kubernetes.states import reserved
from platformctl.router.loop.cached import Cached
from platformctl.vocabulary import GPU

_NODES_SECONDS, _HELD_SECONDS = 15.0, 30.0
_COUNTED = ("cpu", "memory", GPU)
# Prefix of the taints that Kubernetes sets while a node is only temporarily unavailable.
_PASSING = "node.kubernetes.io/"
_COPYING = {name: parse_quantity(text) for name, text in translation.COPY_RESOURCES.items()}

type Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Node:
    """A node for jobs. open: it accepts jobs now. strict_groups: see Nodes."""

    name: str
    labels: Mapping[str, str]
    there: fit.Amounts
    open: bool
    strict_groups: bool


class _Listed:
    """All nodes of one list, and values computed from it once, not for each Job."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.strict_groups = bool(nodes) and all(node.strict_groups for node in nodes)
        # By labels; Jobs ask for only a few different ones.
        self.shapes = lru_cache(maxsize=128)(self._shapes)

    def having(self, labels: Labels) -> list[Node]:
        return [node for node in self.nodes if labels <= node.labels.items()]

    def _shapes(self, labels: Labels) -> list[fit.Amounts]:
        """The different nodes that have the labels."""
        return fit.shapes(node.there for node in self.having(labels))


@dataclass(frozen=True, eq=False)
class _Held:
    """What live pods request, by node, in one list of them."""

    by_node: Mapping[str, fit.Amounts]

    def of(self, node: Node, name: str) -> Fraction:
        return self.by_node.get(node.name, {}).get(name, Fraction(0))


class Nodes:
    """All nodes, and what pods use of them; both lists are cached for a while."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._nodes = Cached(self._list, _NODES_SECONDS)
        self._held = Cached(self._held_by_pods, _HELD_SECONDS)
        # Computed from the last two lists.
        self._load = lru_cache(maxsize=1)(_load)

    async def strict_groups(self) -> bool:
        """Whether every node can ignore the groups of an image's /etc/group (containerd 2 and later)."""
        return (await self._nodes.get()).strict_groups

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with each node, as if the node were empty; also with cordoned nodes."""
        listed = await self._nodes.get()
        if not listed.nodes:
            return "no Kubernetes node takes jobs"
        asked = selector(ticket)
        shapes = listed.shapes(frozenset(asked.items()))
        if not shapes:
            labels = ", ".join(f"{key}={value}" for key, value in asked.items())
            return f"no Kubernetes node has the labels {labels}"
        lacking = fit.lack(wanted(ticket.job), shapes)
        return f"no Kubernetes node has {lacking}" if lacking else ""

    async def load(self) -> Load:
        """The load of the nodes that accept jobs now."""
        return self._load(await self._nodes.get(), await self._held.get())

    async def free(self, ticket: Ticket) -> dict[str, fit.Amounts]:
        """What is free on each node that accepts jobs and has the labels that the job and its queue need."""
        held = await self._held.get()
        return {
            node.name: {name: there - held.of(node, name) for name, there in node.there.items()}
            for node in (await self._nodes.get()).having(frozenset(selector(ticket).items()))
            if node.open
        }

    async def _list(self) -> _Listed:
        found = []
        try:
            async for page in self._client.list_pages("/api/v1/nodes"):
                found += [_node(item) for item in page["items"] if _for_jobs(item)]
        except ApiError as error:
            raise Unavailable(f"Kubernetes does not answer: {error.message}") from error
        return _Listed(found)

    async def _held_by_pods(self) -> _Held:
        found: dict[str, dict[str, Fraction]] = {}
        live = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
        try:
            async for page in self._client.list_pages("/api/v1/pods", fieldSelector=live):
                for pod in page["items"]:
                    node = found.setdefault(pod["spec"]["nodeName"], {})
                    for name in _COUNTED:
                        node[name] = node.get(name, Fraction(0)) + reserved(pod["spec"], name)
        except ApiError as error:
            raise Unavailable(f"Kubernetes does not answer: {error.message}") from error
        return _Held(found)


def _load(listed: _Listed, held: _Held) -> Load:
    nodes = [node for node in listed.nodes if node.open]

    def free(name: str) -> float | None:
        there = sum((node.there.get(name, Fraction(0)) for node in nodes), Fraction(0))
        used = sum((held.of(node, name) for node in nodes), Fraction(0))
        return float(max(Fraction(0), 1 - used / there)) if there else None

    return Load(cpus=free("cpu") or 0.0, gpus=free(GPU))


def wanted(job: JobSpec) -> fit.Amounts:
    """What a pod of a job needs of a node: what the job asks for, and what the containers that copy need.

    Kubernetes places a pod by its requests; if there is only a limit, the request is the same.
    """
    given = {**job.resources.limits, **job.resources.requests}
    asked = {name: parse_quantity(text) for name, text in given.items()}
    if translation.copies_beside(job):
        return asked | {name: asked.get(name, Fraction(0)) + more for name, more in _COPYING.items()}
    if job.stage_in:
        return asked | {name: max(asked.get(name, Fraction(0)), least) for name, least in _COPYING.items()}
    return asked


def selector(ticket: Ticket) -> dict[str, str]:
    """The labels that a node must have."""
    queue = dict(ticket.queue.node_selector) if ticket.queue else {}
    return {**ticket.job.pod.node_selector, **queue}


def _node(item: dict[str, Any]) -> Node:
    allocatable = item.get("status", {}).get("allocatable") or {}
    there = {name: parse_quantity(value) for name, value in allocatable.items() if name in _COUNTED}
    shut = bool((item.get("spec") or {}).get("unschedulable")) or any(True for _ in _closing(item))
    features = item.get("status", {}).get("features") or {}
    strict = features.get("supplementalGroupsPolicy") is True
    return Node(item["metadata"]["name"], item["metadata"].get("labels") or {}, there, not shut, strict)


def _for_jobs(item: dict[str, Any]) -> bool:
    """Whether a node accepts jobs, apart from temporary problems."""
    return all(str(taint["key"]).startswith(_PASSING) for taint in _closing(item))


def _closing(item: dict[str, Any]) -> Iterable[dict[str, Any]]:
    taints = (item.get("spec") or {}).get("taints") or []
    return (taint for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute"))
