"""Looks at both schedulers, decides which nodes change owner, and moves them: once, or again and again."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_document
from platformctl.engine import loading
from platformctl.engine.balance import memory as memories
from platformctl.engine.balance.decide import SIDES, Bounds, Decision, Demand, Movable, decide
from platformctl.engine.balance.look import View, look
from platformctl.engine.balance.memory import Memory
from platformctl.engine.cluster import access, cluster_lock
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff.each import Ended
from platformctl.engine.handoff.move import move_all
from platformctl.engine.handoff.work import Policy
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.extra_nodes import NODE_PARTS

_LEASE = "platformctl-balance"
# A node is idle when it leaves; this is for the pods of the site's own services on it.
_LEAVE_SECONDS = 60
# After so long without a look, what was seen before says nothing. Longer than the pauses between two looks.
_LEAST_GAP = 600


def bounds(fleet: Fleet) -> Bounds:
    """What the inventory allows. PlatformError: nodes may not move by themselves."""
    given = {**_defaults(), **(loading.evaluated(fleet).variables.get("node_balance") or {})}
    if not given["enabled"]:
        raise PlatformError(
            "nodes of this site do not move by themselves",
            where=str(fleet.inventory),
            next="to allow it, set node_balance: {enabled: true} for all hosts (platformctl docs hosts)",
            code=ExitCode.REFUSED,
        )
    return Bounds(
        {side: int(given[f"{side}_at_least"]) for side in SIDES},
        waits=60.0 * given["waits_minutes"],
        idle=60.0 * given["idle_minutes"],
        stays=60.0 * given["stays_minutes"],
        at_once=int(given["at_once"]),
    )


async def balance(
    fleet: Fleet, bounds: Bounds, data: Path, every: float, dry_run: bool, say: Say
) -> Sequence[Ended]:
    """One round, or one after each pause of `every` seconds until it is interrupted.

    data: the folder of the roles. dry_run: nothing moves. Returns how the moves of the round ended. One of
    many rounds may fail, and the next follows. PlatformError: the only one failed, or another run balances.
    """
    async with (
        cluster_lock.hold(fleet, "node balance", _LEASE),
        KubernetesClient(from_document(await access.admin_kubeconfig(fleet))) as client,
    ):
        told: tuple[str, ...] = ()
        while True:
            try:
                decision = await _decided(fleet, client, bounds, max(_LEAST_GAP, 3 * every))
                for words in decision.words if decision.words != told else ():
                    say(words)
                told = decision.words
                ended = [] if dry_run else await _moved(fleet, client, decision, data, bounds, say)
                if not every:
                    return ended
                for one in ended:
                    say(one.words)
            except (PlatformError, ApiError) as error:
                if not every:
                    raise
                failed = (f"this round failed: {error}",)
                if told != failed:
                    say(*failed)
                told = failed
            await asyncio.sleep(every)


async def _decided(fleet: Fleet, client: KubernetesClient, bounds: Bounds, gap: float) -> Decision:
    view, before, now = await look(fleet, client), await memories.read(client), time.time()
    idle = [node.name for node in view.nodes if node.idle]
    memory = before.seen(now, idle, [side for side in SIDES if view.waiting[side].nodes], gap)
    await memories.write(client, memory)
    return decide(movable(view, memory), demands(view, memory), view.serving, bounds)


def movable(view: View, memory: Memory) -> list[Movable]:
    """The nodes with the times that were seen."""
    return [
        Movable(
            node.name,
            node.owner,
            memory.looked - memory.idle[node.name] if node.name in memory.idle else None,
            memory.looked - memory.moved[node.name] if node.name in memory.moved else None,
            node.fixed,
        )
        for node in view.nodes
    ]


def demands(view: View, memory: Memory) -> dict[str, Demand]:
    """What waits on each side, without what its own idle nodes can take."""
    found = {}
    for side in SIDES:
        free = sum(node.owner == side and node.idle and not node.fixed for node in view.nodes)
        waiting, since = view.waiting[side], memory.waits.get(side, memory.looked)
        found[side] = Demand(max(0, waiting.nodes - free), memory.looked - since, waiting.words)
    return found


async def _moved(
    fleet: Fleet, client: KubernetesClient, decision: Decision, data: Path, bounds: Bounds, say: Say
) -> list[Ended]:
    ended: list[Ended] = []
    for side, names in decision.moves.items():
        policy = Policy(_LEAVE_SECONDS)
        ended += await move_all(fleet, names, side, policy, data, bounds.at_once, say)
    if moved := [one.name for one in ended if one.fine]:
        await memories.write(client, (await memories.read(client)).with_moved(moved, time.time()))
    return ended


def _defaults() -> dict[str, object]:
    return {name: option["default"] for name, option in NODE_PARTS["node_balance"]["options"].items()}
