"""What the process tells over HTTP, and what it counts."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import generate_latest

from platformctl.router.loop import metrics
from platformctl.router.loop.health import answering
from platformctl.router.metrics import QUEUE_DEPTH
from tests.integration.control_plane import free_port


@pytest.fixture(autouse=True)
def _from_nothing() -> None:
    """Metrics are the process's: also of one that runs its tests more than once."""
    metrics.REQUEST_SECONDS.clear()


async def fetch(address: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(address + path) as answer:
        return answer.status, await answer.text()


async def answers(
    missing: Callable[[], list[str]], refresh: Callable[[], None], path: str
) -> tuple[int, str]:
    address = f"http://127.0.0.1:{free_port()}"
    async with answering(address + "/healthz", missing, refresh):
        return await fetch(address, path)


async def test_it_is_healthy_while_it_answers_and_ready_once_nothing_is_missing() -> None:
    assert await answers(lambda: ["/jobs"], lambda: None, "/healthz") == (200, "ok\n")
    assert await answers(lambda: ["/jobs"], lambda: None, "/readyz") == (503, "waits for /jobs\n")
    assert await answers(lambda: [], lambda: None, "/readyz") == (200, "ok\n")


async def test_metrics_are_brought_up_to_date_when_they_are_asked_for() -> None:
    status, text = await answers(lambda: [], lambda: QUEUE_DEPTH.set(17), "/metrics")
    assert status == 200
    assert "job_router_queue_depth 17.0" in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(("status", "code"), [(200, "200"), (503, "503")])
async def test_requests_are_counted_by_code(status: int, code: str) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/x", handler)
    server = TestServer(app)
    await server.start_server()
    server_name = f"test-{code}"
    async with aiohttp.ClientSession(trace_configs=[metrics.requests(server_name)]) as session:
        await session.get(server.make_url("/x"))
    await server.close()
    assert f'count{{code="{code}",method="GET",server="{server_name}"}} 1.0' in shown()


async def test_a_request_without_an_answer_is_counted_too() -> None:
    async with aiohttp.ClientSession(trace_configs=[metrics.requests("nobody")]) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{free_port()}/")
    assert 'count{code="none",method="GET",server="nobody"} 1.0' in shown()


def shown() -> str:
    return generate_latest(metrics.REGISTRY).decode()


def test_every_metric_is_named_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "router.md").read_text()
    for family in metrics.REGISTRY.collect():
        if family.name.startswith("job_router_"):
            assert f"`{family.name}" in page
