"""Takes nodes out of service, with a reason, and puts them back: for an administrator, on either scheduler.

What was set here is noted in the node's account, and only that is ended. Drains, cordons and taints of others
stay.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff import account as accounts
from platformctl.engine.handoff import kubernetes_side, slurm_side
from platformctl.engine.handoff.each import Ended, each
from platformctl.engine.handoff.work import Policy, drain_slurm, leave_kubernetes, leave_slurm
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.devices import NODE_GROUPS

TAINT = {"key": "platformctl.io/drained", "effect": "NoSchedule"}


async def drain_all(
    fleet: Fleet,
    names: Sequence[str],
    reason: str,
    policy: Policy,
    at_once: int,
    say: Say,
    *,
    keep: bool = False,
) -> list[Ended]:
    """Let no new work start on nodes, and let what runs there end. PlatformError: one of them is no node.

    keep: a node that was taken out of service before keeps the reason that it has.
    """
    for name in names:
        _refuse_others(fleet, name)

    async def work(client: KubernetesClient, name: str) -> str:
        return await _drain(fleet, client, name, reason, policy, say, keep)

    return await each(fleet, names, "node drain", work, at_once)


async def undrain_all(
    fleet: Fleet, names: Sequence[str], at_once: int, _say: Say, *, only: str = ""
) -> list[Ended]:
    """End what drain_all did. PlatformError: one of them is no node.

    only: nodes that were taken out of service for another reason than this stay so; all return if empty.
    """
    for name in names:
        _refuse_others(fleet, name)

    async def work(client: KubernetesClient, name: str) -> str:
        return await _undrain(fleet, client, name, only)

    return await each(fleet, names, "node undrain", work, at_once)


async def _drain(
    fleet: Fleet, client: KubernetesClient, name: str, reason: str, policy: Policy, say: Say, keep: bool
) -> str:
    account = await accounts.read(client, name)
    if keep and account.held:
        reason = account.held
    else:
        account = await accounts.write(client, replace(account, held=reason))
    waiting = []
    if _of(fleet, name, "slurm"):
        node = await slurm_side.look(fleet, name)
        if not node.drain:
            await drain_slurm(fleet, client, account, reason, "hold")
        elif node.drain not in (account.hold, account.drain):
            say(f"{name}: drained before in Slurm, by somebody else, which stays: {node.drain.reason}")
        waiting.append(leave_slurm(fleet, name, policy, say))
    if await kubernetes_side.look(client, name):
        await kubernetes_side.close(client, name, TAINT)
        waiting.append(leave_kubernetes(client, name, policy, say))
    left = [words for found in await asyncio.gather(*waiting) for words in found]
    if left:
        raise PlatformError(
            f"{name} takes no new work, and this has not ended in time: {', '.join(left[:5])}",
            where=name,
            next="the same command with more --timeout, or with --now; to end it: "
            f"platformctl node undrain -i {fleet.inventory} {name}",
            code=ExitCode.REFUSED,
        )
    return f"{name} is empty and takes no new work: {reason}"


async def _undrain(fleet: Fleet, client: KubernetesClient, name: str, only: str) -> str:
    account = await accounts.read(client, name)
    if only and account.held not in ("", only):
        return f"{name} stays out of service, as `platformctl node drain` says: {account.held}"
    if not account.held:
        return f"{name} was not taken out of service by `platformctl node drain`, so nothing was done"
    closed = []
    if _of(fleet, name, "slurm") and not await slurm_side.resume(fleet, name, account.hold):
        closed.append("Slurm still has it drained, by somebody else or while it is not Slurm's")
    await kubernetes_side.open_(client, name, TAINT)
    node = await kubernetes_side.look(client, name)
    if node and node["spec"].get("unschedulable"):
        closed.append("Kubernetes still has it cordoned, by somebody else")
    await accounts.write(client, replace(account, held="", hold=None))
    return f"{name} is not drained any more" + (f"; {'; '.join(closed)}" if closed else "")


def _of(fleet: Fleet, name: str, scheduler: str) -> bool:
    return NODE_GROUPS[scheduler] in fleet.hosts[name].groups


def _refuse_others(fleet: Fleet, name: str) -> None:
    host = fleet.hosts.get(name)
    if host is None or not host.groups & {*NODE_GROUPS.values(), "kubernetes_control_plane"}:
        raise PlatformError(
            f"{name} is no node of the inventory",
            where=str(fleet.inventory),
            next=f"platformctl node list -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
