from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from platformctl.clients import kubeconfig
from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    Connection,
    ExpiredError,
    KubernetesClient,
    NotFoundError,
    UnavailableError,
    from_document,
    from_kubeconfig,
    in_cluster,
)
from platformctl.errors import PlatformError


def write(path: Path, **user: Any) -> Path:
    cluster = {"server": "http://127.0.0.1:1/", "tls-server-name": "api.lab.example"}
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "other", "cluster": {}}, {"name": "k", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return path


def test_the_current_context_counts(tmp_path: Path) -> None:
    found = from_kubeconfig(write(tmp_path / "config", token="t"))
    assert (found.server, found.token, found.server_name) == ("http://127.0.0.1:1", "t", "api.lab.example")
    assert found.bearer() == "t"


def test_a_kubeconfig_without_a_server_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("clusters: []\n")
    with pytest.raises(ValueError, match="current context"):
        from_kubeconfig(tmp_path / "config")


def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    connection = Connection("http://x", token_file=tmp_path / "token")
    assert connection.bearer() == "one"
    (tmp_path / "token").write_text("two\n")
    assert connection.bearer() == "two"


def test_a_pod_knows_its_cluster(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        in_cluster("::1", "443", tmp_path)


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (404, "get", NotFoundError),
        (409, "merge", ConflictError),
        (409, "create", AlreadyExistsError),
        (403, "get", ApiError),
        (429, "get", UnavailableError),
        (503, "get", UnavailableError),
    ],
)
async def test_errors_are_typed(status: int, method: str, expected: type[ApiError]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"reason": "R", "message": "in words"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/x", answer)
    server = TestServer(app)
    await server.start_server()
    async with KubernetesClient(Connection(str(server.make_url("")).rstrip("/"))) as client:
        call = client.get("/x") if method == "get" else getattr(client, method)("/x", {})
        with pytest.raises(ApiError, match="in words") as caught:
            await call
    await server.close()
    assert type(caught.value) is expected
    assert caught.value.code == status


async def test_nobody_there_is_unavailable() -> None:
    async with KubernetesClient(Connection("http://127.0.0.1:9")) as client:
        with pytest.raises(UnavailableError):
            await client.get("/x")


@asynccontextmanager
async def served(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[KubernetesClient]:
    app = web.Application()
    app.router.add_get("/x", handler)
    server = TestServer(app)
    await server.start_server()
    async with KubernetesClient(Connection(str(server.make_url("")).rstrip("/"))) as client:
        yield client
    await server.close()


def streamed(*chunks: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that sends the chunks one by one and ends the stream."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return handler


async def events(client: KubernetesClient) -> list[dict[str, Any]]:
    return [event async for event in client.watch("/x", "7", 60)]


async def test_events_come_whole_however_the_stream_is_cut() -> None:
    long = b'{"type": "ADDED", "object": {"data": "' + b"x" * 300_000 + b'"}}\n'
    async with served(
        streamed(b'{"type": "BOOK', b'MARK", "object": {}}\n{"type', b'": "A"}\n', long)
    ) as client:
        found = await events(client)
    assert [event["type"] for event in found] == ["BOOKMARK", "A", "ADDED"]
    assert len(found[2]["object"]["data"]) == 300_000


async def test_a_part_of_an_event_at_the_end_is_dropped() -> None:
    async with served(streamed(b'{"type": "A"}\n{"type": "MODIF')) as client:
        assert await events(client) == [{"type": "A"}]


async def test_a_version_that_is_too_old_is_told_in_the_stream_or_before_it() -> None:
    status = b'{"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}'
    async with served(streamed(b'{"type": "ERROR", "object": ' + status + b"}\n")) as client:
        with pytest.raises(ExpiredError, match="too old"):
            await events(client)

    async def gone(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=410, body=status)

    async with served(gone) as client:
        with pytest.raises(ExpiredError, match="too old"):
            await events(client)


async def test_a_stream_that_breaks_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type": "A"}\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with served(handler) as client:
        with pytest.raises(UnavailableError):
            await events(client)


async def test_pages_are_followed_to_the_end_and_grow_while_they_are_light() -> None:
    asked: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        rest = {"continue": str(len(asked))} if len(asked) < 3 else {}
        heavy = "x" * (3 * 2**20) if len(asked) == 2 else ""
        return web.json_response({"metadata": rest, "items": [len(asked)], "heavy": heavy})

    async with served(handler) as client:
        pages = [page["items"] async for page in client.list_pages("/x", labelSelector="a")]
    assert pages == [[1], [2], [3]]
    assert [page.get("continue") for page in asked] == [None, "1", "2"]
    assert {page["labelSelector"] for page in asked} == {"a"}
    sizes = [int(page["limit"]) for page in asked]
    assert sizes[0] < sizes[1]
    assert sizes[2] < sizes[1]


async def test_a_page_of_large_objects_is_not_read_to_its_end_but_asked_for_again_in_parts() -> None:
    """Small objects first, so that pages grow; then some of a megabyte."""
    sizes = [100] * 2000 + [2**20] * 20
    most: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        first, count = int(request.query.get("continue", 0)), int(request.query["limit"])
        items = ["x" * size for size in sizes[first : first + count]]
        rest = {"continue": str(first + count)} if first + count < len(sizes) else {}
        most.append(sum(map(len, items)))
        return web.json_response({"metadata": rest, "items": items})

    async with served(handler) as client:
        pages = [[len(item) for item in page["items"]] async for page in client.list_pages("/x")]
    assert [size for page in pages for size in page] == sizes
    assert max(sum(page) for page in pages) <= 4 * 2**20
    assert max(most) > 4 * 2**20


async def test_metadata_is_asked_for_without_the_rest() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"name": request.headers["Accept"]}})

    async with served(handler) as client:
        found = await client.metadata("/x")
    assert "as=PartialObjectMetadata" in found["metadata"]["name"]


@pytest.mark.parametrize("data", ["bm90IGEgY2VydGlmaWNhdGU=", "a"])
def test_credentials_that_cannot_be_used_are_said(data: str) -> None:
    cluster = {"server": "https://192.0.2.1:6443", "certificate-authority-data": data}
    given = kubeconfig.Entries("c", {"cluster": "k", "user": "u"}, cluster, {}).document()
    with pytest.raises(PlatformError, match="credentials for the Kubernetes API cannot be used"):
        from_document(given)
