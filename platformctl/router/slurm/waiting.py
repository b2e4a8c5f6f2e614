"""Selects waiting jobs to read again: the list of states has neither their reason nor estimated start."""

from collections.abc import Callable, Mapping

from platformctl.router.loop.turns import Turns

# How many waiting jobs are read again with each poll of the states.
_AT_A_TIME = 2


class Waiting:
    """The waiting jobs of the site. Their users take turns, and so do the jobs of each user."""

    def __init__(self) -> None:
        self._turns = Turns[int]()
        self._times: dict[int, int] = {}

    def add(self, number: int, user: str) -> None:
        """Add a job of the site that waits."""
        self._turns.put(user, number)

    def marked(self, states: Mapping[str, str], ours: Callable[[int], bool]) -> dict[str, str]:
        """The states; those of the next few waiting jobs are changed so that these are read again.

        ours: whether a job is still known to belong to the site.
        """
        for number in [number for number in self._times if states.get(str(number)) != "PENDING"]:
            del self._times[number]
        for _ in range(min(len(self._turns), 4 * _AT_A_TIME)):
            taken = self._turns.take()
            if taken is None:
                break
            user, number = taken
            self._turns.done(user)
            if not ours(number) or states.get(str(number)) != "PENDING":
                continue
            self._turns.put(user, number)
            self._times[number] = self._times.get(number, 0) + 1
        marks = {str(number): f"{states[str(number)]}#{times}" for number, times in self._times.items()}
        return {**states, **marks}
