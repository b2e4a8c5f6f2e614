"""`python -m platformctl.logs`: the process of the logs API.

Reads the file that LOGS_CONFIG names (default /etc/platformctl/logs.json). If the shared home is mounted, it
must start as root with only the capabilities SETUID and SETGID. The opener keeps them; the process that
speaks HTTP drops them before it listens.
"""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from aiohttp import web

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_environment
from platformctl.logs import opener
from platformctl.logs.config import LogsConfig, load
from platformctl.logs.files import Files
from platformctl.logs.frontproxy import CONFIG_MAP, FrontProxy
from platformctl.logs.server import LogServer

_CONFIG_MAP_SECONDS = 60.0
_GRACE_SECONDS = 5.0

log = structlog.get_logger(__name__)


def main() -> None:
    """Entry point of the container."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    )
    config = load(Path(os.environ.get("LOGS_CONFIG", "/etc/platformctl/logs.json")))
    requests = _divide(config) if config.home else None
    asyncio.run(serve(config, requests))


def _divide(config: LogsConfig) -> socket.socket:
    """Fork the opener, and drop all rights in this process. Returns the socket to the opener."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        try:
            opener.serve(theirs, str(config.home), config.users)
        finally:
            os._exit(0)
    theirs.close()
    os.setgroups([config.user])
    os.setresgid(config.user, config.user, config.user)
    os.setresuid(config.user, config.user, config.user)
    return ours


async def serve(config: LogsConfig, requests: socket.socket | None) -> None:
    """Serve until SIGTERM, or until the opener ends or the front proxy's settings change."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubernetesClient(from_environment()))
        proxy = FrontProxy.of(await client.get(CONFIG_MAP))
        files = Files(requests) if requests else None
        if files:
            stack.callback(files.close)
            files.closed.add_done_callback(lambda _: stop.set())
        application = LogServer(config, client, proxy, files).application()
        runner = web.AppRunner(
            application, handler_cancellation=True, shutdown_timeout=_GRACE_SECONDS, access_log=None
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        tls = proxy.tls(config.certificate, config.key)
        await web.TCPSite(runner, port=config.port, ssl_context=tls).start()
        log.info("serving", port=config.port, home=config.home)
        watch = asyncio.create_task(_until_changed(client, proxy, stop))
        await stop.wait()
        watch.cancel()


async def _until_changed(client: KubernetesClient, proxy: FrontProxy, stop: asyncio.Event) -> None:
    """Stop the process when the front proxy's settings change; it is then restarted with the new ones."""
    while True:
        await asyncio.sleep(_CONFIG_MAP_SECONDS)
        try:
            now = FrontProxy.of(await client.get(CONFIG_MAP))
        except (ApiError, ValueError) as error:
            log.warning("the front proxy's settings cannot be read", why=str(error))
            continue
        if now != proxy:
            log.info("the front proxy's settings changed")
            stop.set()
            return


if __name__ == "__main__":
    main()
