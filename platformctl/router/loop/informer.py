"""A cache of one collection of the API server, kept up to date by a watch.

It lists in pages, then watches from the list's resourceVersion. If the stream ends or breaks, it resumes from
the last version; bookmarks keep that version recent. It lists the collection again only if the server no
longer knows the version (410), and reports what changed in between like any other change. To save memory it
keeps only a projection of each object.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import structlog

from platformctl.clients.kubernetes import ApiError, ExpiredError, KubernetesClient, NotFoundError
from platformctl.router.loop import metrics
from platformctl.router.loop.queue import Key

FIRST_DELAY, MAX_DELAY, ABSENT_DELAY = 0.2, 30.0, 30.0
WATCH_SECONDS = 280
_SETTLED_SECONDS = 5.0

log = structlog.get_logger(__name__)

type Changed[T] = Callable[[Key, T | None, T | None, dict[str, Any]], None]
"""Called for a change: key, projection before (None: new) and after (None: deleted), and the object."""


class Informer[T]:
    """The cache of one collection.

    items: the projection of every object, by namespace and name. synced: set once all were listed. A
    collection that does not exist (404) counts as empty and is listed again from time to time.
    """

    def __init__(
        self,
        source: KubernetesClient,
        path: str,
        project: Callable[[dict[str, Any]], T],
        changed: Changed[T] | None = None,
        **query: str,
    ) -> None:
        self.path = path
        self.items: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self.lists = 0
        self.heard = time.monotonic()
        self._source = source
        self._project = project
        self._changed = changed
        self._query = query
        self._version = ""
        self._failures = 0

    def count(self) -> None:
        """Update the metrics."""
        metrics.WATCH_SILENCE.labels(self.path).set(time.monotonic() - self.heard)
        metrics.WATCH_LISTS.labels(self.path).set(self.lists)

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            begun = time.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ExpiredError:
                self._version = ""
                log.info("the watch is too old, listing again", path=self.path)
            except NotFoundError:
                self._empty()
                await asyncio.sleep(ABSENT_DELAY * random.uniform(0.5, 1.0))  # noqa: S311
            except ApiError as error:
                log.warning("the API server does not answer a watch", path=self.path, why=str(error))
            # A stream that lasted was fine. One that ends at once is a failure, even without an error.
            self._failures = 0 if time.monotonic() - begun > _SETTLED_SECONDS else self._failures + 1
            await asyncio.sleep(self._delay())

    async def _list(self) -> None:
        listed: set[Key] = set()
        version = ""
        async with aclosing(self._source.list_pages(self.path, **self._query)) as pages:
            async for page in pages:
                version = page["metadata"]["resourceVersion"]
                for item in page["items"]:
                    listed.add(self._store(item))
                self.heard = time.monotonic()
        for key in self.items.keys() - listed:
            self._remove(key, {})
        self._version = version
        self.lists += 1
        self.synced.set()

    async def _watch(self) -> None:
        seconds = int(WATCH_SECONDS * random.uniform(0.75, 1.0))  # noqa: S311
        stream = self._source.watch(self.path, self._version, seconds, **self._query)
        async with aclosing(stream) as events:
            async for event in events:
                self.heard = time.monotonic()
                item = event["object"]
                if event["type"] == "DELETED":
                    self._remove(_key(item), item)
                elif event["type"] != "BOOKMARK":
                    self._store(item)
                self._version = item["metadata"]["resourceVersion"]

    def _store(self, item: dict[str, Any]) -> Key:
        key, after = _key(item), self._project(item)
        before = self.items.get(key)
        self.items[key] = after
        if self._changed and before != after:
            self._changed(key, before, after, item)
        return key

    def _remove(self, key: Key, item: dict[str, Any]) -> None:
        before = self.items.pop(key, None)
        if self._changed and before is not None:
            self._changed(key, before, None, item)

    def _empty(self) -> None:
        for key in list(self.items):
            self._remove(key, {})
        self._version = ""
        self.heard = time.monotonic()
        self.synced.set()

    def _delay(self) -> float:
        if not self._failures:
            return 0.0
        longest = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _key(item: dict[str, Any]) -> Key:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
