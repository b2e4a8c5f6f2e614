"""One run per site at a time: a lock on a host of the site, so that every operator sees it.

A folder on the first reachable host of the inventory (making a folder is atomic), with the owner in it;
the owner touches it every 15 seconds. A lock is stale, and is taken over, when its process on this machine
is gone or when nobody touched it for 90 seconds by the host's own clock.
"""

import asyncio
import contextlib
import getpass
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning.record import FOLDER
from platformctl.engine.remote import run, together
from platformctl.errors import ExitCode, PlatformError

_LOCK = f"{FOLDER}/lock"
BEAT_SECONDS = 15
STALE_SECONDS = 90
_TRIES = 3
_NO_LOCK = 3

_TAKE = f"""
umask 077; mkdir -p {FOLDER} || exit 1
if mkdir {_LOCK} 2>/dev/null; then cat > {_LOCK}/owner && echo taken; exit; fi
echo "held $(( $(date +%s) - $(stat -c %Y {_LOCK}/owner 2>/dev/null || stat -c %Y {_LOCK} || date +%s) ))"
cat {_LOCK}/owner 2>/dev/null || true
"""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock. machine: host name. boot and started identify the process, since a pid is reused."""

    token: str
    user: str
    machine: str
    boot: str
    pid: int
    started: str
    since: str
    command: str

    @classmethod
    def me(cls, command: str) -> "Owner":
        """This process."""
        return cls(
            token=secrets.token_hex(8),
            user=getpass.getuser(),
            machine=socket.gethostname(),
            boot=_boot(),
            pid=os.getpid(),
            started=_started(os.getpid()),
            since=datetime.now(UTC).isoformat("T", "seconds"),
            command=command,
        )

    @classmethod
    def read(cls, text: str) -> "Owner | None":
        """The owner that a text describes, or None."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.user} on {self.machine}, pid {self.pid}, since {self.since}: {self.command}"

    @property
    def gone(self) -> bool:
        """Whether the process ran on this machine and has ended."""
        return self.boot == _boot() and _started(self.pid) != self.started


@asynccontextmanager
async def hold(fleet: Fleet, candidates: tuple[str, ...], command: str) -> AsyncIterator[str]:
    """Hold the site's lock on the first of `candidates` that answers; yields that host's name.

    Raises PlatformError with code REFUSED and the owner when somebody else holds it, UNREACHABLE when no
    candidate answers.
    """
    me = Owner.me(command)
    host = await _take_first(fleet, candidates, me)
    beat = asyncio.create_task(_beat(host, me))
    try:
        yield host.name
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        await run(host.connection, f"grep -q {me.token} {_LOCK}/owner 2>/dev/null && rm -rf {_LOCK}; true")


async def release(fleet: Fleet, candidates: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Remove the lock by hand from every host that has one.

    Returns the owners of the locks, and why other hosts could not be asked, both by host.
    """
    script = f"[ -d {_LOCK} ] || exit {_NO_LOCK}; cat {_LOCK}/owner 2>/dev/null; rm -rf {_LOCK}"
    replies = await together(run(fleet.hosts[name].connection, script) for name in candidates)
    by_host = dict(zip(candidates, replies, strict=True))
    owners = {name: Owner.read(reply.out) for name, reply in by_host.items() if reply.code == 0}
    down = {name: reply.refusal for name, reply in by_host.items() if reply.code not in (0, _NO_LOCK)}
    return {name: owner.words if owner else "unknown" for name, owner in owners.items()}, down


async def _take_first(fleet: Fleet, candidates: tuple[str, ...], me: Owner) -> Host:
    problems = []
    for name in candidates:
        host = fleet.hosts[name]
        problem = await _take(host, me)
        if not problem:
            return host
        problems.append(f"{name}: {problem}")
    raise PlatformError(
        "no host of the site can be reached, so nothing was done",
        where=str(fleet.inventory),
        next=f"platformctl preflight -i {fleet.inventory}",
        code=ExitCode.UNREACHABLE,
        details=problems,
    )


async def _take(host: Host, me: Owner) -> str:
    """Take the lock there; returns why the host cannot keep it. Raises if a live run holds it."""
    for _ in range(_TRIES):
        reply = await run(host.connection, _TAKE, json.dumps(asdict(me)))
        if reply.code != 0:
            return reply.message
        head, _, owner_text = reply.out.partition("\n")
        if head == "taken":
            return ""
        word, _, seconds = head.partition(" ")
        if word != "held" or not seconds.isdigit():
            return f"its answer about the lock is not understood: {head}"
        owner, age = Owner.read(owner_text), int(seconds)
        if age < STALE_SECONDS and not (owner and owner.gone):
            raise held(f"{host.name}:{_LOCK}", owner, age)
        token = owner.token if owner else ""
        # Only the lock that was judged is moved away: another run may have replaced it meanwhile.
        await run(
            host.connection,
            f"grep -qs '{token}' {_LOCK}/owner || [ ! -e {_LOCK}/owner ] && mv {_LOCK} {_LOCK}.{me.token}"
            f" && rm -rf {_LOCK}.{me.token}; true",
        )
    return "its lock changes hands all the time"


async def _beat(host: Host, me: Owner) -> None:
    """Touch the lock until cancelled. A host that does not answer is asked again later."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        await run(host.connection, f"grep -q {me.token} {_LOCK}/owner && touch {_LOCK}/owner", seconds=10)


def held(where: str, owner: Owner | None, age: int) -> PlatformError:
    """The refusal of a second run. age: seconds since the owner's last sign of life."""
    who = owner.words if owner else "somebody who is just taking it"
    return PlatformError(
        "another run is at work on this site",
        where=where,
        next="wait for it to end; if that machine is gone, the lock is free 90 s after its last sign of life",
        code=ExitCode.REFUSED,
        details=[f"held by {who}", f"last sign of life {age} s ago"],
    )


def _boot() -> str:
    """An identifier of this machine, its current boot and its process namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty when there is none (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
