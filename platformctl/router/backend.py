"""The protocol between the router and a back end: what it is asked, and what it answers.

A back end is a scheduler behind this protocol. CONTRIBUTING.md lists what a new one needs;
tests/contracts/backend.py holds every back end to what is written here.

The life of an attempt: `unfit` and `load` help to choose; `submit_held` makes a job that cannot start, marked
with the token; `read` proves that the id is the token's (not where the back end is `durable`); the id is
recorded; `release` lets it start. From then on `states` says which jobs changed, and `read` what became of
them. `cancel` ends one. After a crash, `find` and `claimed` tell what was submitted and not recorded.

A back end keeps nothing that it could not lose: the router may die between any two calls, and two calls for
different jobs run at the same time. It never retries by itself. It raises Unavailable when it cannot tell
whether a request worked, Busy when the back end takes no more for now, and Refused when the request certainly
did not work and never will. Anything else that it raises is a defect. Its texts are for the person who waits:
what is the matter, and which of the things that they can change it is about; no names of error classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from platformctl.jobs.model import JobSpec, Queue, Target, User
from platformctl.jobs.tokens import Token
from platformctl.vocabulary import Phase


class Unavailable(Exception):  # noqa: N818  (a state of the back end)
    """The back end gave no usable answer; the request may have worked. The text says why, for people."""


class Busy(Unavailable):
    """The back end is well but takes no more now (MaxJobCount, a rate limit, HTTP 429); nothing was done."""


class Denied(Unavailable):
    """The back end is well and said no to this one request, which is no verdict on the job as such."""


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
    it was preempted). overran: it failed because its wall time was over, as it would again. unsettled: it
    is between two states, and what was said of it before is better than what can be said now. done: what it
    ran has ended well, so that another attempt would do it twice.
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
    unsettled: bool = False
    done: bool = False


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

    interval: seconds between two calls of `states`. reread_after: seconds after which a live job is read
    again even if nothing was reported, None where `states` (or a watch of the router's) reports every
    change. durable: what it has answered it never forgets, so that the answer of `submit_held` need not be
    read back.
    """

    target: Target
    interval: float
    reread_after: float | None
    durable: bool

    async def unfit(self, ticket: Ticket) -> str:
        """Why nothing that is there could ever run the job; empty when something could.

        Only a hint for choosing: it is asked before each submission, so it must answer from memory.
        """
        ...

    async def load(self) -> Load:
        """How much is free, from a list of a bounded age: it is asked before submissions."""
        ...

    async def submit_held(self, ticket: Ticket) -> str:
        """Submit a job that does not start before `release`, marked with the token; returns its id.

        It is made whole and held by one request, or not at all. An array is one job with one id. Where the
        attempt has been submitted before, the same id or another one: `find` has them all. A back end that
        is `durable` takes an attempt only once, and gets a token that names no copy.
        """
        ...

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """Unfinished jobs of the attempt, any copy, and their ids; from an answer begun after the call."""
        ...

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """The job of that id if it carries the token; None when there is none or it is another's.

        Also how it ended, for as long as the back end can tell. An array is final when all its elements are;
        `tasks` counts them. `usage` is told with the end.
        """
        ...

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """Let the job start; doing it twice does no harm. It may stay held until all its tasks find room.

        Then `read` says why, and the router comes back with `release` after a while.
        """
        ...

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """End the job if it carries the token; fine when it has ended or gone. It may take a while to end."""
        ...

    async def states(self) -> Mapping[str, str]:
        """An opaque state for each live job: a change means that `read` may have something new.

        The cost must not grow with jobs that have ended long ago.
        """
        ...

    def phase_of(self, state: str) -> Phase | None:
        """The phase that one of `states()` stands for; None when only `read` can tell."""
        ...

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """Why a released job waits; may be expensive, and is asked for one job when a person wants it."""
        ...

    async def claimed(self) -> list[tuple[Claim, str]]:
        """All unfinished jobs that carry a token of this site, for the sweep."""
        ...
