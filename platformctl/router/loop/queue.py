"""The work queue: keys to reconcile, each at most once in it and never worked on twice at the same time.

What failed comes back later and later, up to MAX_DELAY; what succeeded starts again without delay. Urgent
keys, such as a new Job or a user's request, go before ordinary ones, such as the news of running jobs.
Every fourth turn is an ordinary one, so that neither waits for ever.
"""

import asyncio
import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

FIRST_DELAY, MAX_DELAY = 0.5, 30.0
_TURNS = 4

type Key = tuple[str, str]
"""Namespace and name of an object."""

type Work = Callable[[Key], Awaitable[float | None]]
"""Reconciles one object; returns the seconds until it is due again, or None."""


class RetryLater(Exception):  # noqa: N818  (an instruction)
    """Raised by work that failed for now."""


class WorkQueue:
    """Keys, some of them due later. While it is closed, it takes no keys: who opens it adds them."""

    def __init__(self) -> None:
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._ready: dict[bool, deque[Key]] = {True: deque(), False: deque()}
        self._waiting: dict[Key, bool] = {}
        self._places = asyncio.Semaphore(0)
        self._turn = itertools.count(1)
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._order = itertools.count()
        self._alarm = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """How many keys are due now."""
        return len(self._waiting)

    def open(self) -> None:
        """Begin anew, with no keys."""
        self._reset()
        self._closed = False

    def close(self) -> None:
        """Hand out and take no more keys."""
        self._closed = True

    async def finish(self, seconds: float) -> None:
        """Close, and wait at most so long for the work in progress."""
        self.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)

    def add(self, key: Key, delay: float = 0.0, urgent: bool = True) -> None:
        """Queue a key after delay seconds, and then not as urgent; an earlier due time stays."""
        if self._closed:
            return
        if delay > 0:
            due = time.monotonic() + delay
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._later, (due, next(self._order), key))
                self._alarm.set()
        elif key in self._busy:
            self._again.add(key)
        elif key not in self._waiting or urgent:
            self._enter(key, urgent)

    async def run(self, work: Work, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wake())
            for _ in range(workers):
                group.create_task(self._worker(work))

    async def _worker(self, work: Work) -> None:
        while True:
            await self._places.acquire()
            key = self._next()
            if key is None or self._closed:
                continue
            self._busy.add(key)
            self._idle.clear()
            # This reconcile serves an earlier due time too.
            self._due.pop(key, None)
            try:
                delay = await work(key)
                self._failures.pop(key, None)
            except RetryLater:
                delay = self._backoff(key)
            finally:
                self._busy.discard(key)
                if not self._busy:
                    self._idle.set()
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self.add(key, delay)

    def _enter(self, key: Key, urgent: bool) -> None:
        """Take a place in line; what waits already can only become more urgent."""
        if self._waiting.get(key):
            return
        self._waiting[key] = urgent
        self._ready[urgent].append(key)
        self._places.release()

    def _next(self) -> Key | None:
        """The first in line; None for a place whose key has moved to the other line."""
        ordinary_turn = next(self._turn) % _TURNS == 0
        urgent = bool(self._ready[True]) and not (ordinary_turn and self._ready[False])
        key = self._ready[urgent].popleft()
        if self._waiting.get(key) is not urgent:
            return None
        del self._waiting[key]
        return key

    def _backoff(self, key: Key) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # Spread over half the delay, or a thousand waiting jobs would all return in the same instant.
        delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10))
        return delay * random.uniform(0.5, 1.0)  # noqa: S311

    async def _wake(self) -> None:
        while True:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                due, _, key = heapq.heappop(self._later)
                if self._due.get(key) == due:
                    del self._due[key]
                    self.add(key, urgent=False)
            self._alarm.clear()
            pause = self._later[0][0] - now if self._later else None
            try:
                await asyncio.wait_for(self._alarm.wait(), pause)
            except TimeoutError:
                continue
