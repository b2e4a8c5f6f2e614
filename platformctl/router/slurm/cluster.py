"""A cache of Slurm's nodes and partitions; from it, which jobs could ever run, and the load."""

import re
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any

from platformctl.clients.slurmrestd import SlurmError, SlurmRestClient, number
from platformctl.jobs.model import JobSpec
from platformctl.jobs.slurm_block import of_a_node
from platformctl.router import fit
from platformctl.router.backend import Load, Ticket, Unavailable
from platformctl.router.loop.cached import Cached
from platformctl.vocabulary import GPU

_SECONDS = 15.0
# What a job is refused for must not rest on an older look.
_REFUSAL_SECONDS = 2.0
_GRES = re.compile(r"(?:^|,)(?P<name>[^:,()]+)(?::(?P<type>[^:,()]+))?:(?P<count>\d+)")
_OUT = frozenset({"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FUTURE", "NOT_RESPONDING", "UNKNOWN"})


class _Nodes:
    """Some nodes as slurmrestd lists them, and values computed from the list once, not for each Job."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records

    @cached_property
    def by_partition(self) -> dict[str, "_Nodes"]:
        by_name: dict[str, list[dict[str, Any]]] = {}
        for node in self.records:
            for name in _partitions(node):
                by_name.setdefault(name, []).append(node)
        return {name: _Nodes(nodes) for name, nodes in by_name.items()}

    @cached_property
    def shapes(self) -> list[fit.Amounts]:
        return fit.shapes(_amounts(node) for node in self.records)

    @cached_property
    def load(self) -> Load:
        """The load of the nodes that accept jobs."""
        nodes = [node for node in self.records if in_service(node)]
        cpus, used = sum(_cpus(node) for node in nodes), sum(node["alloc_cpus"] for node in nodes)
        gpus, lent = (sum(_devices(node, kind) for node in nodes) for kind in ("gres", "gres_used"))
        return Load(cpus=_free(used, cpus), gpus=_free(lent, gpus) if gpus else None)


class Cluster:
    """Nodes and partitions as slurmrestd lists them."""

    def __init__(self, client: SlurmRestClient, reader: str) -> None:
        async def nodes() -> _Nodes:
            return _Nodes(await client.nodes(reader))

        self._nodes = Cached(nodes, _SECONDS)
        self._partitions = Cached(lambda: client.partitions(reader), _SECONDS)

    async def nodes(self, partition: str) -> list[dict[str, Any]]:
        """Records of a partition's nodes."""
        return (await self._of(partition)).records

    async def _of(self, partition: str | None, seconds: float | None = None) -> _Nodes:
        nodes = await self._nodes.get(seconds)
        return nodes.by_partition.get(partition, _Nodes([])) if partition else nodes

    async def _partition(self, name: str, seconds: float | None) -> dict[str, Any] | None:
        partitions = await self._partitions.get(seconds)
        return next((partition for partition in partitions if partition["name"] == name), None)

    async def load(self) -> Load:
        """The load of the nodes that accept jobs. Raises Unavailable."""
        try:
            return (await self._nodes.get()).load
        except SlurmError as error:
            raise Unavailable(f"Slurm does not answer: {error.message}") from error

    async def unfit(self, ticket: Ticket) -> str:
        """Why no partition or node could ever run the job; empty if one could. Raises Unavailable."""
        return await self._unfit(ticket, None) and await self._unfit(ticket, _REFUSAL_SECONDS)

    async def _unfit(self, ticket: Ticket, seconds: float | None) -> str:
        job = ticket.job
        name = ticket.queue.partition if ticket.queue else job.queue
        try:
            partition = await self._partition(name, seconds) if name else None
            if name and partition is None:
                there = ", ".join(sorted(record["name"] for record in await self._partitions.get()))
                return f"Slurm has no partition {name}; it has {there}"
            nodes = await self._of(name, seconds)
        except SlurmError as error:
            raise Unavailable(f"Slurm does not answer: {error.message}") from error
        where = f"the partition {name}" if name else "Slurm"
        return _too_much(job, partition, where) or _no_node(job, nodes, where)


def in_service(node: dict[str, Any]) -> bool:
    """Whether a node accepts jobs now."""
    state = node.get("state") or []
    return _OUT.isdisjoint([state] if isinstance(state, str) else state)


def _too_much(job: JobSpec, partition: dict[str, Any] | None, where: str) -> str:
    """Which of a partition's limits the job exceeds."""
    limits = (partition or {}).get("maximums") or {}
    minutes, nodes = number(limits.get("time")), number(limits.get("nodes"))
    if minutes and job.walltime and job.walltime > 60 * minutes:
        return f"{where} allows a wall time of at most {timedelta(minutes=minutes)}"
    if nodes and (job.nodes or 1) > nodes:
        return f"{where} allows at most {nodes} nodes for one job"
    return ""


def _no_node(job: JobSpec, nodes: _Nodes, where: str) -> str:
    if len(nodes.records) < (job.nodes or 1):
        return f"{where} has fewer nodes ({len(nodes.records)}) than it asks for ({job.nodes or 1})"
    # Without a number of nodes, Slurm spreads the tasks over as many nodes as they need.
    tasks = job.tasks_per_node or (-(-job.tasks // job.nodes) if job.nodes else 1)
    lacking = fit.lack(_wanted(job, tasks), nodes.shapes)
    return f"no node of {where} has {lacking}" if lacking else ""


def _wanted(job: JobSpec, tasks: int) -> dict[str, Fraction]:
    """What a node must have for so many tasks. Amounts for each node count as they are."""
    memory, gpus = of_a_node(job.slurm)
    of_node = {"memory": Fraction(memory), GPU: Fraction(gpus)}
    return (
        fit.wanted(job, tasks)
        | {f"gres/{name}": Fraction(count * tasks) for name, count in job.on_slurm.devices.items()}
        | {f"gres/{name}:{kind}": Fraction(1) for name, kind in job.on_slurm.types.items()}
        | {name: amount for name, amount in of_node.items() if amount}
    )


def _amounts(node: dict[str, Any]) -> dict[str, Fraction]:
    """What jobs can have of an empty node; its devices also by type. A part may be Kubernetes'."""
    kept = number(node.get("specialized_memory")) or 0
    amounts = {
        "cpu": Fraction(_cpus(node)),
        "memory": Fraction((node["real_memory"] - kept) * 2**20),
        GPU: Fraction(_devices(node, "gres")),
    }
    for match in _GRES.finditer(str(node.get("gres") or "")):
        for name in filter(None, (match["name"], match["type"] and f"{match['name']}:{match['type']}")):
            here = f"gres/{name}"
            amounts[here] = amounts.get(here, Fraction(0)) + int(match["count"])
    return amounts


def _cpus(node: dict[str, Any]) -> int:
    """The CPUs that jobs can have. Older dialects do not say which are kept from them."""
    return number(node.get("effective_cpus")) or int(node["cpus"])


def _devices(node: dict[str, Any], kind: str) -> int:
    found = _GRES.finditer(str(node.get(kind) or ""))
    return sum(int(match["count"]) for match in found if match["name"] == "gpu")


def _partitions(node: dict[str, Any]) -> list[str]:
    names = node.get("partitions") or []
    return names.split(",") if isinstance(names, str) else list(names)


def _free(used: int, there: int) -> float:
    return max(0.0, 1 - used / there) if there else 0.0
