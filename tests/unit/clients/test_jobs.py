"""The client of Jobs where an API server is not as one wishes."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from platformctl.clients.jobs import JobsClient, NoJobsError, NoLogsError
from platformctl.clients.kubernetes import Connection, KubernetesClient, NotFoundError, UnavailableError
from platformctl.vocabulary import API, LOGS_API

HERE = f"{API}/namespaces/team1/jobs"
LOG = f"{LOGS_API}/namespaces/team1/jobs/x/log"


@asynccontextmanager
async def client(**routes: Any) -> AsyncIterator[JobsClient]:
    """A client of a server with handlers by path."""
    app = web.Application()
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    server = TestServer(app)
    await server.start_server()
    try:
        connection = Connection(str(server.make_url("")).rstrip("/"))
        async with KubernetesClient(connection) as kubernetes:
            yield JobsClient(kubernetes, "team1")
    finally:
        await server.close()


def job(version: int, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "uid": "u", "resourceVersion": str(version)}, "status": status}


async def test_a_cluster_without_the_api_is_told_from_a_job_that_is_not_there() -> None:
    async def fine(_request: web.Request) -> web.Response:
        return web.json_response({})

    async with client() as jobs:
        for call in (jobs.get("x"), jobs.list(), jobs.submit({"metadata": {}})):
            with pytest.raises(NoJobsError):
                await call
        with pytest.raises(NoLogsError):
            await jobs.page("x")
    async with client(**{API: fine, LOGS_API: fine}) as jobs:
        with pytest.raises(NotFoundError):
            await jobs.get("x")
        with pytest.raises(NotFoundError):
            await jobs.page("x")


async def test_a_watch_that_breaks_is_begun_again() -> None:
    """The first watch ends in the middle of an event, the second is too old, the third sees the end."""
    watches = iter(
        [
            orjson.dumps({"type": "MODIFIED", "object": job(2, phase="Queued")}) + b'\n{"type": "MODI',
            orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}}) + b"\n",
            orjson.dumps({"type": "BOOKMARK", "object": {}})
            + b"\n"
            + orjson.dumps({"type": "DELETED", "object": job(4, phase="Running")})
            + b"\n",
        ]
    )

    async def answer(request: web.Request) -> web.Response:
        assert request.query["fieldSelector"] == "metadata.name=x"
        if "watch" in request.query:
            return web.Response(body=next(watches))
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [job(1, phase="Pending")]})

    async with client(**{HERE: answer}) as jobs, aclosing(jobs.changes("x")) as changes:
        phases = [found["status"]["phase"] async for found in changes]
    assert phases == ["Pending", "Queued", "Pending", "Pending"]


async def test_a_followed_output_that_breaks_is_taken_up_where_it_was() -> None:
    asked: list[tuple[bool, str]] = []
    text = b"0123456789"

    async def log(request: web.Request) -> web.StreamResponse:
        follow, offset = "follow" in request.query, int(request.query.get("offset", 0))
        asked.append((follow, str(offset)))
        if not follow:
            body = text[offset : offset + 2]
            complete = "true" if offset + 2 >= len(text) else "false"
            return web.Response(
                body=body, headers={"Kfoundry-Offset": str(offset), "Kfoundry-Complete": complete}
            )
        response = web.StreamResponse(headers={"Kfoundry-Offset": str(offset), "Content-Length": "100"})
        await response.prepare(request)
        await response.write(text[offset : offset + 3])
        assert request.transport
        request.transport.abort()
        return response

    async with client(**{LOG: log}) as jobs, aclosing(jobs.follow("x")) as pieces:
        assert b"".join([piece async for piece in pieces]) == text
    assert [follow for follow, _ in asked] == [True, False, True, False]


async def test_the_logs_api_is_named_when_it_is_the_one_that_is_away() -> None:
    async def away(_request: web.Request) -> web.Response:
        return web.json_response({"message": "no endpoints available"}, status=503)

    async with client(**{LOG: away}) as jobs:
        with pytest.raises(UnavailableError, match=r"the logs API.* does not answer: no endpoints"):
            await jobs.page("x")
