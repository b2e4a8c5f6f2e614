"""A node in Slurm while it moves: what Slurm says of it, our own drain, its jobs, and the proof by a job.

All is asked and said on a controller. What Slurm does not say in so many words counts as unknown, and then
nothing is done. A drain is ours only if its reason, and who set it when, are those that were noted.
"""

import asyncio
import re
import secrets
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from platformctl.engine import remote
from platformctl.engine.checking.proofs.common import as_user, user
from platformctl.engine.cluster.membership import counted
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff.account import Drain
from platformctl.errors import ExitCode, PlatformError

_SECONDS = 30
_STOPS = "what is needed here, so nothing more is done"
_POLL_SECONDS = 0.5
_STATE = re.compile(r"(?:^| )State=(\S+)")
_STARTED = re.compile(r" SlurmdStartTime=(\S+)")
_REASON = re.compile(r"(?:^| )Reason=(.*) \[([^\s\[\]]+@[^\s\[\]]+)\]")
_JOBS = "squeue --noheader --states=R,S,CG,CF,SO,ST --format='%A|%u|%L' --nodelist="

_PARTITIONS = "sinfo --noheader --Node --format='%N|%R|%T'"
# What sinfo calls a node that takes jobs, without the marks behind it.
_SERVES = re.compile(r"(allocated|completing|idle|mixed|planned|reserved)[^*]?$")


@dataclass(frozen=True)
class SlurmNode:
    """A node as Slurm has it.

    flags: the words of its state. drain: who drained it; None if nobody did. started: when its slurmd, which
    Slurm heard last, had started, in Slurm's own writing.
    """

    flags: frozenset[str]
    drain: Drain | None
    started: str = ""

    @property
    def drained(self) -> bool:
        """Whether no job starts there."""
        return "DRAIN" in self.flags

    @property
    def answers(self) -> bool:
        """Whether its slurmd answers, and Slurm takes what it reports."""
        return not self.flags & {"DOWN", "NOT_RESPONDING", "UNKNOWN", "INVALID_REG", "FAIL", "INVAL"}


@dataclass(frozen=True)
class Job:
    """A job on a node: its number, its user, and the time that it has left, as Slurm writes it."""

    number: str
    user: str
    left: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.number} ({self.user}, at most {self.left} left)"


async def look(fleet: Fleet, name: str) -> SlurmNode:
    """What Slurm says of the node now. PlatformError: it does not say."""
    return parse(fleet, name, await ask(fleet, f"scontrol --oneliner show node {shlex.quote(name)}"))


def parse(fleet: Fleet, name: str, said: str) -> SlurmNode:
    """The node in what scontrol printed. PlatformError: it is not there."""
    state = _STATE.search(said)
    if not said.startswith(f"NodeName={name} ") or state is None:
        raise unknown(fleet, f"it says {said.strip()[:200] or 'nothing'!r} of {name}")
    flags = frozenset(re.sub(r"[*~#!%$@^-]", "", state[1]).split("+"))
    silent = {"NOT_RESPONDING"} if "*" in state[1] else set()
    reason = _REASON.search(said)
    drain = Drain(reason[1], reason[2]) if reason and "DRAIN" in flags else None
    started = _STARTED.search(said)
    return SlurmNode(
        flags | silent,
        drain or (Drain("", "") if "DRAIN" in flags else None),
        started[1] if started else "",
    )


def reason(why: str) -> str:
    """A reason that nobody else's drain has."""
    return f"platformctl: {why} ({secrets.token_hex(3)})"


async def drain(fleet: Fleet, name: str, text: str) -> Drain | None:
    """Let no job start on the node. Returns the drain if it is ours, None if somebody else had drained it.

    text: its reason, by which it is found again.
    """
    # In one go, so that a drain that is set at the same moment is not overwritten.
    quoted = shlex.quote(name)
    await ask(
        fleet,
        f"scontrol --oneliner show node {quoted} | grep -q ' State=[^ ]*DRAIN' ||"
        f" scontrol update nodename={quoted} state=drain reason={shlex.quote(text)}",
    )
    node = await look(fleet, name)
    return node.drain if node.drain and node.drain.reason == text else None


async def resume(fleet: Fleet, name: str, ours: Drain | None) -> bool:
    """End our own drain. Returns whether the node is in service; anybody else's drain stays.

    Without a stamp, as after a kill between the drain and its note, the reason alone says whose it is.
    """
    if ours:
        shown = shlex.quote(f"Reason={ours.reason} [{ours.stamp}" + ("]" if ours.stamp else ""))
        quoted = shlex.quote(name)
        await ask(
            fleet,
            f"scontrol --oneliner show node {quoted} | grep -qF {shown} || exit 0;"
            f" scontrol update nodename={quoted} state=resume",
        )
    return not (await look(fleet, name)).drained


def serves(state: str) -> bool:
    """Whether a node in a state of sinfo takes jobs."""
    return bool(_SERVES.match(state))


async def last_of(fleet: Fleet, name: str) -> list[str]:
    """The partitions of the node that have no other node in service."""
    rows = [line.split("|") for line in (await ask(fleet, _PARTITIONS)).splitlines()]
    if any(len(row) != 3 for row in rows) or not rows:
        raise unknown(fleet, "sinfo names no nodes")
    own = {partition for node, partition, _ in rows if node == name}
    served = {partition for node, partition, state in rows if node != name and serves(state)}
    return sorted(own - served)


