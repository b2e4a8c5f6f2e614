"""An informer's copy of a collection stays true whatever its streams do."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError, ExpiredError, NotFoundError, UnavailableError
from platformctl.router.loop import informer as module
from platformctl.router.loop.informer import Informer

type Event = tuple[str, dict[str, Any]]


def thing(name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": name, "resourceVersion": str(version), "uid": uid or name}
    }


def bookmark(version: int) -> Event:
    return "BOOKMARK", {"metadata": {"resourceVersion": str(version)}}


class Server:
    """Lists what it has; each watch plays the next script; without one it stays open."""

    def __init__(self, *things: dict[str, Any], version: int = 10) -> None:
        self.things, self.version = list(things), version
        self.scripts: list[list[Event | ApiError | Callable[[], None]]] = []
        self.lists = 0
        self.watched_from: list[str] = []
        self.list_errors: list[ApiError] = []

    async def list_pages(self, path: str, **query: str) -> AsyncGenerator[dict[str, Any]]:
        self.lists += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        for start in range(0, max(len(self.things), 1), 2):
            metadata = {"resourceVersion": str(self.version)}
            yield {"metadata": metadata, "items": self.things[start : start + 2]}

    async def watch(
        self, path: str, version: str, seconds: int, **query: str
    ) -> AsyncGenerator[dict[str, Any]]:
        self.watched_from.append(version)
        if not self.scripts:
            await asyncio.Event().wait()
        for step in self.scripts.pop(0):
            if isinstance(step, ApiError):
                raise step
            if callable(step):
                step()
                continue
            yield {"type": step[0], "object": step[1]}


class Following:
    """An informer at work, and what it told."""

    def __init__(self, server: Server) -> None:
        self.told: list[tuple[str, str | None, str | None]] = []
        self.server = server
        self.informer = Informer(
            server, "/things", lambda item: item["metadata"]["resourceVersion"], self._tell
        )

    def _tell(
        self, key: tuple[str, str], before: str | None, after: str | None, _raw: dict[str, Any]
    ) -> None:
        self.told.append((key[1], before, after))

    @property
    def names(self) -> dict[str, str]:
        return {name: version for (_, name), version in self.informer.items.items()}


@asynccontextmanager
async def following(server: Server) -> AsyncIterator[Following]:
    found = Following(server)
    task = asyncio.create_task(found.informer.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.005)
    monkeypatch.setattr(module, "ABSENT_DELAY", 0.01)


async def test_pages_and_events_make_the_copy() -> None:
    server = Server(thing("a", 1), thing("b", 2), thing("c", 3))
    server.scripts = [[("ADDED", thing("d", 11)), ("MODIFIED", thing("a", 12)), ("DELETED", thing("b", 13))]]
    async with following(server) as found:
        await until(lambda: len(server.watched_from) == 2)
        assert found.names == {"a": "12", "c": "3", "d": "11"}
        assert found.told[-3:] == [("d", None, "11"), ("a", "1", "12"), ("b", "2", None)]
        assert server.watched_from == ["10", "13"]
        assert server.lists == 1


async def test_a_broken_stream_is_taken_up_after_the_last_bookmark() -> None:
    server = Server(thing("a", 1))
    server.scripts = [[bookmark(40), UnavailableError(0, "Unreachable", "reset")]]
    async with following(server) as found:
        await until(lambda: len(server.watched_from) == 2)
        assert server.watched_from == ["10", "40"]
        assert server.lists == 1
        assert found.told == [("a", None, "1")]


async def test_an_expired_version_is_listed_again_and_the_difference_told() -> None:
    server = Server(thing("a", 1), thing("b", 2))

    def go_on() -> None:
        server.things, server.version = [thing("b", 22), thing("c", 23)], 30

    server.scripts = [[go_on, ExpiredError(410, "Expired", "too old")]]
    async with following(server) as found:
        await until(lambda: len(server.watched_from) == 2)
        assert server.watched_from == ["10", "30"]
        assert found.names == {"b": "22", "c": "23"}
        assert sorted(found.told[2:]) == [("a", "1", None), ("b", "2", "22"), ("c", None, "23")]


async def test_a_list_that_expires_or_fails_is_begun_again() -> None:
    server = Server(thing("a", 1))
    server.list_errors = [ExpiredError(410, "Expired", "x"), UnavailableError(503, "x", "x")]
    async with following(server) as found:
        await asyncio.wait_for(found.informer.synced.wait(), 5)
        assert server.lists == 3


async def test_what_did_not_change_is_not_told() -> None:
    server = Server(thing("a", 1))
    server.scripts = [[("MODIFIED", thing("a", 1)), ("ADDED", thing("b", 11))]]
    async with following(server) as found:
        await until(lambda: len(found.told) == 2)
        assert found.told == [("a", None, "1"), ("b", None, "11")]


async def test_an_api_that_is_not_there_is_an_empty_collection_until_it_comes() -> None:
    server = Server(thing("a", 1))
    server.list_errors = [NotFoundError(404, "NotFound", "no such API")]
    async with following(server) as found:
        await asyncio.wait_for(found.informer.synced.wait(), 5)
        assert found.names == {}
        await until(lambda: found.names == {"a": "1"})


async def test_a_collection_whose_api_goes_is_empty() -> None:
    server = Server(thing("a", 1))
    server.scripts = [[server.things.clear, NotFoundError(404, "NotFound", "the definition was deleted")]]
    async with following(server) as found:
        await until(lambda: found.told == [("a", None, "1"), ("a", "1", None)])


async def test_a_server_that_ends_every_stream_at_once_is_not_hammered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.05)
    server = Server(thing("a", 1))
    server.scripts = [[] for _ in range(1000)]
    async with following(server):
        await until(lambda: len(server.watched_from) >= 2)
        # How often it asks in a while.
        await asyncio.sleep(0.2)
        assert len(server.watched_from) < 8
