"""The nodes of Kubernetes: what could ever run there, and how much is free now."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.jobs import kubernetes as translation
from platformctl.jobs.model import JobSpec
from platformctl.jobs.placement import Place, Taint, place_of
from platformctl.jobs.quantity import parse_quantity
from platformctl.router import fit
from platformctl.router.backend import Load, Ticket, Unavailable
from platformctl.router.kubernetes.pods import slim
from platformctl.router.kubernetes.states import requested, reserved
from platformctl.router.loop.cached import Cached
from platformctl.vocabulary import GPU

_NODES_SECONDS, _HELD_SECONDS, _SYSTEM_SECONDS = 15.0, 30.0, 60.0
# A refusal must not be based on older lists.
_REFUSAL_SECONDS = 2.0
_LIVE = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
# A label that the pods of DaemonSets have, and few others.
_REVISION = "controller-revision-hash"
# What a node has as many of as it needs, or what Kubernetes limits in another way.
_UNCOUNTED = frozenset({"pods"})
# Prefix of the taints that Kubernetes sets while a node is only temporarily unavailable.
_PASSING = "node.kubernetes.io/"
# More devices than any node has.
_UNKNOWN_DEVICES = Fraction(2**20)
_COPYING = {name: parse_quantity(text) for name, text in translation.COPY_RESOURCES.items()}


@dataclass(frozen=True)
class Node:
    """A node. open: it accepts jobs now. strict_groups: see Nodes.

    taints: those that only jobs with a toleration get over; empty for a node for all jobs.

    there: its resources if it were empty. whole: the same, including GPUs that are unhealthy or whose plugin
    does not run.
    """

    name: str
    labels: Mapping[str, str]
    there: fit.Amounts
    whole: fit.Amounts
    open: bool
    strict_groups: bool
    taints: tuple[Taint, ...] = ()


class _Listed:
    """All nodes of one list, and values computed from it once, not for each Job."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = [node for node in nodes if not node.taints]
        self._all = nodes
        self.strict_groups = bool(self.nodes) and all(node.strict_groups for node in self.nodes)

    def taking(self, place: Place) -> list[Node]:
        return [node for node in self._all if place.takes(node.labels, node.name, node.taints)]


@dataclass(frozen=True, eq=False)
class _Held:
    """What the live pods of one list request, by node."""

    by_node: Mapping[str, fit.Amounts]

    def of(self, node: Node, name: str) -> Fraction:
        return self.by_node.get(node.name, {}).get(name, Fraction(0))


@dataclass(frozen=True)
class _Shape:
    """Nodes with the same resources, and their number. left: whole without the system's own pods."""

    whole: fit.Amounts
    left: fit.Amounts
    count: int


class _Empty:
    """What the nodes of a list have for jobs when only the system's own pods run there."""

    def __init__(self, listed: _Listed, system: _Held) -> None:
        self._listed = listed
        self._system = system
        # By place; Jobs ask for only a few different ones.
        self.shapes = lru_cache(maxsize=128)(self._shapes)

    def _shapes(self, place: Place) -> list[_Shape]:
        """The different nodes that a job with this place may use."""
        counted = Counter(
            (
                frozenset(node.whole.items()),
                frozenset((name, most - self._system.of(node, name)) for name, most in node.whole.items()),
            )
            for node in self._listed.taking(place)
        )
        return [_Shape(dict(whole), dict(left), count) for (whole, left), count in counted.items()]


