"""Work of users that a plan would harm: whether the installation may go on all the same.

It may if the work runs in a maintenance reservation that was named, if the nodes were drained before, or if
the operator said --yes and not --drain. Otherwise nothing is done, and the refusal names each job and pod.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking.interrupt import to_its_end
from platformctl.engine.planning.impact import Hurt, Impact
from platformctl.engine.planning.work import Job, expand
from platformctl.errors import ExitCode, PlatformError

_SHOWN = 20
_SECONDS = 20
_FIELD = re.compile(r"(?:^| )(Nodes|Flags|State)=(\S*)")

Say = Callable[[str], None]
Look = Callable[[], Awaitable[tuple[Impact, ...]]]
"""Asks the schedulers again what the plan would do."""


class Drainer(Protocol):
    """Takes nodes out of service, and puts them back. Both raise PlatformError if one stays as it was."""

    @property
    def options(self) -> str:
        """The options of `install` that ask for this."""

    async def drain(self, names: Sequence[str], say: Say) -> None:
        """Let no new work start on nodes, and wait until what runs there has ended, as the policy says.

        If that fails or is cancelled, all of them are put back.
        """

    async def undrain(self, names: Sequence[str], say: Say) -> None:
        """Put back into service what `drain` took out. What others took out stays."""


@dataclass(frozen=True)
class Protection:
    """What the operator said about running work.

    yes: it may end, unless there is a drainer. reservation: the name of Slurm's reservation in which it may
    end. drainer: nodes are drained first; None if not. line: the command line without all this. drains:
    whether that command has options for it beside --yes.
    """

    yes: bool = False
    reservation: str = ""
    drainer: Drainer | None = None
    line: str = "platformctl install"
    drains: bool = True


@dataclass
class Drained:
    """Nodes that were drained for a run.

    unfit: tells which hosts are in no state to serve. stuck: why one of the others could not be put back.
    """

    names: tuple[str, ...]
    unfit: Callable[[], set[str]] = set
    stuck: PlatformError | None = None


async def protect(
    fleet: Fleet, protection: Protection, impacts: Sequence[Impact], look: Look, say: Say
) -> tuple[str, ...]:
    """Make sure that the plan harms nobody who was not agreed to. Returns the nodes that were drained.

    PlatformError: it would harm others.
    """
    if protection.reservation:
        nodes = await reserved(fleet, protection)
    else:
        nodes = frozenset()
    left = _harmful(impacts, protection.reservation, nodes)
    if not left or (protection.yes and protection.drainer is None):
        return ()
    if protection.drainer is None:
        raise refusal(fleet, left, protection)
    names = tuple(dict.fromkeys(node for one in left for node in one.nodes if node in fleet.hosts))
    if names:
        await protection.drainer.drain(names, say)
    try:
        left = _harmful(await look(), protection.reservation, nodes)
        if left:
            raise refusal(fleet, left, protection)
    except BaseException:
        await put_back(protection.drainer, names, say)
        raise
    return names


async def put_back(drainer: Drainer, names: Sequence[str], say: Say) -> PlatformError | None:
    """Put nodes back into service, also while the run is cancelled. Says and returns why one stays out."""

    async def undrain() -> PlatformError | None:
        try:
            await drainer.undrain(names, say)
        except PlatformError as error:
            say(f"{error.what}; to do: {error.next}")
            return error
        return None

    return await to_its_end(undrain()) if names else None


def _harmful(impacts: Sequence[Impact], reservation: str, nodes: frozenset[str]) -> list[Impact]:
    """The impacts that harm work outside of the reservation, with that work alone."""
    found = (
        Impact(
            one.host,
            one.stage,
            hurt=tuple(hurt for hurt in one.hurt if not _inside(hurt, reservation, nodes)),
            unknown=one.unknown,
        )
        for one in impacts
    )
    return [one for one in found if one.harmful]


def _inside(hurt: Hurt, reservation: str, nodes: frozenset[str]) -> bool:
    job = hurt.work
    return (
        isinstance(job, Job)
        and bool(reservation)
        and job.reservation == reservation
        and bool(job.nodes)
        and nodes.issuperset(job.nodes)
    )


def refusal(fleet: Fleet, harmful: Sequence[Impact], protection: Protection) -> PlatformError:
    """The error that names the work, and what can be done."""
    hurt = list(dict.fromkeys(str(hurt) for one in harmful for hurt in one.hurt))
    unknown = list(dict.fromkeys(f"unknown: {one.unknown}" for one in harmful if one.unknown))
    more = [f"and {len(hurt) - _SHOWN} more"] if len(hurt) > _SHOWN else []
    what = "this plan would harm work of users" if hurt else "whether this plan would harm work is not known"
    outside = f" outside of the reservation {protection.reservation}" if protection.reservation else ""
    return PlatformError(
        f"{what}{outside}, so nothing was done",
        where=", ".join(dict.fromkeys(f"{one.stage} on {one.host}" for one in harmful)),
        next="; or ".join(_remedies(fleet, harmful, protection)),
        code=ExitCode.REFUSED,
        details=[*hurt[:_SHOWN], *more, *unknown],
    )


def _remedies(fleet: Fleet, harmful: Sequence[Impact], protection: Protection) -> Iterator[str]:
    """What can be done. A drain helps only if all that is harmed runs on nodes of the site."""
    unknown = any(one.unknown for one in harmful)
    if unknown:
        yield f"platformctl status -i {fleet.inventory}, and the same command when both schedulers answer"
    if unknown or protection.drainer or not all(_runs(fleet, hurt) for one in harmful for hurt in one.hurt):
        if any(one.hurt for one in harmful):
            yield "wait until this work has ended, then the same command"
    elif protection.drains:
        inside = f" --reservation {protection.reservation}" if protection.reservation else ""
        yield f"{protection.line}{inside} --drain, which drains these nodes first"
        if not inside:
            yield "with --reservation NAME, if all of it runs in that reservation"
    else:
        names = " ".join(dict.fromkeys(node for one in harmful for node in one.nodes))
        yield (
            f"platformctl node drain -i {fleet.inventory} {names} --reason TEXT, then the same command, then"
            f" platformctl node undrain -i {fleet.inventory} {names}"
        )
    yield f"{protection.line} --yes, which lets it happen"


def _runs(fleet: Fleet, hurt: Hurt) -> bool:
    """Whether the work is on nodes that can be drained. Jobs that wait are on none."""
    nodes = hurt.work.nodes if isinstance(hurt.work, Job) else (hurt.work.node,)
    return bool(nodes) and all(node in fleet.hosts for node in nodes)


async def reserved(fleet: Fleet, protection: Protection) -> frozenset[str]:
    """The nodes of a maintenance reservation that is active. PlatformError: there is none of this name."""
    name, host = protection.reservation, fleet.first("slurm_controller")
    if host is None:
        raise _no_reservation(protection, "this site has no Slurm")
    script = f"scontrol --oneliner show reservation {shlex.quote(name)}"
    reply = await remote.run(host.connection, script, seconds=_SECONDS)
    if reply.code != 0:
        why = reply.refusal if reply.unreachable else reply.message
        raise _no_reservation(protection, f"Slurm says: {why}")
    return nodes_of(protection, reply.out)


def nodes_of(protection: Protection, said: str) -> frozenset[str]:
    """The nodes in what scontrol printed. PlatformError: this is no maintenance that is active."""
    found = dict(_FIELD.findall(said))
    if not said.startswith(f"ReservationName={protection.reservation} "):
        raise _no_reservation(protection, "Slurm has no such reservation")
    if found.get("State") != "ACTIVE":
        raise _no_reservation(protection, "it is not active now")
    if "MAINT" not in found.get("Flags", "").split(","):
        raise _no_reservation(protection, "it is not for maintenance: it lacks the flag MAINT")
    return frozenset(expand(found.get("Nodes", "")))


def _no_reservation(protection: Protection, why: str) -> PlatformError:
    return PlatformError(
        f"the reservation {protection.reservation} cannot be used, so nothing was done: {why}",
        where="--reservation",
        next="look at it: scontrol show reservations; then the same command with its name"
        + ("" if protection.drainer else f"; or {protection.line} --drain"),
        code=ExitCode.REFUSED,
    )
