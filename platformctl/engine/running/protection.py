"""Work of users that a plan would harm: whether the installation may go on all the same.

It may if the work runs in a maintenance reservation that was named, if the nodes were drained before, or if
the operator said --yes and not --drain. Otherwise nothing is done, and the refusal names each job and pod.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Sequence
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
    end. drainer: nodes are drained first; None if not.
    """

    yes: bool = False
    reservation: str = ""
    drainer: Drainer | None = None


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
        nodes = await reserved(fleet, protection.reservation)
    else:
        nodes = frozenset()
    left = _harmful(impacts, protection.reservation, nodes)
    if not left or (protection.yes and protection.drainer is None):
        return ()
    if protection.drainer is None:
        raise refusal(fleet, left, protection.reservation)
    names = tuple(dict.fromkeys(node for one in left for node in one.nodes if node in fleet.hosts))
    if names:
        await protection.drainer.drain(names, say)
    try:
        left = _harmful(await look(), protection.reservation, nodes)
        if left:
            raise refusal(fleet, left, protection.reservation)
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


def refusal(fleet: Fleet, harmful: Sequence[Impact], reservation: str = "") -> PlatformError:
    """The error that names the work, and what can be done."""
    hurt = list(dict.fromkeys(str(hurt) for one in harmful for hurt in one.hurt))
    unknown = list(dict.fromkeys(f"unknown: {one.unknown}" for one in harmful if one.unknown))
    more = [f"and {len(hurt) - _SHOWN} more"] if len(hurt) > _SHOWN else []
    what = "this plan would harm work of users" if hurt else "whether this plan would harm work is not known"
    outside = f" outside of the reservation {reservation}" if reservation else ""
    return PlatformError(
        f"{what}{outside}, so nothing was done",
        where=", ".join(dict.fromkeys(f"{one.stage} on {one.host}" for one in harmful)),
        next=f"platformctl install -i {fleet.inventory} --drain, which drains these nodes first; or with"
        " --reservation NAME, if all of it runs in that reservation; or with --yes, which lets it happen",
        code=ExitCode.REFUSED,
        details=[*hurt[:_SHOWN], *more, *unknown],
    )


async def reserved(fleet: Fleet, name: str) -> frozenset[str]:
    """The nodes of a maintenance reservation that is active. PlatformError: there is none of this name."""
    host = fleet.first("slurm_controller")
    if host is None:
        raise _no_reservation(fleet, name, "this site has no Slurm")
    script = f"scontrol --oneliner show reservation {shlex.quote(name)}"
    reply = await remote.run(host.connection, script, seconds=_SECONDS)
    if reply.code != 0:
        why = reply.refusal if reply.unreachable else reply.message
        raise _no_reservation(fleet, name, f"Slurm says: {why}")
    return nodes_of(fleet, name, reply.out)


def nodes_of(fleet: Fleet, name: str, said: str) -> frozenset[str]:
    """The nodes in what scontrol printed. PlatformError: this is no maintenance that is active."""
    found = dict(_FIELD.findall(said))
    if not said.startswith(f"ReservationName={name} "):
        raise _no_reservation(fleet, name, "Slurm has no such reservation")
    if found.get("State") != "ACTIVE":
        raise _no_reservation(fleet, name, "it is not active now")
    if "MAINT" not in found.get("Flags", "").split(","):
        raise _no_reservation(fleet, name, "it is not for maintenance: it lacks the flag MAINT")
    return frozenset(expand(found.get("Nodes", "")))


def _no_reservation(fleet: Fleet, name: str, why: str) -> PlatformError:
    return PlatformError(
        f"the reservation {name} cannot be used, so nothing was done: {why}",
        where="--reservation",
        next="look at it: scontrol show reservations; then the same command with its name; or"
        f" platformctl install -i {fleet.inventory} --drain",
        code=ExitCode.REFUSED,
    )
