"""A circuit breaker: while a back end is down or full, one request at a time tests whether it answers again.

A Breaker wraps a back end and follows the same protocol. After some failures in a row it sends only probes,
with growing pauses. Jobs that come meanwhile are parked here. Once the back end answers, they are queued
again, a few for each answer and in turn by user, so that ten thousand Jobs do not come back at the same time.
Submissions have a circuit of their own: it opens while the back end works but accepts no more jobs. If it
accepts no more of one user, only that user's circuit opens.

Requests at the same time are limited, and users take turns there too.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from time import monotonic

from platformctl.router.backend import (
    Backend,
    Busy,
    Claim,
    Denied,
    Explanation,
    Load,
    Refused,
    Seen,
    Ticket,
    Unavailable,
    UserBusy,
)
from platformctl.router.loop.queue import Key
from platformctl.router.loop.slots import Slots
from platformctl.router.loop.turns import Turns
from platformctl.vocabulary import Phase

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
_FAILURES = 3
_AT_ONCE = 16
_TICK = 1.0
# How many parked Jobs are queued again for each answer, and each second in any case.
_PER_ANSWER, _PER_TICK = 2, 16


class State(StrEnum):
    """Closed: requests are sent. Open: none are sent. Half-open: a probe was sent and is not answered yet."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitOpenError(Unavailable):
    """The circuit is open: park the Job there, to be queued later. sent: whether the request was sent."""

    def __init__(self, circuit: "Circuit", why: str, sent: bool) -> None:
        super().__init__(why)
        self.circuit = circuit
        self.sent = sent


class Circuit:
    """Decides whether requests of one kind are sent. failures: how many in a row open it."""

    def __init__(
        self, wake: Callable[[Key], None], failures: int, changed: Callable[[State], None] = lambda _: None
    ) -> None:
        self.state = State.CLOSED
        self._wake = wake
        self._allowed = failures
        self._changed = changed
        self._failures = 0
        self._why = ""
        self._pause = FIRST_PAUSE
        self._due = 0.0
        self._parked = Turns[Key]()
        self._ticking = False

    def park(self, key: Key, owner: str) -> None:
        """Queue a Job again once requests are sent again. owner: its submitter."""
        self._parked.put(owner, key)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(_TICK, self._tick)

    async def send[T](self, request: Callable[[], Awaitable[T]], counts: Callable[[Unavailable], bool]) -> T:
        """Send a request, unless the circuit is open. counts: whether an exception is a failure of this kind.

        Raises CircuitOpenError if the circuit is open before or after the request.
        """
        probe = self._enter()
        try:
            answer = await request()
        except Denied:
            # One user's job must not stop the requests for all others.
            self._succeed()
            raise
        except Unavailable as error:
            if not counts(error):
                # A back end that is full has answered.
                self._succeed() if isinstance(error, Busy) else self._give_up(probe)
                raise
            self._fail(str(error))
            if self.state is State.CLOSED:
                raise
            raise CircuitOpenError(self, str(error), sent=not isinstance(error, Busy)) from error
        except Refused:
            self._succeed()
            raise
        except BaseException:
            self._give_up(probe)
            raise
        self._succeed()
        return answer

    def _enter(self) -> bool:
        """Whether this request is the probe."""
        if self.state is State.CLOSED:
            return False
        if self.state is State.HALF_OPEN or monotonic() < self._due:
            raise CircuitOpenError(self, self._why, sent=False)
        self._become(State.HALF_OPEN)
        return True

    def _succeed(self) -> None:
        self._failures, self._pause = 0, FIRST_PAUSE
        self._become(State.CLOSED)
        self._release(_PER_ANSWER)

    def _fail(self, why: str) -> None:
        self._failures += 1
        self._why = why
        if self.state is State.HALF_OPEN:
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            self._open()
        elif self.state is State.CLOSED and self._failures >= self._allowed:
            self._open()

    def _give_up(self, probe: bool) -> None:
        """A request ended without a result of this kind. If it was the probe, another probe is needed."""
        if probe and self.state is State.HALF_OPEN:
            self._open()

    def _open(self) -> None:
        self._due = monotonic() + self._pause
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._changed(state)

    def _release(self, count: int) -> None:
        for _ in range(min(count, len(self._parked))):
            if taken := self._parked.take():
                self._parked.done(taken[0])
                self._wake(taken[1])

    def _tick(self) -> None:
        """Queue parked Jobs: some each second while closed, and one as the probe when the pause is over."""
        if self.state is State.CLOSED:
            self._release(_PER_TICK)
        elif self.state is State.OPEN and monotonic() >= self._due:
            self._release(1)
        self._ticking = bool(self._parked)
        if self._ticking:
            asyncio.get_running_loop().call_later(_TICK, self._tick)


