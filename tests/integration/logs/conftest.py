"""The API server with the chart, and the logs API behind its aggregator as a process of its own."""

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_kubeconfig
from tests.integration.control_plane import ADMIN, ControlPlane, free_port, start
from tests.integration.logs.certificates import Authority
from tests.integration.logs.world import (
    ALICE,
    BOB,
    IDS,
    LOGS,
    NODE,
    ROUTER,
    Home,
    Kubelet,
    World,
    make_world,
    shared_home,
)
from tests.integration.router_chart import install_chart

NAMESPACE, NAME = "platform-logs", "job-router-logs"
PAGE = 4096
# A Python below root's home cannot be read once root is given up: what is loaded late is loaded before.
_START = (
    "import concurrent.futures.thread, encodings.idna, runpy; "
    "runpy.run_module('platformctl.logs', run_name='__main__')"
)


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    with shared_home() as found:
        yield found


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Of the API server's front proxy."""
    return Authority("front-proxy-ca")


@pytest.fixture(scope="session")
def kubelet() -> Kubelet:
    return Kubelet()


@pytest.fixture(scope="session")
def control_plane(
    tmp_path_factory: pytest.TempPathFactory, home: Home, authority: Authority, kubelet: Kubelet
) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    users = {
        ALICE: "platform:users",
        BOB: "platform:users",
        "operator": "operators",
        ROUTER: "system:serviceaccounts",
        LOGS: "system:serviceaccounts",
    }
    certificate, key = authority.client(folder, "front-proxy-client")
    (folder / "front-proxy-ca.crt").write_bytes(authority.certificate)
    flags = [
        f"--requestheader-client-ca-file={folder}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificate}",
        f"--proxy-client-key-file={key}",
    ]
    people = [
        {"name": name, "uid": uid, "gid": uid, "groups": [], "account": "a", "home": f"{home.folder}/{name}"}
        for name, uid in IDS.items()
    ]
    storage = {"textKiB": 1400}
    site = {"site": "test", "storage": storage, "home": {"path": str(home.folder)}, "users": people}
    values = json.dumps(site)
    with start(folder, users, flags) as plane, serving(kubelet, Authority("kubelet"), folder) as port:
        install_chart(plane, folder, values, ALICE)
        asyncio.run(_add_node(plane, port))
        with logs_process(plane, folder):
            yield plane


@pytest.fixture
async def world(control_plane: ControlPlane, home: Home, kubelet: Kubelet) -> AsyncIterator[World]:
    async with make_world(control_plane, home, kubelet) as found:
        yield found


class serving:  # noqa: N801  (a context manager)
    """A kubelet's HTTPS server in a thread with a loop of its own; gives its port."""

    def __init__(self, kubelet: Kubelet, authority: Authority, folder: Path) -> None:
        self._kubelet = kubelet
        self._files = authority.server(folder, "127.0.0.1")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> int:
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def __exit__(self, *_: object) -> None:
        if self._runner:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self) -> int:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._kubelet.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*self._files)
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls).start()
        return port


async def _add_node(plane: ControlPlane, port: int) -> None:
    """A node whose kubelet is the stand-in, and the token that pods are made with."""
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig(ADMIN))) as root:
        await root.create("/api/v1/nodes", {"metadata": {"name": NODE}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        await root.merge(f"/api/v1/nodes/{NODE}/status", {"status": status})


class logs_process:  # noqa: N801  (a context manager)
    """`python -m platformctl.logs` with the rights of its service account, where the APIService points to."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        port = free_port()
        config = asyncio.run(self._prepare(port))
        settings = self._folder / "logs.json"
        settings.write_text(json.dumps(config))
        kubeconfig = self._plane.kubeconfig(LOGS)
        # Its own user must reach what it reads after it has given up root.
        for file in (kubeconfig, settings, self._plane.authority):
            file.chmod(0o644)
        for folder in (self._folder, *self._folder.parents):
            if folder.owner() == "root" and str(folder) != "/":
                folder.chmod(folder.stat().st_mode | 0o055)
        environment = {**os.environ, "LOGS_CONFIG": str(settings), "KUBECONFIG": str(kubeconfig)}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        with (self._folder / "logs.log").open("wb") as log:
            command = [sys.executable, "-c", _START]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        (self._folder / "logs.pid").write_text(str(self._process.pid))
        asyncio.run(self._until_available())

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    async def _prepare(self, port: int) -> dict[str, Any]:
        """Point the APIService here; returns the process's configuration, from what the chart made."""
        namespace = f"/api/v1/namespaces/{NAMESPACE}"
        async with KubernetesClient(from_kubeconfig(self._plane.kubeconfig(ADMIN))) as root:
            secret = (await root.get(f"{namespace}/secrets/{NAME}-tls"))["data"]
            for name in ("tls.crt", "tls.key"):
                (self._folder / name).write_bytes(base64.b64decode(secret[name]))
                (self._folder / name).chmod(0o644)
            found = json.loads((await root.get(f"{namespace}/configmaps/{NAME}"))["data"]["logs.json"])
            service = {
                "type": "ExternalName",
                "externalName": "localhost",
                "clusterIP": None,
                "clusterIPs": None,
            }
            await root.merge(f"{namespace}/services/{NAME}", {"spec": service})
            here = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.logs.kfoundry.io"
            await root.merge(here, {"spec": {"service": {"port": port}}})
        files = {"certificate": str(self._folder / "tls.crt"), "key": str(self._folder / "tls.key")}
        return {
            **found,
            **files,
            "port": port,
            "page_bytes": PAGE,
            "streams_per_user": 4,
            "stream_bytes": 65536,
        }

    async def _until_available(self) -> None:
        deadline = time.monotonic() + 30
        async with KubernetesClient(from_kubeconfig(self._plane.kubeconfig(ADMIN))) as root:
            while True:
                try:
                    await root.get("/apis/logs.kfoundry.io/v1alpha1")
                    return
                except ApiError as error:
                    if time.monotonic() > deadline:
                        raise AssertionError((self._folder / "logs.log").read_text()) from error
                    await asyncio.sleep(0.2)
