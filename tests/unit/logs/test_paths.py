"""Which paths the logs API takes for a Job's output: only names that the API server could hold."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from platformctl.logs import server

PREFIX = "/apis/logs.kfoundry.io/v1alpha1/namespaces/"


async def _matches(rest: str) -> bool:
    async def fine(_request: web.Request) -> web.Response:
        return web.Response()

    router = web.UrlDispatcher()
    router.add_get(server._LOG, fine)
    request = make_mocked_request("GET", "/")
    request._rel_url = URL(f"{PREFIX}{rest}/log", encoded=True)
    return (await router.resolve(request)).http_exception is None


@pytest.mark.parametrize("rest", ["a/jobs/b", "team-1/jobs/b.c-2", "a/jobs/" + "b" * 63])
async def test_names_are_taken(rest: str) -> None:
    assert await _matches(rest)


@pytest.mark.parametrize(
    "rest",
    [
        "a/jobs/..%2F..%2Fpods",
        "a%2Fb/jobs/c",
        "a/jobs/B",
        "a/jobs/b%3Fx",
        "a/jobs/" + "b." * 126 + "bb",
        "a.b/jobs/c",
    ],
)
async def test_anything_else_is_not_found(rest: str) -> None:
    assert not await _matches(rest)
