"""What users run on the site now: jobs of Slurm, and pods with the budgets that protect them.

The first controller of each scheduler is asked once. What one does not answer is unknown, and never taken
for nobody's work.
"""

import asyncio
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from platformctl.engine import releases, remote
from platformctl.engine.disturbances import Workload
from platformctl.engine.fleet import Fleet, Host
from platformctl.jobs.quantity import parse_quantity
from platformctl.jobs.selectors import selects

_SECONDS = 20
# A job that asks for several partitions has them all, between commas.
_LISTED = "squeue --all --noheader --states=PD,R,S,CG,CF,SO,ST --format='%i|%u|%P|%T|%L|%N|%v'"
# The generic resources of jobs, in lines of fixed width; only of the jobs that have some.
_HOLDING = (
    "squeue --all --noheader --states=R,S,CG,CF,SO,ST --Format=JobArrayID:64,tres-alloc:512"
    " | sed -n '/gres\\//p'"
)
_KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s get"
_MARK = "-- further --"
_JOBS = f"{_LISTED} && echo {_MARK} && {_HOLDING}"
_GRES = re.compile(r"gres/([A-Za-z0-9_-]+)")
_POD = (
    "{.metadata.namespace}|{.metadata.name}|{.spec.nodeName}|{.metadata.creationTimestamp}"
    "|{.metadata.ownerReferences[*].kind}|{.metadata.ownerReferences[*].name}|{.metadata.labels}"
    "|{.spec.containers[*].resources}|{.spec.initContainers[*].resources}"
)
_BUDGET = "{.metadata.namespace}|{.metadata.name}|{.status.disruptionsAllowed}|{.spec.selector}"
_NODE = "{.metadata.name}|{.status.capacity}|{.status.allocatable}"


def _listed(kind: str, line: str, options: str = "") -> str:
    return f"{_KUBECTL} {kind} {options} --output 'jsonpath={{range .items[*]}}{line}{{\"\\n\"}}{{end}}'"


_RUNS = "--all-namespaces --field-selector=status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
_CLUSTER = f" && echo {_MARK} && ".join(
    [
        _listed("pods", _POD, _RUNS),
        _listed("poddisruptionbudgets", _BUDGET, "--all-namespaces"),
        _listed("nodes", _NODE),
    ]
)
_OWN_NAMESPACES = ("kube-system", "kube-flannel", "local-path-storage", *releases.NAMESPACES)
_BRACKETS = re.compile(r"(?P<head>[^\[\]]*)\[(?P<inner>[0-9,-]+)\](?P<tail>.*)")


@dataclass(frozen=True)
class Job:
    """A job of Slurm that waits or runs. left: the time that it has left, as Slurm writes it.

    partitions: several if it waits for the first that is free. nodes: empty while it waits. reservation:
    empty if it uses none. devices: the kinds of generic resources that it holds.
    """

    id: str
    user: str
    partitions: tuple[str, ...]
    state: str
    left: str
    nodes: tuple[str, ...] = ()
    reservation: str = ""
    devices: frozenset[str] = frozenset()

    @property
    def waits(self) -> bool:
        """Whether it has not started."""
        return self.state == "PENDING"

    def __str__(self) -> str:
        where = (
            f"on {', '.join(self.nodes[:3])}{' ...' if len(self.nodes) > 3 else ''}, " if self.nodes else ""
        )
        what = "waits" if self.waits else f"at most {self.left} left"
        return f"job {self.id} of {self.user} (partition {','.join(self.partitions)}, {where}{what})"


@dataclass(frozen=True)
class Budget:
    """A disruption budget. allowed: how many of its pods may be evicted now."""

    name: str
    allowed: int


@dataclass(frozen=True)
class Pod:
    """A pod on a node.

    controller: kind and name of what would start another one; empty for a bare pod. requests: of resources,
    by name, as the scheduler counts them. users: whether it is not one of the site's own services.
    """

    namespace: str
    name: str
    node: str
    created: datetime
    controller: str = ""
    budgets: tuple[Budget, ...] = ()
    requests: Mapping[str, Fraction] = field(default_factory=dict, hash=False)
    users: bool = True

    def __str__(self) -> str:
        budgets = "".join(
            f", budget {budget.name} allows {budget.allowed} evictions now" for budget in self.budgets
        )
        owner = self.controller or "bare: nothing starts it again"
        return f"pod {self.namespace}/{self.name} (on {self.node}, {owner}{budgets})"


@dataclass(frozen=True)
class Node:
    """What a node of Kubernetes has, and what of it pods may ask for, by resource."""

    capacity: Mapping[str, Fraction]
    allocatable: Mapping[str, Fraction]


@dataclass(frozen=True)
class Work:
    """What runs. unknown: why a scheduler did not say, by what it was asked for; there is nothing of it then.

    nodes: of Kubernetes.
    """

    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    unknown: Mapping[Workload, str] = field(default_factory=dict)

    @cached_property
    def jobs_on(self) -> Mapping[str, tuple[Job, ...]]:
        """The jobs by node."""
        return _by_host((node, job) for job in self.jobs for node in job.nodes)

    @cached_property
    def pods_on(self) -> Mapping[str, tuple[Pod, ...]]:
        """The pods by node, those of the site's own services too."""
        return _by_host((pod.node, pod) for pod in self.pods)

    def running(self, workload: Workload, host: str = "") -> int:
        """The number of running jobs, or of pods of users, on a host or on all."""
        if workload is Workload.JOBS:
            return len(self.jobs_on.get(host, ())) if host else sum(not job.waits for job in self.jobs)
        return sum(pod.users for pod in (self.pods_on.get(host, ()) if host else self.pods))


