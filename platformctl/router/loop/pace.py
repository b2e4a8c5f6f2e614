"""Spreads work that many Jobs request at the same moment: each gets the time until its turn."""

import time

from platformctl.router.loop.queue import Key

_STALE = 60.0


class Pace:
    """A fixed number of turns a second, in the order of the calls."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next = 0.0
        self._turns: dict[Key, float] = {}

    def wait(self, key: Key) -> float:
        """Seconds until a key's turn; 0.0 if it is now, which uses the turn."""
        now = time.monotonic()
        turn = self._turns.get(key)
        if turn is None or turn < now - _STALE:
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn <= now:
            self._turns.pop(key, None)
            return 0.0
        self._turns[key] = turn
        return turn - now
