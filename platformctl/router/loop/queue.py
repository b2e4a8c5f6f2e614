"""The work queue: keys to reconcile. A key is in it at most once, and is never reconciled twice at a time.

After a failure a key is retried with growing delays, up to MAX_DELAY; a success resets the delay. The owners
of keys take turns, and no owner has all workers. Urgent keys of an owner, such as a new Job or a user's
request, go before ordinary ones, such as changes of running jobs.
"""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from platformctl.router.loop.turns import Turns, share

FIRST_DELAY, MAX_DELAY = 0.5, 30.0

type Key = tuple[str, str]
"""Namespace and name of an object."""

type Work = Callable[[Key], Awaitable[float | None]]
"""Reconciles one object; returns the seconds until it is due again, or None."""


class RetryLater(Exception):  # noqa: N818  (an instruction)
    """Raised by work that should be retried later."""


class WorkQueue:
    """Keys, some of them due later. A closed queue ignores new keys; the code that opens it adds them.

    owner: whose a key is. workers: how many keys are in work at the same time.
    """

    def __init__(self, owner: Callable[[Key], str] = lambda _: "", workers: int = 1) -> None:
        self._owner = owner
        self._workers = workers
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._ready = Turns[Key](share(self._workers))
        self._places = asyncio.Semaphore(0)
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
        return len(self._ready)

    def waiting(self, owner: str) -> int:
        """How many keys of an owner are due now."""
        return self._ready.waiting(owner)

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
        elif self._ready.put(self._owner(key), key, urgent):
            self._places.release()

    async def run(self, work: Work) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wake())
            for _ in range(self._workers):
                group.create_task(self._worker(work))

    async def _worker(self, work: Work) -> None:
        while True:
            await self._places.acquire()
            taken = None if self._closed else self._ready.take()
            if taken is None:
                continue
            owner, key = taken
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
                if self._ready.done(owner):
                    self._places.release()
                if not self._busy:
                    self._idle.set()
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self.add(key, delay)

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