class Breaker:
    """A back end behind circuits; see platformctl.router.backend for the protocol.

    wake: queues the Job of a key. changed: called when the back end stops or starts to answer.
    """

    def __init__(
        self,
        backend: Backend,
        wake: Callable[[Key], None],
        changed: Callable[[State], None] = lambda _: None,
    ) -> None:
        self.target = backend.target
        self.interval = backend.interval
        self.reread_after = backend.reread_after
        self.durable = backend.durable
        self._backend = backend
        self._slots = Slots(_AT_ONCE)
        self._requests = Circuit(wake, _FAILURES, changed)
        self._submissions = Circuit(wake, 1)
        self._of_users = defaultdict[str, Circuit](lambda: Circuit(wake, 1))

    @property
    def state(self) -> State:
        """Whether the back end answers."""
        return self._requests.state

    async def unfit(self, ticket: Ticket) -> str:
        """As the back end."""
        return await self._send(ticket.user.name, lambda: self._backend.unfit(ticket))

    async def load(self) -> Load:
        """As the back end."""
        return await self._send("", self._backend.load)

    def phase_of(self, state: str) -> Phase | None:
        """As the back end."""
        return self._backend.phase_of(state)

    async def submit_held(self, ticket: Ticket) -> str:
        """As the back end, unless it accepts no more jobs at the moment."""
        user = ticket.user.name

        async def submit() -> str:
            return await self._send(user, lambda: self._backend.submit_held(ticket), counts=_is_silence)

        return await self._of_users[user].send(
            lambda: self._submissions.send(submit, _is_full), lambda error: isinstance(error, UserBusy)
        )

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """As the back end."""
        return await self._send(claim.user, lambda: self._backend.find(claim))

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """As the back end."""
        return await self._send(claim.user, lambda: self._backend.read(claim, job_id))

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """As the back end."""
        await self._send(ticket.user.name, lambda: self._backend.release(ticket, job_id))

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """As the back end."""
        await self._send(claim.user, lambda: self._backend.cancel(claim, job_id))

    async def states(self) -> Mapping[str, str]:
        """As the back end."""
        return await self._send("", self._backend.states)

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """As the back end."""
        return await self._send(ticket.user.name, lambda: self._backend.explain(ticket, job_id))

    async def claimed(self) -> list[tuple[Claim, str]]:
        """As the back end."""
        return await self._send("", self._backend.claimed)

    async def _send[T](
        self,
        user: str,
        request: Callable[[], Awaitable[T]],
        counts: Callable[[Unavailable], bool] = lambda _: True,
    ) -> T:
        async with self._slots.hold(user):
            return await self._requests.send(request, counts)


def _is_full(error: Unavailable) -> bool:
    """Whether the back end accepts no more jobs of anybody."""
    return isinstance(error, Busy) and not isinstance(error, UserBusy)


def _is_silence(error: Unavailable) -> bool:
    """Whether the error means that the back end does not answer; Busy is an answer."""
    return not isinstance(error, Busy)
