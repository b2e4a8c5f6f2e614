"""Items of several owners that wait, taken in turn: one of each owner, whoever has how many.

So an owner with a thousand items delays the next item of another owner by one item. Of one owner's items the
urgent ones go first; every fourth is an ordinary one, so that none waits for ever.
"""

from collections import Counter, deque
from collections.abc import Hashable

_ORDINARY_EVERY = 4


def share(places: int) -> int:
    """How many of the places one owner may have; the others stay free for everybody else."""
    return max(1, places - places // 4)


class _Lines[T]:
    """What waits of one owner. An item that became urgent is in both lines, and is skipped in the other."""

    def __init__(self) -> None:
        self.waiting = 0
        self.ready: dict[bool, deque[T]] = {True: deque(), False: deque()}
        self.turn = 0


class Turns[T: Hashable]:
    """at_once: how many taken items of one owner may be in work at the same time; None for any number."""

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once
        self._waiting: dict[T, tuple[str, bool]] = {}
        # In the order of their turns: the owners that have waiting items.
        self._owners: dict[str, _Lines[T]] = {}
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def waiting(self, owner: str) -> int:
        """How many items of an owner wait."""
        lines = self._owners.get(owner)
        return lines.waiting if lines else 0

    def put(self, owner: str, item: T, urgent: bool = True) -> bool:
        """Let an item wait; one that waits already can only become more urgent.

        Returns whether one item more can be taken now.
        """
        known = self._waiting.get(item)
        if known is not None:
            owner = known[0]
            if known[1] or not urgent:
                return False
        lines = self._owners.setdefault(owner, _Lines())
        self._waiting[item] = owner, urgent
        lines.ready[urgent].append(item)
        if known is not None:
            return False
        lines.waiting += 1
        return self._at_once is None or lines.waiting <= self._at_once - self._busy[owner]

    def drop(self, item: T) -> None:
        """Forget an item that waits."""
        owner, _ = self._waiting.pop(item)
        self._owners[owner].waiting -= 1
        if not self._owners[owner].waiting:
            del self._owners[owner]

    def take(self) -> tuple[str, T] | None:
        """The owner whose turn it is, and its item; `done` must follow. None if nothing can be taken now."""
        for owner in self._owners:
            if self._at_once is None or self._busy[owner] < self._at_once:
                break
        else:
            return None
        item = self._first(owner, self._owners[owner])
        self.drop(item)
        self._busy[owner] += 1
        if owner in self._owners:
            self._owners[owner] = self._owners.pop(owner)
        return owner, item

    def done(self, owner: str) -> bool:
        """An item of the owner is no longer in work. Returns whether one item more can be taken now."""
        self._busy[owner] -= 1
        free = None if self._at_once is None else self._at_once - self._busy[owner]
        if not self._busy[owner]:
            del self._busy[owner]
        return free is not None and self.waiting(owner) >= free

    def _first(self, owner: str, lines: _Lines[T]) -> T:
        lines.turn += 1
        ordinary_turn = lines.turn % _ORDINARY_EVERY == 0
        for urgent in (False, True) if ordinary_turn else (True, False):
            line = lines.ready[urgent]
            while line:
                item = line.popleft()
                if self._waiting.get(item) == (owner, urgent):
                    return item
        raise AssertionError(f"{owner} has no item")
