"""Whether any node could ever hold a request, and in plain words what all nodes lack."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from platformctl.jobs.model import JobSpec
from platformctl.vocabulary import GPU

type Amounts = Mapping[str, Fraction]
"""cpu in cores, memory in bytes, devices by their name."""


def wanted(job: JobSpec, tasks: int = 1) -> dict[str, Fraction]:
    """What this many tasks of a job ask for, without amounts that the back end's defaults decide."""
    resources = job.resources
    amounts = {
        "cpu": Fraction(resources.millicores, 1000),
        "memory": Fraction(resources.memory),
        GPU: Fraction(resources.gpus),
    }
    return {name: amount * tasks for name, amount in amounts.items() if amount}


def shapes(nodes: Iterable[Amounts]) -> list[Amounts]:
    """The distinct kinds of nodes: a cluster of a thousand nodes has only a few."""
    return list({frozenset(node.items()): node for node in nodes}.values())


def fits(request: Amounts, node: Amounts) -> bool:
    """Whether the node has as much of everything."""
    return all(amount <= node.get(name, 0) for name, amount in request.items())


def lack(
    request: Amounts, nodes: Sequence[Amounts], most: str = "the most is", none: str = "none has any"
) -> str:
    """What all nodes lack; empty if one node has everything. most, none: words for the best amount and 0.

    `nvidia.com/gpu 1 (none has any), cpu 4 (the most is 2) and memory 16Gi (the most is 7.6Gi)`
    """
    if not request or any(fits(request, node) for node in nodes):
        return ""
    best = {
        name: max((node.get(name, Fraction(0)) for node in nodes), default=Fraction(0)) for name in request
    }
    short = sorted((name for name in request if request[name] > best[name]), key=lambda name: best[name] > 0)
    if not short:
        return f"{_and([_amount(name, amount) for name, amount in request.items()])} together"
    whats = [f"{most} {_number(name, best[name])}" if best[name] > 0 else none for name in short]
    return _and([f"{_amount(name, request[name])} ({what})" for name, what in zip(short, whats, strict=True)])


def room(request: Amounts, nodes: Sequence[Amounts]) -> int:
    """How many tasks with this request fit on the nodes at the same time."""
    if not request:
        return 10**9 if nodes else 0
    return sum(
        max(0, min(int(node.get(name, Fraction(0)) // amount) for name, amount in request.items()))
        for node in nodes
    )


def _amount(name: str, amount: Fraction) -> str:
    return f"{name} {_number(name, amount)}"


def _number(name: str, amount: Fraction) -> str:
    if name != "memory":
        return f"{float(amount):.3g}" if amount.denominator != 1 else str(amount.numerator)
    for unit, size in (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20)):
        if amount >= size:
            return f"{float(amount / size):.4g}{unit}"
    return str(int(amount))


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def shares(request: Amounts, node: Amounts) -> Fraction:
    """Which part of a request a node has, from 0 to 1: that of the resource it lacks most."""
    return min((min(Fraction(1), node.get(name, Fraction(0)) / amount) for name, amount in request.items()))
