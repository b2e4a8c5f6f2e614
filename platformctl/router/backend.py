"""The protocol between the router and a back end: the calls, and their answers.

A back end is a scheduler behind this protocol. `platformctl docs backends` lists what a new one needs.
tests/contracts/backend.py tests every back end against this protocol.

The calls of an attempt, in order:

1. `unfit` and `load` help to choose the back end.
2. `submit_held` submits a job that cannot start, with the token.
3. `read` checks that the job of the id has the token; not needed if the back end is `durable`.
4. The router records the id, and `release` lets the job start.
5. `states` says which jobs changed, and `read` returns their state. `cancel` ends a job.
6. After a crash, `find` and `claimed` return the jobs that were submitted but not recorded.

A back end keeps only state that it can afford to lose: the router may die between any two calls. Calls for
different jobs run at the same time. A back end never retries by itself. It raises

- Unavailable when it cannot tell whether a request worked,
- Busy when the scheduler accepts no more jobs for now, UserBusy when it accepts no more of this user,
- Refused when the request certainly did not work and never will.

Any other exception is a defect. The texts are for the user who waits: what is wrong, and which field or
setting of theirs causes it. They name no error classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from platformctl.jobs.model import JobSpec, Queue, Target, User
from platformctl.jobs.tokens import Token
from platformctl.vocabulary import Phase


class Unavailable(Exception):  # noqa: N818  (a state of the back end)
    """The back end gave no usable answer; the request may have worked. The text says why, for people."""


class Busy(Unavailable):
    """The back end works but accepts no more now (MaxJobCount, a rate limit, HTTP 429); nothing was done."""


class UserBusy(Busy):
    """The back end accepts no more of this user now (MaxSubmitJobs, the user's rate limit)."""


class Denied(Unavailable):
    """The back end works but rejected this one request; the job itself may be fine."""


class NoNodes(Denied):
    """The back end has no node at all, so it is not known yet what could ever run there."""


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

    exit_codes: index and code of those with an exit code other than 0, lowest index first, at most 100.
    lost, done: the indices of all that failed, and of all that succeeded, if the back end knows them.
    """

    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    exit_codes: tuple[tuple[int, int], ...] = ()
    lost: tuple[int, ...] = field(default=(), compare=False)
    done: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Usage:
    """What an attempt has held so far: allocated amounts times seconds, as both schedulers charge."""

    cpu_seconds: int = 0
    gpu_seconds: int = 0


@dataclass(frozen=True)
class Seen:
    """A back end's job as it is now.

    held: submitted and not yet released. phase: Queued, Running or final. reason: plain words. Times are
    seconds since the epoch. exit_code: 128 + signal if a signal ended it. output: where to read it.
    estimated_start: the scheduler's estimate. again: another attempt may succeed (a node failed, the job was
    preempted). overran: its wall time was over, and would be again. unsettled: it is between two states, so
    the status that is already written is better than a new one. done: its command succeeded, so another
    attempt would do the work twice.
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
    """Why a job waits.

    sentences: one for each cause, most important first. behind: ids of jobs that go first. start: seconds
    since the epoch, None if the back end does not know it. fair_share: the user's, from 1 to 0, if the
    scheduler has one.
    """

    sentences: tuple[str, ...]
    behind: tuple[str, ...] = ()
    start: int | None = None
    fair_share: float | None = None


@dataclass(frozen=True)
class Load:
    """How much of a back end is free, from 0 to 1. gpus: None if it has none."""

    cpus: float
    gpus: float | None = None


class Backend(Protocol):
    """One scheduler. Ids are strings that only the back end understands, at most 253 characters.

    interval: seconds between two calls of `states`. reread_after: seconds after which a live job is read
    again even if no change was reported; None if `states`, or a watch, reports every change. durable: it
    never loses a job that it accepted, so a submission need not be read back.
    """

    target: Target
    interval: float
    reread_after: float | None
    durable: bool

    async def unfit(self, ticket: Ticket) -> str:
        """Why no node of the scheduler could ever run the job; empty if one could.

        Nodes that may come back (down, drained, cordoned) count. It is called before each submission, so it
        answers from memory. But a Job is refused because of this answer, so an answer that is not empty comes
        from data that is only seconds old. Raises NoNodes if there is no node to compare with.
        """
        ...

    async def load(self) -> Load:
        """How much is free, from a cached list of bounded age: it is called before submissions."""
        ...

    async def submit_held(self, ticket: Ticket) -> str:
        """Submit a job, with the token, that does not start before `release`; returns its id.

        One request creates the whole job, held, or nothing. An array is one job with one id. If the attempt
        was submitted before, the id may be the same or another one; `find` returns all of them. A `durable`
        back end accepts an attempt only once, and its token has an empty `copy`.
        """
        ...

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """Unfinished jobs of all submissions of the attempt, with their ids; listed after the call began."""
        ...

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """The job of that id if it has the token; None if there is none, or the id belongs to another job.

        It also returns ended jobs, for as long as the back end knows them. An array is final when all its
        elements are; `tasks` counts them. `usage` is set when the job has ended.
        """
        ...

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """Let the job start; a second call does no harm. The job may stay held until all its tasks fit.

        Then `read` says why, and the router calls `release` again after a while.
        """
        ...

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """End the job if it has the token; no error if it has ended or is gone. Ending may take a while."""
        ...

    async def states(self) -> Mapping[str, str]:
        """An opaque state for each live job: if it changes, `read` may return something new.

        The cost must not grow with the number of jobs that ended long ago.
        """
        ...

    def phase_of(self, state: str) -> Phase | None:
        """The phase for a state of `states()`; None if only `read` can tell."""
        ...

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """Why a released job waits. It may be expensive: it is called for one job when a person asks."""
        ...

    async def claimed(self) -> list[tuple[Claim, str]]:
        """All unfinished jobs with a token of this site, for the sweep."""
        ...
