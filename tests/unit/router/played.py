"""A client of the API server that plays a list and a watch."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from platformctl.router.loop.informer import Informer

type Event = tuple[str, dict[str, Any]]


class Played:
    """Lists some objects, then plays events, then stays open."""

    def __init__(self, items: list[dict[str, Any]], *events: Event) -> None:
        self._items = items
        self._events = list(events)
        self.done = asyncio.Event()

    async def list_pages(self, path: str, **query: str) -> AsyncGenerator[dict[str, Any]]:
        yield {"metadata": {"resourceVersion": "1"}, "items": self._items}

    async def watch(
        self, path: str, version: str, seconds: int, **query: str
    ) -> AsyncGenerator[dict[str, Any]]:
        while self._events:
            kind, item = self._events.pop(0)
            yield {"type": kind, "object": item}
        self.done.set()
        await asyncio.Event().wait()


async def play(source: Played, informer: Informer[Any]) -> None:
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(source.done.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
