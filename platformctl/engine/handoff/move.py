"""Moves nodes from one scheduler to the other, and back if something does not work.

A move is not a list of steps that is walked down once. It looks at what is there, and does what is still to
be done until the node belongs to the scheduler that it goes to. So a move that was killed anywhere is
finished by the same command again, from any machine, and undone by the one in the other direction.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.handoff import account as accounts
from platformctl.engine.handoff import host_side, kubernetes_side, slurm_side
from platformctl.engine.handoff.account import Account
from platformctl.engine.handoff.each import Ended, each
from platformctl.engine.handoff.work import Policy, drain_slurm, leave_kubernetes, leave_slurm
from platformctl.engine.locking import host_lock
from platformctl.engine.planning import ownership
from platformctl.engine.planning.ownership import other
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import devices, runtimes

_REGISTER_SECONDS = 90
_LEFT_SECONDS = 15
_LOCK_SECONDS = 600
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Move:
    """One node on its way. data: the folder of the roles. say: where it tells what it does."""

    fleet: Fleet
    client: KubernetesClient
    host: Host
    data: Path
    policy: Policy
    say: Say

    @property
    def name(self) -> str:
        """The node's name."""
        return self.host.name


async def move_all(
    fleet: Fleet, names: Sequence[str], to: str, policy: Policy, data: Path, at_once: int, say: Say
) -> list[Ended]:
    """Move nodes, at most so many at a time. All refusals come before anything is done.

    PlatformError: one of them cannot be moved at all.
    """
    for name in names:
        _refuse_fixed(fleet, name)

    async def work(client: KubernetesClient, name: str) -> str:
        return await _move(Move(fleet, client, fleet.hosts[name], data, policy, say), to)

    return await each(fleet, names, "node move", work, at_once)


async def _move(move: Move, to: str) -> str:
    source = other(to)
    account = await accounts.read(move.client, move.name)
    owners = await host_side.owners(move.host)
    if not owners:
        raise PlatformError(
            f"{move.name} is not installed for both schedulers yet",
            where=move.name,
            next=f"platformctl install -i {move.fleet.inventory}",
            code=ExitCode.REFUSED,
        )
    if account.held:
        raise PlatformError(
            f"{move.name} was taken out of service ({account.held}), so it stays where it is",
            where=move.name,
            next=f"platformctl node undrain -i {move.fleet.inventory} {move.name}",
            code=ExitCode.REFUSED,
        )
    if owners == {to} and not account.to:
        return f"{move.name} belongs to {_called(to)} already"
    if owners == {to} and account.to == source:
        # A move in the other direction that had not stopped anything yet.
        await _reopen(move, account, to)
        return f"{move.name} stays with {_called(to)}"
    if owners == {source}:
        await _refuse_last(move, source)
    account = await accounts.write(move.client, account.begun(to))
    if owners == {source}:
        account = await _empty(move, account, source)
    async with _site(move):
        if owners == {source} == {"slurm"}:
            # Whatever was said to Slurm while other runs were waited for.
            await slurm_side.idle(move.fleet, move.name, time.monotonic(), move.say)
        try:
            account = await _hand_over(move, account, source, owners)
            words = await _enter(move, account, to)
        except PlatformError as error:
            if error.code is ExitCode.UNREACHABLE:
                raise
            raise await _returned(move, source, error) from error
    return words


async def _empty(move: Move, account: Account, source: str) -> Account:
    """Let the work of the old owner leave the node. PlatformError: it did not; nothing is changed then."""
    if source == "slurm":
        account = await _drained(move, account, f"moves to {_called(other(source))}")
        await _still_served(move, account, source)
        left = await leave_slurm(move.fleet, move.name, move.policy, move.say)
    else:
        await kubernetes_side.close(move.client, move.name)
        await _still_served(move, account, source)
        left = await leave_kubernetes(move.client, move.name, move.policy, move.say)
    if left:
        await _reopen(move, account, source)
        raise PlatformError(
            f"{move.name} stays with {_called(source)}: its work did not end in time: {', '.join(left[:3])}",
            where=move.name,
            next="give it more time with --timeout, or end the work with --deadline or --now",
            code=ExitCode.REFUSED,
        )
    return account


async def _still_served(move: Move, account: Account, source: str) -> None:
    """Refuse to go on, if the other nodes have left at the same moment."""
    try:
        await _refuse_last(move, source)
    except PlatformError:
        await _reopen(move, account, source)
        raise


async def _drained(move: Move, account: Account, why: str) -> Account:
    """Drain the node in Slurm, unless somebody has."""
    if (await slurm_side.look(move.fleet, move.name)).drained:
        return account
    return await drain_slurm(move.fleet, move.client, account, why, "drain")


async def _reopen(move: Move, account: Account, source: str) -> None:
    """Take back what kept work away from a node that stays."""
    if source == "slurm":
        await slurm_side.resume(move.fleet, move.name, account.drain)
        account = replace(account, drain=None)
    else:
        await kubernetes_side.open_(move.client, move.name)
    await accounts.write(move.client, account.ended())


async def _hand_over(move: Move, account: Account, source: str, owners: frozenset[str]) -> Account:
    """Stop the old owner's daemon, and prove that nothing of it is left."""
    if owners != {other(source)}:
        move.say(f"{move.name}: stopping {_daemon(source)}")
        await host_side.leave(move.host, source, move.data)
        await _clean(move, source)
    if source == "kubernetes":
        left = account.left

        async def keep(before: dict[str, Any]) -> None:
            nonlocal account
            kept = kubernetes_side.joined(left, before)
            account = await accounts.write(move.client, replace(account, left=kept))

        await kubernetes_side.leave(move.client, move.name, keep)
    return account


