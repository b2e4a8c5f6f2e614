"""Which nodes change owner now, and why the others do not. Pure: no host and no scheduler is asked here.

All times are seconds. A side is a scheduler: `slurm` or `kubernetes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from platformctl.engine.planning.ownership import other

SIDES = ("slurm", "kubernetes")
CALLED = {"kubernetes": "Kubernetes", "slurm": "Slurm"}


@dataclass(frozen=True)
class Bounds:
    """What the site allows.

    at_least: by side, how many nodes in service it keeps. waits: how long work has waited before a node goes
    to it. idle: how long a node was idle before it goes. stays: how long a node stays with its new owner.
    at_once: how many nodes move at a time.
    """

    at_least: Mapping[str, int]
    waits: float
    idle: float
    stays: float
    at_once: int


@dataclass(frozen=True)
class Movable:
    """A node that can move. idle: since when it has no work; None if it has some.

    moved: how long ago it last changed owner; None if it never did. fixed: why it cannot move now, in words.
    """

    name: str
    owner: str
    idle: float | None
    moved: float | None = None
    fixed: str = ""


@dataclass(frozen=True)
class Demand:
    """What waits for nodes on one side: how many nodes it would fill, for how long some of it has waited."""

    nodes: int = 0
    waited: float = 0
    words: str = ""


@dataclass(frozen=True)
class Decision:
    """moves: the names of nodes by the side that gets them. words: what was decided and why, a line each."""

    moves: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...]


def decide(
    nodes: Sequence[Movable], demands: Mapping[str, Demand], serving: Mapping[str, int], bounds: Bounds
) -> Decision:
    """Give idle nodes to the side whose work waits.

    serving: by side, its nodes in service, also those that cannot move. At most one side gets nodes, and
    none does while both have work that waits: then a node would only exchange one queue for the other.
    """
    waiting = [side for side in SIDES if demands[side].nodes]
    if not waiting:
        return Decision({}, ("no work waits for nodes",))
    if len(waiting) == len(SIDES):
        both = "; ".join(f"{CALLED[side]}: {demands[side].words}" for side in SIDES)
        return Decision({}, (f"work waits on both sides, so no node moves ({both})",))
    (taker,) = waiting
    return _give(nodes, taker, demands[taker], serving[other(taker)], bounds)


def _give(nodes: Sequence[Movable], taker: str, demand: Demand, serving: int, bounds: Bounds) -> Decision:
    giver = other(taker)
    why = f"{demand.words} for {_minutes(demand.waited)} in {CALLED[taker]}"
    if demand.waited < bounds.waits:
        return Decision({}, (f"{why}; nodes move after {_minutes(bounds.waits)}",))
    kept = {node.name: _kept(node, bounds) for node in nodes if node.owner == giver}
    ready = sorted((node for node in nodes if kept.get(node.name) == ""), key=_longest_idle)
    spare = max(0, serving - bounds.at_least[giver])
    chosen = ready[: min(bounds.at_once, demand.nodes, spare)]
    words = [
        f"{node.name} goes to {CALLED[taker]}: {why}, and it was idle in {CALLED[giver]} for "
        f"{_minutes(node.idle or 0)}"
        for node in chosen
    ]
    if len(chosen) < demand.nodes:
        words += [f"{name} stays with {CALLED[giver]}: {reason}" for name, reason in kept.items() if reason]
        left = [node.name for node in ready[len(chosen) :]]
        if left and spare == len(chosen):
            words.append(
                f"{', '.join(left)} stay{'' if len(left) > 1 else 's'} with {CALLED[giver]}: it keeps "
                f"at least {bounds.at_least[giver]} in service"
            )
        if not kept:
            words.append(f"{why}; {CALLED[giver]} has no node that can move")
    return Decision({taker: tuple(node.name for node in chosen)} if chosen else {}, tuple(words))


def _kept(node: Movable, bounds: Bounds) -> str:
    """Why a node stays where it is; empty if it may go."""
    if node.fixed:
        return node.fixed
    if node.idle is None:
        return "it has work"
    if node.idle < bounds.idle:
        return f"it is idle for {_minutes(node.idle)} only, of {_minutes(bounds.idle)}"
    if node.moved is not None and node.moved < bounds.stays:
        return f"it came {_minutes(node.moved)} ago, and stays for {_minutes(bounds.stays)}"
    return ""


def _longest_idle(node: Movable) -> tuple[float, str]:
    return -(node.idle or 0), node.name


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