def _by_host[Item](pairs: Iterable[tuple[str, Item]]) -> dict[str, tuple[Item, ...]]:
    found: dict[str, list[Item]] = {}
    for host, item in pairs:
        found.setdefault(host, []).append(item)
    return {host: tuple(items) for host, items in found.items()}


async def ask(fleet: Fleet, wanted: Collection[Workload]) -> Work:
    """Ask the schedulers of these workloads."""
    jobs, cluster = await asyncio.gather(
        _ask(fleet.first("slurm_controller") if Workload.JOBS in wanted else None, _JOBS),
        _ask(fleet.first("kubernetes_control_plane") if Workload.PODS in wanted else None, _CLUSTER),
    )
    return read(jobs, cluster)


def read(jobs: remote.Reply | None, cluster: remote.Reply | None) -> Work:
    """What the schedulers answered; None: one was not asked, or the site has none."""
    unknown: dict[Workload, str] = {}
    found_jobs: tuple[Job, ...] = ()
    found_pods: tuple[Pod, ...] = ()
    nodes: Mapping[str, Node] = {}
    try:
        found_jobs = tuple(_jobs(_said(jobs)))
    except ValueError as error:
        unknown[Workload.JOBS] = f"Slurm does not say which jobs there are: {error}"
    try:
        found_pods, nodes = _cluster(_said(cluster))
    except (ValueError, TypeError, KeyError) as error:
        unknown[Workload.PODS] = f"Kubernetes does not say which pods there are: {error}"
    return Work(found_jobs, found_pods, nodes, unknown)


async def _ask(host: Host | None, script: str) -> remote.Reply | None:
    return await remote.run(host.connection, script, seconds=_SECONDS) if host else None


def _said(reply: remote.Reply | None) -> str | None:
    """The answer. ValueError: there is none, and why."""
    if reply is None:
        return None
    if reply.code != 0:
        raise ValueError(reply.refusal if reply.unreachable else reply.message)
    return reply.out


def _jobs(text: str | None) -> Iterator[Job]:
    if text is None:
        return
    listed, mark, holding = text.partition(f"{_MARK}\n")
    if not mark:
        raise ValueError(f"squeue printed {text[:80]!r}")
    devices = {line.split()[0]: frozenset(_GRES.findall(line)) for line in holding.splitlines()}
    for line in listed.splitlines():
        words = line.split("|")
        if len(words) != 7:
            raise ValueError(f"squeue printed {line[:80]!r}")
        number, user, partitions, state, left, nodes, reservation = words
        yield Job(
            number,
            user,
            tuple(partitions.split(",")),
            state,
            left,
            _names(nodes),
            "" if reservation in ("(null)", "N/A") else reservation,
            devices.get(number, frozenset()),
        )


@lru_cache(maxsize=4096)
def _names(text: str) -> tuple[str, ...]:
    return tuple(expand(text))


def expand(text: str) -> Iterator[str]:
    """The names in a list of hosts as Slurm writes it: `n[1-3,07],ctl1`."""
    for part in _parts(text):
        match = _BRACKETS.fullmatch(part)
        if match is None:
            yield part
            continue
        tails = list(expand(match["tail"])) or [""]
        for span in match["inner"].split(","):
            first, _, last = span.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield from (f"{match['head']}{number:0{len(first)}}{tail}" for tail in tails)


def _parts(text: str) -> Iterator[str]:
    """The parts between commas that are outside of brackets."""
    yield from filter(None, re.split(r",(?![^\[]*\])", text))


def _cluster(text: str | None) -> tuple[tuple[Pod, ...], dict[str, Node]]:
    if text is None:
        return (), {}
    parts = [part.strip("\n").splitlines() for part in text.split(f"{_MARK}\n")]
    if len(parts) != 3:
        raise ValueError(f"kubectl printed {text[:80]!r}")
    lines, budget_lines, node_lines = parts
    budgets = [_budget(line) for line in budget_lines]
    return tuple(_pod(line, budgets) for line in lines), dict(_node(line) for line in node_lines)


def _budget(line: str) -> tuple[str, object, Budget]:
    namespace, name, allowed, selector = line.split("|", 3)
    return namespace, json.loads(selector or "null"), Budget(name, int(allowed or 0))


def _pod(line: str, known: list[tuple[str, object, Budget]]) -> Pod:
    namespace, name, node, created, kinds, owners, labels, containers, first = line.split("|")
    marks = json.loads(labels or "{}")
    budgets = tuple(
        budget
        for where, selector, budget in known
        if where == namespace and (selector == {} or selects(selector, marks))
    )
    return Pod(
        namespace,
        name,
        node,
        datetime.fromisoformat(created),
        " ".join(filter(None, (kinds, owners))),
        budgets,
        _requests(containers, first),
        namespace not in _OWN_NAMESPACES,
    )


def _node(line: str) -> tuple[str, Node]:
    name, capacity, allocatable = line.split("|")
    return name, Node(_amounts(json.loads(capacity)), _amounts(json.loads(allocatable)))


@lru_cache(maxsize=4096)
def _requests(containers: str, first: str) -> Mapping[str, Fraction]:
    """What a pod asks for: the sum of its containers, or the largest of those that run before them."""
    total: dict[str, Fraction] = {}
    for resources in _documents(containers):
        for name, amount in _amounts(resources.get("requests") or {}).items():
            total[name] = total.get(name, Fraction(0)) + amount
    for resources in _documents(first):
        for name, amount in _amounts(resources.get("requests") or {}).items():
            total[name] = max(total.get(name, Fraction(0)), amount)
    return total


def _amounts(found: Mapping[str, str]) -> dict[str, Fraction]:
    return {name: parse_quantity(text) for name, text in found.items()}


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    """The JSON objects that follow one another, with blanks between them."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()