async def _clean(move: Move, source: str) -> None:
    deadline = time.monotonic() + _LEFT_SECONDS
    while found := await host_side.left(move.host, source):
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{_called(source)} has left on {move.name}: {'; '.join(found[:5])}",
                where=move.name,
                next="end these there; then the same command again",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _enter(move: Move, account: Account, to: str) -> str:
    """Start the new owner's daemon, prove that it works, and let work onto it. Returns that in words."""
    move.say(f"{move.name}: starting {_daemon(to)}")
    if to == "slurm":
        account = await _drained(move, account, "is on its way to Slurm")
        heard = (await slurm_side.look(move.fleet, move.name)).started
        new = await host_side.give(move.host, to)
        await slurm_side.answers(move.fleet, move.name, _REGISTER_SECONDS, heard if new else "")
        words = await _serve_slurm(move, account)
        account = replace(account, drain=None)
    else:
        await host_side.give(move.host, to)
        await kubernetes_side.registered(move.client, move.name, _REGISTER_SECONDS)
        variables = devices.on_host(move.host.variables, move.host.groups)
        labels = devices.labels(variables) | runtimes.labels(variables, move.name, move.host.groups)
        await kubernetes_side.restore(move.client, move.name, account.left, labels)
        words = await kubernetes_side.prove(move.client, move.name, await host_side.pause_image(move.host))
        await kubernetes_side.open_(move.client, move.name)
        account = replace(account, left={})
    await accounts.write(move.client, account.ended())
    return f"{move.name} belongs to {_called(to)} now: {words}"


async def _serve_slurm(move: Move, account: Account) -> str:
    """Prove by a job that the node works, while nobody else's can start, and end our drain."""
    async with slurm_side.reserved(move.fleet, move.name):
        if not await slurm_side.resume(move.fleet, move.name, account.drain):
            return "somebody else has drained it, so no job was tried"
        try:
            return await slurm_side.prove(move.fleet, move.name)
        except PlatformError:
            await _drained(move, await accounts.read(move.client, move.name), "runs no job")
            raise


async def _returned(move: Move, source: str, error: PlatformError) -> PlatformError:
    """Give the node back to the owner that it had; returns the error to raise."""
    move.say(f"{move.name}: {error.what}; giving it back to {_called(source)}")
    try:
        account = await accounts.read(move.client, move.name)
        if await host_side.owners(move.host) != {source} and source == "slurm":
            # Kubernetes may have begun on it.
            await host_side.leave(move.host, other(source), move.data)
            await kubernetes_side.leave(move.client, move.name, _nothing)
        await _enter(move, account, source)
    except (PlatformError, ApiError) as second:
        return PlatformError(
            f"{error.what}; and {move.name} could not be given back to {_called(source)}: {second}",
            where=move.name,
            next="the same command again finishes the move; in the other direction, it undoes it",
        )
    return PlatformError(
        f"{error.what}; {move.name} belongs to {_called(source)} again", where=error.where, next=error.next
    )


async def _nothing(_before: dict[str, Any]) -> None:
    """Keep nothing of a node that was not in service."""


@contextlib.asynccontextmanager
async def _site(move: Move) -> AsyncIterator[None]:
    """Keep other runs, such as an installation, away for the seconds in which a host changes hands."""
    deadline, told = time.monotonic() + _LOCK_SECONDS, False
    async with contextlib.AsyncExitStack() as stack:
        while True:
            try:
                lock = host_lock.hold(move.fleet, tuple(move.fleet.hosts), f"node move {move.name}")
                await stack.enter_async_context(lock)
                break
            except PlatformError as error:
                if error.code is not ExitCode.REFUSED or time.monotonic() > deadline:
                    raise
                if not told:
                    move.say(f"{move.name}: waiting for another run to end: {error.what}")
                    told = True
                await asyncio.sleep(_POLL_SECONDS)
        yield


async def _refuse_last(move: Move, source: str) -> None:
    """Refuse the last node of a queue, and of Kubernetes."""
    if source == "slurm":
        last = await slurm_side.last_of(move.fleet, move.name)
        what = f"the last node in service of {', '.join(last)}" if last else ""
    else:
        what = "" if await kubernetes_side.others(move.client, move.name) else "the last node that takes pods"
    if what:
        raise PlatformError(
            f"{move.name} is {what}, so it stays with {_called(source)}",
            where=move.name,
            next=f"bring another node into service first: platformctl status -i {move.fleet.inventory}",
            code=ExitCode.REFUSED,
        )


def _refuse_fixed(fleet: Fleet, name: str) -> None:
    """Refuse a host that cannot change hands."""
    host = fleet.hosts.get(name)
    what, then = "", f"platformctl status -i {fleet.inventory} lists the hosts"
    if host is None:
        what = f"the inventory has no host {name}"
    elif "kubernetes_control_plane" in host.groups:
        what = f"{name} runs the Kubernetes control plane"
    elif name in fleet.members("registry"):
        what = f"{name} runs the site's registry"
    elif not ownership.home(fleet, name):
        what = f"{name} is not installed for both schedulers"
        groups = " and ".join(devices.NODE_GROUPS.values())
        then = f"put it into {groups}, set its node_owner to slurm or kubernetes, then: platformctl install"
    if what:
        raise PlatformError(
            f"{what}, so it cannot be moved", where=str(fleet.inventory), next=then, code=ExitCode.REFUSED
        )


def _called(scheduler: str) -> str:
    return {"kubernetes": "Kubernetes", "slurm": "Slurm"}[scheduler]


def _daemon(scheduler: str) -> str:
    return {"kubernetes": "the kubelet", "slurm": "slurmd"}[scheduler]
