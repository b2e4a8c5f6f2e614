"""How much each user has used lately, in CPU-seconds, so that those who used less go first.

What was used counts half after a week, a quarter after two. It is summed up from the status of Jobs: after a
restart from all Jobs that still exist, so what deleted Jobs used is then forgotten.
"""

import time
from collections.abc import Callable

HALF_LIFE = 7 * 86400.0
_NOTHING = 1e-6


class Ledger:
    """clock: seconds since the epoch."""

    def __init__(self, half_life: float = HALF_LIFE, clock: Callable[[], float] = time.time) -> None:
        self._half_life = half_life
        self._clock = clock
        # What ended attempts used, as of a moment.
        self._used: dict[str, tuple[float, float]] = {}
        # User, CPUs and start of each job that runs now; by user the sums of CPUs, and of CPUs times start.
        self._running: dict[str, tuple[str, float, float]] = {}
        self._sums: dict[str, tuple[float, float]] = {}

    def charge(self, user: str, cpu_seconds: float, at: float | None = None) -> None:
        """Add what an attempt used that ended at a time; by default now."""
        now = self._clock()
        age = 0.0 if at is None else max(0.0, now - at)
        self._used[user] = self._ended(user, now) + cpu_seconds * self._left(age), now

    def run(self, uid: str, user: str, millicores: int, since: float) -> None:
        """A job runs: until `stop`, what it has used so far counts too. since: seconds since the epoch."""
        running = user, millicores / 1000, since
        if self._running.get(uid) != running:
            self.stop(uid)
            self._running[uid] = running
            self._add(user, running[1], since)

    def stop(self, uid: str) -> None:
        """A job does not run any more, or never did."""
        if uid in self._running:
            user, cpus, since = self._running.pop(uid)
            self._add(user, -cpus, since)

    def usage(self, user: str) -> float:
        """CPU-seconds of a user, decayed."""
        now = self._clock()
        cpus, started = self._sums.get(user, (0.0, 0.0))
        return self._ended(user, now) + max(0.0, cpus * now - started)

    def fair_share(self, user: str) -> float:
        """From 1 (nothing used) to 0: a half for the average of all users who used something."""
        used = {whose: amount for whose in {*self._used, *self._sums} if (amount := self.usage(whose)) > 0}
        if user not in used:
            return 1.0
        return float(2.0 ** -(used[user] * len(used) / sum(used.values())))

    def _add(self, user: str, cpus: float, since: float) -> None:
        total, started = self._sums.get(user, (0.0, 0.0))
        self._sums[user] = total + cpus, started + cpus * since
        if abs(total + cpus) < _NOTHING:
            # What is left of sums of floating point numbers.
            del self._sums[user]

    def _ended(self, user: str, now: float) -> float:
        amount, at = self._used.get(user, (0.0, now))
        return amount * self._left(now - at)

    def _left(self, age: float) -> float:
        return float(0.5 ** (age / self._half_life))
