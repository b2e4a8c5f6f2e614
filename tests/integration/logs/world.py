"""A shared home with two users' files, a kubelet that has logs, and Jobs in every state."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from platformctl.vocabulary import job_path
from tests.integration.control_plane import ControlPlane

ALICE, BOB, ROUTER = "alice", "bob", "system:serviceaccount:default:job-router"
LOGS = "system:serviceaccount:platform-logs:job-router-logs"
IDS = {ALICE: 10001, BOB: 10002}
NODE = "stand-in"


@dataclass(frozen=True)
class Home:
    """A folder that stands for the shared home: who owns what is real, so the tests need root."""

    folder: Path

    def write(self, user: str, name: str, text: str, mode: int = 0o600) -> Path:
        """Append to a file in a user's home."""
        file = self.folder / user / name
        with file.open("a") as stream:
            stream.write(text)
        os.chown(file, IDS[user], IDS[user])
        file.chmod(mode)
        return file


@contextlib.contextmanager
def shared_home() -> Iterator[Home]:
    """Homes that only their users may enter, below a folder that everybody may."""
    root = Path(tempfile.mkdtemp(prefix="platformctl-home-"))
    try:
        root.chmod(0o755)
        for user, uid in IDS.items():
            (root / user).mkdir(mode=0o700)
            os.chown(root / user, uid, uid)
        yield Home(root)
    finally:
        shutil.rmtree(root)


@dataclass
class Kubelet:
    """What the API server asks a node for: the logs of its containers. running: those that go on."""

    logs: dict[str, bytes] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /containerLogs/NAMESPACE/POD/CONTAINER."""
        pod = request.match_info["pod"]
        response = web.StreamResponse()
        response.content_type = "text/plain"
        await response.prepare(request)
        sent = 0
        while True:
            text = self.logs.get(pod, b"")
            await response.write(text[sent:])
            sent = len(text)
            if request.query.get("follow") != "true" or pod not in self.running:
                break
            await asyncio.sleep(0.05)
        await response.write_eof()
        return response


@dataclass
class Answer:
    """A whole answer of the logs API."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass
class World:
    """Jobs with the status that the router would write, and their output."""

    plane: ControlPlane
    home: Home
    kubelet: Kubelet
    session: aiohttp.ClientSession
    clients: dict[str, KubernetesClient]

    async def job(self, status: dict[str, Any], who: str = ALICE, **spec: Any) -> str:
        """A Job of a user with a status; returns its name."""
        body = {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Job",
            "metadata": {"generateName": "logs-"},
            "spec": {"script": "#!/bin/sh\n", **spec},
        }
        name: str = (await self.clients[who].create(job_path("default"), body))["metadata"]["name"]
        await self.set(name, user=who, **status)
        return name

    async def set(self, name: str, **status: Any) -> None:
        """Change the status as the router does."""
        await self.clients[ROUTER].merge(f"{job_path('default', name)}/status", {"status": status})

    async def on_slurm(self, file: Path | str, phase: str = "Running", **more: Any) -> str:
        """A Job of alice that Slurm runs, with its output in a file."""
        status = {"phase": phase, "backend": "slurm", "backendId": "7", "attempt": 1, "output": str(file)}
        return await self.job({**status, **more})

    async def on_kubernetes(self, text: bytes, phase: str = "Running", index: int | None = None) -> str:
        """A Job of alice that Kubernetes runs, with one pod; with an index an array of ten."""
        spec = {} if index is None else {"array": "0-9"}
        name = await self.job({"phase": phase, "backend": "kubernetes", "attempt": 1}, **spec)
        await self.set(name, backendId=f"default/{name}-batch")
        await self.pod(name, text, index)
        return name

    async def pod(self, name: str, text: bytes, index: int | None = None) -> str:
        """A pod of a Job, which runs and has printed something; returns its name."""
        labels = {"batch.kubernetes.io/job-name": f"{name}-batch"}
        if index is not None:
            labels["batch.kubernetes.io/job-completion-index"] = str(index)
        root = self.clients["root"]
        pods = "/api/v1/namespaces/default/pods"
        pod = {
            "metadata": {"generateName": f"{name}-", "labels": labels},
            "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "x"}]},
        }
        created: str = (await root.create(pods, pod))["metadata"]["name"]
        self.kubelet.logs[created] = text
        self.kubelet.running.add(created)
        await root.merge(f"{pods}/{created}/status", {"status": {"phase": "Running"}})
        return created

    async def end(self, name: str, pod: str, phase: str = "Succeeded") -> None:
        """The pod, and with it the Job, ends."""
        await self.clients["root"].merge(
            f"/api/v1/namespaces/default/pods/{pod}/status", {"status": {"phase": phase}}
        )
        await self.set(name, phase=phase)
        self.kubelet.running.discard(pod)

    def url(self, name: str) -> str:
        """The address of a Job's output."""
        return f"{self.plane.server}/apis/logs.kfoundry.io/v1alpha1/namespaces/default/jobs/{name}/log"

    async def log(self, name: str, who: str = ALICE, **query: str | int) -> Answer:
        """One answer, through the API server."""
        headers = {"Authorization": f"Bearer {who}"}
        async with self.session.get(self.url(name), params=query, headers=headers, ssl=False) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    @contextlib.asynccontextmanager
    async def follow(self, name: str, **query: str | int) -> AsyncIterator[aiohttp.ClientResponse]:
        """A followed output, read by the test."""
        headers = {"Authorization": f"Bearer {ALICE}"}
        asked = {"follow": "true", **query}
        async with self.session.get(self.url(name), params=asked, headers=headers, ssl=False) as response:
            assert response.status == 200, await response.text()
            yield response


@contextlib.asynccontextmanager
async def make_world(plane: ControlPlane, home: Home, kubelet: Kubelet) -> AsyncIterator[World]:
    """With clients of everybody, closed after."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        clients = {
            name: await stack.enter_async_context(KubernetesClient(from_kubeconfig(plane.kubeconfig(name))))
            for name in ("root", ALICE, BOB, ROUTER)
        }
        yield World(plane, home, kubelet, session, clients)
