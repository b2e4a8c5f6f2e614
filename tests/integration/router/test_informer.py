"""An informer against the real API server, over connections that break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from platformctl.router.loop.informer import Informer
from tests.integration.control_plane import ADMIN, ControlPlane, start
from tests.integration.router.world import World

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LABEL = {"kfoundry.io/test": "informer"}
SELECTOR = "kfoundry.io/test=informer"


class Line:
    """A TCP line to the API server that can be cut, with all connections on it."""

    def __init__(self, target: str) -> None:
        found = urlsplit(target)
        assert found.hostname is not None
        assert found.port is not None
        self._target = (found.hostname, found.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            self.cut()
            server.close()

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self._cut = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def following(informer: Informer[Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), 20)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if check():
                return
            await asyncio.sleep(0.02)


async def make(root: KubernetesClient, name: str, value: str = "") -> None:
    metadata = {"name": name, "labels": LABEL}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
    await root.apply(f"{CONFIG_MAPS}/{name}", body)


def value(item: dict[str, Any]) -> str:
    return str(item["data"]["value"])


async def test_what_happens_while_the_line_is_cut_is_seen_without_listing_again(
    control_plane: ControlPlane, world: World
) -> None:
    line = Line(control_plane.server)
    direct = from_kubeconfig(control_plane.kubeconfig(ADMIN))
    for number in range(120):
        await make(world.root, f"i-{number}", "old")
    async with line.open() as address, KubernetesClient(replace(direct, server=address)) as client:
        informer = Informer(client, "/api/v1/configmaps", value, None, labelSelector=SELECTOR)
        async with following(informer):
            assert len(informer.items) == 120
            for round_ in range(3):
                line.cut()
                await make(world.root, "i-0", f"new {round_}")
                await make(world.root, f"more-{round_}", "new")
                await world.root.delete(f"{CONFIG_MAPS}/i-{round_ + 1}")
                line.mend()
                changed = {"i-0": f"new {round_}", f"more-{round_}": "new", f"i-{round_ + 1}": None}
                await until(
                    lambda changed=changed: all(  # type: ignore[misc]
                        informer.items.get(("default", name)) == data for name, data in changed.items()
                    )
                )
            assert informer.lists == 1
    for _, name in list(informer.items):
        await world.root.delete(f"{CONFIG_MAPS}/{name}")


async def test_a_version_that_the_server_no_longer_knows_is_listed_again(tmp_path: Path) -> None:
    """Without a watch cache the API server knows as much of the past as etcd does."""
    with start(tmp_path, {}, ["--watch-cache=false"]) as plane:
        line = Line(plane.server)
        direct = from_kubeconfig(plane.kubeconfig(ADMIN))
        async with (
            KubernetesClient(direct) as root,
            line.open() as address,
            KubernetesClient(replace(direct, server=address)) as client,
        ):
            await make(root, "before")
            informer = Informer(client, "/api/v1/configmaps", value, None, labelSelector=SELECTOR)
            async with following(informer):
                line.cut()
                await root.delete(f"{CONFIG_MAPS}/before")
                await make(root, "after")
                version = (await root.get(CONFIG_MAPS))["metadata"]["resourceVersion"]
                await forget(plane, version)
                line.mend()
                await until(lambda: list(informer.items) == [("default", "after")])
                assert informer.lists == 2


async def forget(plane: ControlPlane, version: str) -> None:
    """Have etcd forget what was before a version."""
    command = {"revision": version, "physical": True}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{plane.etcd}/v3/kv/compaction", json=command) as answer,
    ):
        assert answer.status == 200, await answer.text()
