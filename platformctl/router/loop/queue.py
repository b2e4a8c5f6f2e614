"""The work queue: keys to reconcile. A key is in it at most once, and is never reconciled twice at a time.

After a failure a key is retried with growing delays, up to MAX_DELAY; a success resets the delay. Urgent
keys, such as a new Job or a user's request, go before ordinary ones, such as changes of running jobs. Every
fourth turn takes an ordinary key, so that none waits for ever.
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
    """Raised by work that should be retried later."""


class WorkQueue:
    """Keys, some of them due later. A closed queue ignores new keys; the code that opens it adds them."""

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
        """Start with no keys."""
        self._reset()
        self._closed = False

    def close(self) -> None:
        """Neither hand out nor accept keys any longer."""
        self._closed = True

    async def finish(self, seconds: float) -> None:
        """Close, and wait at most this long for the work in progress."""
        self.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)

    def add(self, key: Key, delay: float = 0.0, urgent: bool = True) -> None:
        """Queue a key after delay seconds; with a delay it is not urgent. An earlier due time is kept."""
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
            # If the key has a due time too, this reconcile serves it.
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
        """Put a key in line; a key that is already there can only become more urgent."""
        if self._waiting.get(key):
            return
        self._waiting[key] = urgent
        self._ready[urgent].append(key)
        self._places.release()

    def _next(self) -> Key | None:
        """The first in line; None for an entry whose key has moved to the other line."""
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
        # Spread over half the delay; otherwise a thousand waiting jobs would return at the same moment.
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
