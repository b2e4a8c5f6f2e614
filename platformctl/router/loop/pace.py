"""Spreads work that many Jobs request at the same moment: each gets the time until its turn."""

import time

from platformctl.router.loop.queue import Key

_STALE = 60.0


class Pace:
    """A number of turns a second. Owners share them: one with many Jobs does not delay another's Job.

    A turn that was given stays, so when an owner joins, there are more turns for a while.
    """

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next: dict[str, float] = {}
        self._turns: dict[Key, float] = {}

    def wait(self, key: Key, owner: str) -> float:
        """Seconds until a key's turn; 0.0 if it is now, which uses the turn."""
        now = time.monotonic()
        turn = self._turns.get(key)
        if turn is None or turn < now - _STALE:
            self._next = {whose: due for whose, due in self._next.items() if due > now}
            turn = max(now, self._next.get(owner, 0.0))
            self._next[owner] = turn + self._gap * len({*self._next, owner})
        if turn <= now:
            self._turns.pop(key, None)
            return 0.0
        self._turns[key] = turn
        return turn - now