class Nodes:
    """All nodes, and what pods use of them; both lists are cached for a while."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._nodes = Cached(self._list, _NODES_SECONDS)
        self._held = Cached(self._held_by_pods, _HELD_SECONDS)
        self._system = Cached(self._held_by_system, _SYSTEM_SECONDS)
        # Computed from the last two lists.
        self._load = lru_cache(maxsize=1)(_load)
        self._empty = lru_cache(maxsize=1)(_Empty)

    async def strict_groups(self) -> bool:
        """Whether every node can ignore the groups of an image's /etc/group (containerd 2 and later)."""
        return (await self._nodes.get()).strict_groups

    async def empty(self) -> bool:
        """Whether there is no node for jobs at all, not even one that is down."""
        return not (await self._nodes.get()).nodes

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with each node as if it were empty; also with cordoned nodes.

        The pods of DaemonSets stay on a node, so no job can have what they request.
        """
        return await self._unfit(ticket, None) and await self._unfit(ticket, _REFUSAL_SECONDS)

    async def _unfit(self, ticket: Ticket, seconds: float | None) -> str:
        listed = await self._nodes.get(seconds)
        place = place_of(ticket.job, ticket.queue)
        system = await self._system.get(seconds)
        shapes = self._empty(listed, system).shapes(place)
        if not shapes:
            if not listed.nodes:
                return "no Kubernetes node takes jobs"
            return f"no Kubernetes node has the labels {place}"
        return _too_much(ticket.job, shapes)

    async def load(self) -> Load:
        """The load of the nodes that accept jobs now."""
        return self._load(await self._nodes.get(), await self._held.get())

    async def free(self, ticket: Ticket) -> dict[str, fit.Amounts]:
        """What is free on each node that accepts jobs and has the labels that the job and its queue need."""
        held = await self._held.get()
        return {
            node.name: {name: there - held.of(node, name) for name, there in node.there.items()}
            for node in (await self._nodes.get()).taking(place_of(ticket.job, ticket.queue))
            if node.open
        }

    async def _list(self) -> _Listed:
        nodes = []
        try:
            async for page in self._client.list_pages("/api/v1/nodes"):
                nodes += [_node(item) for item in page["items"]]
        except ApiError as error:
            raise Unavailable(f"Kubernetes does not answer: {error.message}") from error
        return _Listed(nodes)

    async def _held_by_pods(self) -> _Held:
        return _sum(await self._pods())

    async def _held_by_system(self) -> _Held:
        """One pod of each DaemonSet on each node, because there may be two during an update."""
        pods = {
            (pod["spec"]["nodeName"], owner["uid"]): pod
            for pod in await self._pods(labelSelector=_REVISION)
            for owner in pod["metadata"].get("ownerReferences") or []
            if owner["kind"] == "DaemonSet"
        }
        return _sum(pods.values())

    async def _pods(self, **selectors: str) -> list[dict[str, Any]]:
        """Pods that are on a node and have not ended."""
        pods: list[dict[str, Any]] = []
        try:
            async for page in self._client.list_pages("/api/v1/pods", fieldSelector=_LIVE, **selectors):
                pods += [{**slim(item), "status": {}} for item in page["items"]]
        except ApiError as error:
            raise Unavailable(f"Kubernetes does not answer: {error.message}") from error
        return pods


def _sum(pods: Iterable[dict[str, Any]]) -> _Held:
    by_node: dict[str, dict[str, Fraction]] = {}
    for pod in pods:
        node = by_node.setdefault(pod["spec"]["nodeName"], {})
        for name in requested(pod["spec"]):
            node[name] = node.get(name, Fraction(0)) + reserved(pod["spec"], name)
    return _Held(by_node)


def _too_much(job: JobSpec, shapes: Sequence[_Shape]) -> str:
    """What no node has for a task; or how few tasks fit on all nodes, if they start together."""
    request = wanted(job)
    lacking = fit.lack(request, [shape.left for shape in shapes])
    if lacking:
        enough = any(fit.fits(request, shape.whole) for shape in shapes)
        return f"no Kubernetes node has {lacking}" + (" beside the system's own pods" if enough else "")
    if job.array is None and job.tasks > 1:
        room = sum(fit.room(request, [shape.left]) * shape.count for shape in shapes)
        if room < job.tasks:
            return f"all Kubernetes nodes together have room for {room} of its {job.tasks} tasks"
    return ""


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
    asked = {name: amount for name, text in given.items() if (amount := parse_quantity(text))}
    if translation.copies_beside(job):
        return asked | {name: asked.get(name, Fraction(0)) + more for name, more in _COPYING.items()}
    if job.stage_in:
        return asked | {name: max(asked.get(name, Fraction(0)), least) for name, least in _COPYING.items()}
    return asked


def _node(item: dict[str, Any]) -> Node:
    allocatable = item.get("status", {}).get("allocatable") or {}
    there = {name: parse_quantity(value) for name, value in allocatable.items() if name not in _UNCOUNTED}
    capacity = item.get("status", {}).get("capacity") or {}
    # The capacity is 0 if a plugin has not run for minutes, or does not run yet after a reboot. So the number
    # of devices is not known.
    devices = {
        name: parse_quantity(value) or _UNKNOWN_DEVICES for name, value in capacity.items() if "/" in name
    }
    whole = {**there, **{name: max(most, there.get(name, most)) for name, most in devices.items()}}
    closing = list(_closing(item))
    passing = [taint for taint in closing if str(taint["key"]).startswith(_PASSING)]
    shut = bool((item.get("spec") or {}).get("unschedulable")) or bool(passing)
    taints = tuple(
        Taint(str(taint["key"]), str(taint.get("value") or ""), str(taint["effect"]))
        for taint in closing
        if taint not in passing
    )
    features = item.get("status", {}).get("features") or {}
    strict = features.get("supplementalGroupsPolicy") is True
    return Node(
        item["metadata"]["name"], item["metadata"].get("labels") or {}, there, whole, not shut, strict, taints
    )


def _closing(item: dict[str, Any]) -> Iterable[dict[str, Any]]:
    taints = (item.get("spec") or {}).get("taints") or []
    return (taint for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute"))
