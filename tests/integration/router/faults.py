"""Kills a router at a chosen step: a back end and a store that count what is asked of them.

At step N the wrapper raises Killed: before the request is made, after it was carried out but not yet
answered, or while it is under way, to arrive when the test lets it. Killed is no Exception, so nothing in
the router can catch it: the look ends there, as after a SIGKILL, and only the API server and the back end
remember anything.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

STEPS = frozenset(
    {"submit_held", "find", "read", "release", "cancel", "unfit", "guard", "let_go", "write_status", "delete"}
)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Executioner:
    """Counts steps; at `step` it strikes, once. None never strikes.

    late: after the request was carried out. in_flight: the request is kept in `under_way` instead.
    """

    step: int | None = None
    late: bool = False
    in_flight: bool = False
    taken: int = 0
    under_way: Callable[[], Awaitable[Any]] | None = None
    struck: Callable[[], None] = lambda: None

    async def carry_out(self, request: Callable[[], Awaitable[Any]]) -> Any:
        """Make a request unless the process dies of it."""
        mine, self.taken = self.taken, self.taken + 1
        if mine == self.step and not self.late:
            self.under_way = request if self.in_flight else None
            self.struck()
            raise Killed
        answer = await request()
        if mine == self.step:
            self.struck()
            raise Killed
        return answer


class Watched:
    """A back end or a store whose steps are counted."""

    def __init__(self, inner: Any, executioner: Executioner) -> None:
        self._inner = inner
        self._executioner = executioner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in STEPS:
            return found

        async def counted(*arguments: Any) -> Any:
            return await self._executioner.carry_out(lambda: found(*arguments))

        return counted