async def jobs(fleet: Fleet, name: str) -> list[Job]:
    """The jobs that are on the node."""
    said = await ask(fleet, f"{_JOBS}{shlex.quote(name)}")
    rows = [line.split("|") for line in said.splitlines()]
    if any(len(row) != 3 for row in rows):
        raise unknown(fleet, f"squeue says {said.strip()[:200]!r}")
    return [Job(*row) for row in rows]


async def requeue(fleet: Fleet, found: list[Job]) -> list[Job]:
    """Put jobs back into the queue; returns those that do not allow it."""
    refused = []
    for job in found:
        host = fleet.first("slurm_controller")
        assert host is not None
        reply = await remote.run(host.connection, f"scontrol requeue {job.number}", seconds=_SECONDS)
        if reply.unreachable:
            raise unknown(fleet, reply.refusal)
        if reply.code != 0:
            refused.append(job)
    return refused


async def end(fleet: Fleet, found: list[Job]) -> None:
    """End jobs."""
    if found:
        await ask(fleet, f"scancel {' '.join(job.number for job in found)}")


async def idle(fleet: Fleet, name: str, deadline: float, say: Say) -> list[Job]:
    """Wait until nothing runs on the drained node; returns what still does at the deadline (monotonic)."""
    told: list[Job] = []
    while True:
        found = await jobs(fleet, name)
        node = await look(fleet, name)
        if not node.drained:
            raise PlatformError(
                f"somebody ended the drain of {name}, so it stays in service in Slurm",
                where=name,
                next="ask them; then the same command again",
                code=ExitCode.REFUSED,
            )
        if not found and not node.flags & {"ALLOCATED", "MIXED", "COMPLETING"}:
            return []
        if time.monotonic() > deadline:
            return found
        if found and [job.number for job in found] != [job.number for job in told]:
            shown = ", ".join(map(str, found[:3]))
            say(f"{name}: waiting for {counted(len(found), 'job')} to end: {shown}")
            told = found
        await asyncio.sleep(_POLL_SECONDS if time.monotonic() + 10 > deadline or not found else 2)


async def answers(fleet: Fleet, name: str, seconds: float, before: str) -> None:
    """Wait until slurmd has registered. PlatformError: it does not.

    before: when the slurmd that Slurm had heard last had started. That one is gone, and Slurm may not have
    noticed yet; empty if it is the one that runs.
    """
    deadline = time.monotonic() + seconds
    while True:
        node = await look(fleet, name)
        if node.answers and node.started not in ("", "None", before):
            return
        if time.monotonic() > deadline:
            words = "+".join(sorted(node.flags)) if not node.answers else "nothing new"
            raise PlatformError(
                f"{seconds:.0f} s after slurmd of {name} started, Slurm says {words}",
                where=name,
                next=f"look there: journalctl -u slurmd -n 50; scontrol show node {name}",
            )
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def reserved(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """Keep everybody else's jobs away from the node, whether it is drained or not."""
    quoted, reservation = shlex.quote(name), _reservation(name)
    forget = f"scontrol delete reservationname={reservation} >/dev/null"
    await ask(
        fleet,
        f"{forget} 2>&1 || true; scontrol create reservation reservationname={reservation} starttime=now"
        f" duration=5 users={_who(fleet)} nodes={quoted} flags=maint,ignore_jobs >/dev/null",
    )
    try:
        yield
    finally:
        await ask(fleet, forget)


async def prove(fleet: Fleet, name: str) -> str:
    """Run a job on the reserved node; returns in words where it ran. PlatformError: it did not."""
    who, quoted = _who(fleet), shlex.quote(name)
    step = (
        f"srun --quiet --reservation={_reservation(name)} --immediate=10 --time=1 --nodes=1 --ntasks=1"
        f' --nodelist={quoted} --partition="$partition" --job-name=platformctl-proof --chdir=/ hostname'
    )
    run = as_user(who, step) if who != "root" else f"cd / && {step}"
    said = await ask(fleet, f"partition=$(sinfo --noheader --nodes={quoted} --format=%R | head -n 1); {run}")
    return f"a job ran on {said.strip()}"


def _reservation(name: str) -> str:
    return f"platformctl-{name}"


def _who(fleet: Fleet) -> str:
    return user(fleet) or "root"


async def ask(fleet: Fleet, script: str, stops: str = _STOPS, seconds: float = _SECONDS) -> str:
    """What a script prints on a controller. PlatformError: it fails, or no controller answers.

    stops: what is not known then, and what is not done for it.
    """
    host = fleet.first("slurm_controller")
    if host is None:
        raise unknown(fleet, "the site has no slurm_controller", stops)
    reply = await remote.run(host.connection, script, seconds=seconds)
    if reply.code != 0:
        raise unknown(fleet, reply.refusal if reply.unreachable else reply.message, stops)
    return reply.out


def unknown(fleet: Fleet, words: str, stops: str = _STOPS) -> PlatformError:
    """The error of an answer that says nothing. words: what it says."""
    host = fleet.first("slurm_controller")
    return PlatformError(
        f"Slurm does not say {stops}: {words}",
        where=host.name if host else str(fleet.inventory),
        next=f"platformctl status -i {fleet.inventory}; then the same command again",
    )
