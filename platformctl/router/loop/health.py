"""The HTTP server for /healthz, /readyz and /metrics (Prometheus' text format).

The process is healthy while it answers. It is ready once it has listed every Job, also on standby.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import generate_latest

from platformctl.router.loop.metrics import REGISTRY


@asynccontextmanager
async def answering(
    address: str, missing: Callable[[], list[str]], refresh: Callable[[], None]
) -> AsyncIterator[None]:
    """Answer at the host and port of a URL.

    missing: what is still missing until the process is ready. refresh: updates the metrics.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        waits = missing()
        return web.Response(
            text=f"waits for {', '.join(waits)}\n" if waits else "ok\n", status=503 if waits else 200
        )

    async def metrics(_request: web.Request) -> web.Response:
        refresh()
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        where = urlsplit(address)
        await web.TCPSite(runner, where.hostname, where.port or 8080).start()
        yield
    finally:
        await runner.cleanup()
