"""A number of places for requests; those who wait for one get it in turn by owner, see `turns`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from platformctl.router.loop.turns import Turns, share


class Slots:
    """count: how many requests at the same time; one owner has at most three quarters of them."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._turns = Turns[asyncio.Future[None]](share(count))

    @asynccontextmanager
    async def hold(self, owner: str) -> AsyncIterator[None]:
        """Wait for a place, and have it until the end of the block."""
        place = asyncio.get_running_loop().create_future()
        self._turns.put(owner, place)
        self._hand_out()
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._turns.drop(place)
            else:
                self._leave(owner)
            raise
        try:
            yield
        finally:
            self._leave(owner)

    def _leave(self, owner: str) -> None:
        self._turns.done(owner)
        self._free += 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (taken := self._turns.take()):
            self._free -= 1
            taken[1].set_result(None)
