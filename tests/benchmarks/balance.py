"""Waiting times of one day's work with and without nodes that change owner by themselves.

A day is a file with a line for each piece of work: `side;submitted;nodes;seconds` (seconds of the day; nodes
may be a part of one). PLATFORMCTL_DAY names a recorded one; without it, a day is made from a fixed seed. Only
the schedulers and the clock are played, each as a queue that starts what fits; decisions are the product's.
"""

import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, quantiles

from platformctl.engine.balance.decide import SIDES, Bounds, Decision, Demand, Movable, decide
from platformctl.engine.balance.memory import Memory
from tests.benchmarks.figures import Figures

NAME = "balance"
ABOUT = (
    "One made day's work on 16 nodes, 10 of Slurm and 6 of Kubernetes, played in rounds of a minute: jobs of "
    "up to 8 nodes, most of them submitted in the afternoon, and services and notebooks in office hours. "
    "Once the nodes stay, once idle ones go to the side whose work waits. A move takes a minute."
)
RUNS = 1
_OWNED = {"slurm": 10, "kubernetes": 6}
_BOUNDS = Bounds({"slurm": 2, "kubernetes": 2}, waits=300, idle=600, stays=1800, at_once=1)
_ROUND, _DAY, _GAP = 60, 86400, 600
_LAST = 4 * _DAY
_SEED = 20261129


@dataclass(frozen=True)
class Work:
    """A job or pod. nodes: whole ones, or a part of one."""

    side: str
    submitted: int
    nodes: float
    seconds: int


@dataclass
class Node:
    """A node: the ends of the work on it, with the part of it that each takes."""

    name: str
    owner: str
    ends: list[tuple[float, float]] = field(default_factory=list)
    ready: float = 0

    def free(self, now: float) -> float:
        """The part that is free."""
        self.ends = [(end, part) for end, part in self.ends if end > now]
        return 0 if now < self.ready else 1 - sum(part for _, part in self.ends)


def measure(figures: Figures) -> None:
    """Play the day twice."""
    given = os.environ.get("PLATFORMCTL_DAY")
    day = list(_read(Path(given)) if given else made(random.Random(_SEED)))
    fixed, _ = play(day, None)
    elastic, moves = play(day, _BOUNDS)
    for side in SIDES:
        before, after = fixed[side], elastic[side]
        for name, value in (("mean", fmean), ("95th percentile of", _95)):
            figures.add(f"{side}: {name} waiting, nodes stay", value(before) / 60, "minutes")
            figures.add(f"{side}: {name} waiting, nodes move", value(after) / 60, "minutes")
    every = [list(waits["slurm"]) + list(waits["kubernetes"]) for waits in (fixed, elastic)]
    figures.add("mean waiting, with moves to without", fmean(every[1]) / fmean(every[0]), "", at_most=0.8)
    figures.add("moves in the day", moves, "moves", at_most=100)


def play(day: Sequence[Work], bounds: Bounds | None) -> tuple[Mapping[str, list[float]], int]:
    """The seconds that each piece of work waited, by side, and the number of moves. None: nodes stay."""
    nodes = [Node(f"{side[0]}{number}", side) for side in SIDES for number in range(_OWNED[side])]
    coming, queue = sorted(day, key=lambda work: work.submitted), list[Work]()
    waits: dict[str, list[float]] = {side: [] for side in SIDES}
    memory, moves = Memory(), 0
    for now in range(0, _LAST, _ROUND):
        while coming and coming[0].submitted <= now:
            queue.append(coming.pop(0))
        for work in [work for work in queue if _start(work, nodes, now)]:
            queue.remove(work)
            waits[work.side].append(now - work.submitted)
        if bounds is not None:
            memory, decision = _decided(nodes, queue, memory, now, bounds)
            for side, names in decision.moves.items():
                for node in nodes:
                    if node.name in names:
                        node.owner, node.ready = side, now + _ROUND
                moves += len(names)
                memory = memory.with_moved(names, now)
        if not coming and not queue:
            return waits, moves
    raise AssertionError(f"{len(queue)} pieces of work never started")


def _start(work: Work, nodes: Sequence[Node], now: float) -> bool:
    count, part = (math.ceil(work.nodes), 1.0) if work.nodes >= 1 else (1, work.nodes)
    found = [node for node in nodes if node.owner == work.side and node.free(now) >= part - 1e-9][:count]
    if len(found) < count:
        return False
    for node in found:
        node.ends.append((now + work.seconds, part))
    return True


def _decided(
    nodes: Sequence[Node], queue: Sequence[Work], memory: Memory, now: float, bounds: Bounds
) -> tuple[Memory, Decision]:
    idle = {node.name for node in nodes if not node.free(now) < 1}
    short = {}
    for side in SIDES:
        free = sum(node.name in idle for node in nodes if node.owner == side)
        short[side] = max(0, math.ceil(sum(work.nodes for work in queue if work.side == side)) - free)
    waiting = [side for side in SIDES if any(work.side == side for work in queue)]
    memory = memory.seen(now, idle, waiting, _GAP)
    demands = {side: Demand(short[side], now - memory.waits.get(side, now)) for side in SIDES}
    movable = [
        Movable(
            node.name,
            node.owner,
            now - memory.idle[node.name] if node.name in memory.idle else None,
            now - memory.moved[node.name] if node.name in memory.moved else None,
        )
        for node in nodes
    ]
    serving = {side: sum(node.owner == side for node in nodes) for side in SIDES}
    return memory, decide(movable, demands, serving, bounds)


def made(chance: random.Random) -> Iterator[Work]:
    """A day as a site has it: notebooks and services by day, jobs of many sizes until late."""
    for _ in range(140):
        start = chance.gauss(11.5, 2.2) * 3600
        seconds = chance.lognormvariate(math.log(3600), 0.9)
        yield Work("kubernetes", _within(start), chance.choice((0.125, 0.25, 0.25, 0.5)), int(seconds))
    for _ in range(60):
        start = chance.gauss(16.5, 3.5) * 3600
        nodes = chance.choice((0.5, 1, 1, 1, 2, 2, 4, 8))
        yield Work("slurm", _within(start), nodes, int(chance.lognormvariate(math.log(2400), 1.0)))


def _within(second: float) -> int:
    return int(min(max(second, 0), _DAY - 1))


def _read(path: Path) -> Iterator[Work]:
    for line in path.read_text().splitlines():
        side, submitted, nodes, seconds = line.split(";")
        yield Work(side, int(submitted), float(nodes), int(seconds))


def _95(values: Sequence[float]) -> float:
    return quantiles(values, n=20)[-1]
