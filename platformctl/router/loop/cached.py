"""Caches an answer for some seconds; concurrent callers share one request."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any


class Cached[T]:
    """One cached answer. If the request fails, the next caller repeats it."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._begun = float("-inf")
        self._value: list[T] = []

    async def get(self, seconds: float | None = None) -> T:
        """The answer, at most this many seconds old; by default as old as the cache allows."""
        oldest = self._seconds if seconds is None else min(seconds, self._seconds)
        async with self._asking:
            if not self._value or time.monotonic() >= self._begun + oldest:
                begun = time.monotonic()
                self._value = [await self._ask()]
                self._begun = begun
        return self._value[0]
