"""What the router asks of a back end, and what it hears back: the whole protocol.

A back end never retries by itself: it raises Unavailable when it cannot tell whether a request worked,
Busy when it was turned away for now, and Refused when the request certainly did not and never will.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from platformctl.jobs.model import JobSpec, Queue, Target, User
from platformctl.jobs.tokens import Token


class Phase(StrEnum):
    """Where a Job is. Refused, Succeeded, Failed and Cancelled are final."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REFUSED = "Refused"


FINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.REFUSED})


class Unavailable(Exception):  # noqa: N818  (a state of the back end)
    """The back end gave no usable answer; the request may have worked. The text says why, for people."""


class Busy(Unavailable):
    """The back end is well but takes no more now (MaxJobCount, a rate limit, HTTP 429); nothing was done."""


class Refused(Exception):  # noqa: N818  (a verdict of the back end)
    """The back end will never take this job; nothing was left there. The text says why, for people."""


@dataclass(frozen=True)
class Claim:
    """One attempt of one Job resource: enough to find, read and cancel it. user is the site user's name."""

    token: Token
    namespace: str
    name: str
    user: str


@dataclass(frozen=True)
class Ticket:
    """A claim with what is needed to submit and release it. queue: None where the site has no Queues."""

    claim: Claim
    job: JobSpec
    user: User
    queue: Queue | None = None


@dataclass(frozen=True)
class Tasks:
    """How many elements of an array, or tasks of a job, are in each state.

    exit_codes: index and code of those that ended otherwise than with 0, lowest index first, at most 100.
    """

    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    exit_codes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Usage:
    """What an attempt has held so far: allocated amounts times seconds, as both schedulers charge."""

    cpu_seconds: int = 0
    gpu_seconds: int = 0


@dataclass(frozen=True)
class Seen:
    """A back end's job as it is now.

    held: submitted and not yet released. phase: Queued, Running or final. reason: plain words. Times
    are seconds since the epoch. exit_code: 128 + signal when a signal ended it. output: where to read it.
    estimated_start: the scheduler's guess. again: a failure that another attempt may mend (a node failed,
    it was preempted). overran: it failed because its wall time was over, as it would again.
    """

    held: bool
    phase: Phase
    reason: str = ""
    exit_code: int | None = None
    started: int | None = None
    ended: int | None = None
    nodes: str = ""
    output: str = ""
    estimated_start: int | None = None
    tasks: Tasks | None = None
    usage: Usage | None = None
    again: bool = False
    overran: bool = False


@dataclass(frozen=True)
class Explanation:
    """Why a job waits: one sentence each, most important first; behind: ids of jobs that go first.

    start: seconds since the epoch, None when the back end cannot tell.
    """

    sentences: tuple[str, ...]
    behind: tuple[str, ...] = ()
    start: int | None = None


@dataclass(frozen=True)
class Load:
    """How much of a back end is free, from 0 to 1. gpus: None where it has none."""

    cpus: float
    gpus: float | None = None


class Backend(Protocol):
    """One scheduler. Ids are strings that the back end alone understands, at most 253 characters.

    interval: seconds between two calls of `states`. look_again: seconds after which a live job is read
    again even if nothing was reported, None where `states` reports every change. durable: what it has
    answered it never forgets, so that the answer of `submit_held` need not be read back.
    """

    target: Target
    interval: float
    look_again: float | None
    durable: bool

    async def unfit(self, ticket: Ticket) -> str:
        """Why no part of the site could ever run the job now; empty when it could. Only a hint for `auto`."""
        ...

    async def submit_held(self, ticket: Ticket) -> str:
        """Submit a job that does not start before `release`, marked with the token; returns its id."""
        ...

    async def find(self, claim: Claim) -> list[str]:
        """Ids of the unfinished jobs that carry the token, from an answer begun after the call."""
        ...

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """The job of that id if it carries the token; None when there is none or it is another's."""
        ...

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """Let the job start. Doing it twice does no harm."""
        ...

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """End the job if it carries the token; fine when it has ended or gone. It may take a while to end."""
        ...

    async def states(self) -> Mapping[str, str]:
        """An opaque state for each live job, in one request: a change means `read` has something new."""
        ...

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """Why a released job waits; may be expensive, and is asked for one job when a person wants it."""
        ...

    async def claimed(self) -> list[tuple[Claim, str]]:
        """All unfinished jobs that carry a token of this site, for the sweep."""
        ...
