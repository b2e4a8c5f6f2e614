"""Brings one scheduler to what was judged, in a thread: a scheduler that hangs delays nothing else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

SETTLED_SECONDS, PENDING_SECONDS = 10.0, 1.0


class UnansweredError(Exception):
    """The scheduler did not do what it was asked; it is asked again."""


class Follower:
    """Brings a reason to a scheduler, and again when it changes, when it failed, and now and then.

    bring: takes the reason, empty for none, and returns after how many seconds to look again; None for not
    before the reason changes.
    """

    def __init__(self, name: str, bring: Callable[[str], float | None]) -> None:
        self._name = name
        self._bring = bring
        self._wanted: str | None = None
        self._news = threading.Event()
        self._told = ""
        self._failed = 0

    def want(self, reason: str) -> None:
        """Say what the scheduler is to be told. Nothing is done before the first call."""
        if reason == self._wanted:
            return
        first = self._wanted is None
        self._wanted = reason
        self._news.set()
        if first:
            threading.Thread(target=self._follow, name=self._name, daemon=True).start()

    def _follow(self) -> None:
        while True:
            self._news.clear()
            self._news.wait(self.once())

    def once(self) -> float | None:
        """Bring the reason; returns after how many seconds to do it again, None for never."""
        try:
            again = self._bring(self._wanted or "")
        except Exception as error:
            # Whatever it is, the thread goes on.
            self._say(self._words(error))
            self._failed += 1
            return min(PENDING_SECONDS * self._failed, SETTLED_SECONDS)
        self._say("")
        self._failed = 0
        return again

    def released(self) -> str:
        """Bring that no device is faulty, once. Returns why that is not done; empty if it is."""
        try:
            again = self._bring("")
        except Exception as error:
            # Whatever it is, the other scheduler has its turn.
            return self._words(error)
        return "" if again is None else f"{self._name}: the node is down, and its drain ends when it is up"

    def _words(self, error: Exception) -> str:
        expected = isinstance(error, (UnansweredError, OSError))
        return f"{self._name}: {error if expected else repr(error)}"

    def _say(self, words: str) -> None:
        """Write something into the service's log once, not at each try."""
        if words and words != self._told:
            sys.stderr.write(f"{words}\n")
        self._told = words
