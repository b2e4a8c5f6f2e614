"""What the router's benchmark runs against: an API server, slurmrestd, and the router as a process."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.loop.informer import Informer
from tests.integration.control_plane import ControlPlane, free_port, start
from tests.integration.router_chart import install_chart

VALUES = """
site: test
logs: {enabled: false}
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
  - {name: bob, uid: 10002, gid: 10002, groups: [20001], account: physics, home: /home/bob}
"""
ROUTER = "system:serviceaccount:default:job-router"
SITE = "test"
KEY = b"k" * 32
ALL_JOBS = "/apis/kfoundry.io/v1alpha1/jobs"
JOBS = "/apis/kfoundry.io/v1alpha1/namespaces/default/jobs"
BATCH_JOBS = "/apis/batch/v1/namespaces/default/jobs"
# A checkout of an earlier version whose router is measured instead; it is run without a lease.
EARLIER = "PLATFORMCTL_BENCH_ROUTER"
_TICKS = os.sysconf("SC_CLK_TCK")


class Router:
    """`python -m platformctl.router`, started again and again."""

    def __init__(self, plane: ControlPlane, slurm: str, folder: Path) -> None:
        self._folder = folder
        (folder / "jwt.key").write_bytes(KEY)
        users = [
            {
                "name": name,
                "uid": uid,
                "gid": uid,
                "groups": [20001],
                "account": "physics",
                "home": f"/home/{name}",
            }
            for name, uid in (("alice", 10001), ("bob", 10002))
        ]
        self._address = f"http://127.0.0.1:{free_port()}"
        earlier = os.environ.get(EARLIER)
        config: dict[str, Any] = {
            "site": SITE,
            "users": users,
            "slurm": {"address": slurm, "key_file": str(folder / "jwt.key"), "interval": 1.0},
            "health": f"{self._address}/healthz",
        }
        if not earlier:
            config["lease"] = {"namespace": "default", "name": "job-router"}
        (folder / "router.json").write_text(json.dumps(config))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
        self._environment = {
            **kept,
            "ROUTER_CONFIG": str(folder / "router.json"),
            "KUBECONFIG": str(plane.kubeconfig(ROUTER)),
            "POD_NAME": "bench",
            **({"PYTHONPATH": earlier} if earlier else {}),
        }
        self._ready = "/healthz" if earlier else "/readyz"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in the folder of the checkout that is measured."""
        with (self._folder / "router.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "platformctl.router"],
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until it has seen every Job."""
        async with asyncio.timeout(300), aiohttp.ClientSession() as session:
            while True:
                assert self._process
                assert self._process.poll() is None, self.log()
                try:
                    async with session.get(self._address + self._ready) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Wait until it has nothing more to do than to watch."""
        await self.ready()
        async with asyncio.timeout(300):
            while await self.load(3) > 5:
                pass

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def log(self) -> str:
        """The end of its log."""
        return (self._folder / "router.log").read_text()[-3000:]

    def memory(self, name: str = "VmRSS") -> float:
        """MB it holds now, or at most held (VmHWM)."""
        assert self._process
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(name)

    def cpu_seconds(self) -> float:
        """Seconds of processor time it has used."""
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    async def load(self, seconds: float) -> float:
        """Percent of one core that it uses for a while."""
        before, begun = self.cpu_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - begun)


@dataclass
class Seen:
    """When what was first seen of each Job in the API server, on this machine's clock, by name."""

    accepted: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, item: dict[str, Any]) -> tuple[str, str]:
        """Note a Job's state."""
        name, status = item["metadata"]["name"], item.get("status") or {}
        if status.get("backendId"):
            self.accepted.setdefault(name, time.time())
        if status.get("phase") == "Succeeded":
            self.ended.setdefault(name, time.time())
        self.news.set()
        return str(status.get("backendId")), str(status.get("phase"))

    async def all(self, found: dict[str, float], names: set[str], seconds: float = 180) -> None:
        """Wait until each name is found."""
        try:
            async with asyncio.timeout(seconds):
                while not names <= found.keys():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            missing = names - found.keys()
            some = sorted(missing)[:3]
            raise AssertionError(f"{len(missing)} of {len(names)} are missing: {some}") from None


@dataclass
class World:
    """Clients: users create Jobs, the router's account writes their status. seen: kept up by a watch."""

    alice: KubernetesClient
    bob: KubernetesClient
    account: KubernetesClient
    rest: SlurmRestClient
    slurm: str
    router: Router
    seen: Seen

    async def control(self, what: str, body: list[Any]) -> Any:
        """A request of the benchmark to the stand-in."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.slurm}/bench/{what}", json=body) as answer,
        ):
            return await answer.json()


def in_world(work: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Run something in a world of its own, which is gone afterwards."""

    async def run(plane: ControlPlane, slurm: str, folder: Path) -> None:
        async with _world(plane, slurm, folder) as found:
            await work(found)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _planes(folder) as (plane, slurm):
            uvloop.run(run(plane, slurm, folder))


@contextmanager
def _planes(folder: Path) -> Iterator[tuple[ControlPlane, str]]:
    """An API server with the router's chart, and the address of a stand-in for slurmrestd."""
    users = {"alice": "platform:users", "bob": "platform:users", ROUTER: "system:serviceaccounts"}
    port = free_port()
    with start(folder, users) as plane:
        install_chart(plane, folder, VALUES, "alice")
        slurm = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.slurmrestd", str(port)])
        try:
            _await_port(port)
            yield plane, f"http://127.0.0.1:{port}"
        finally:
            slurm.kill()
            slurm.wait()


def _await_port(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@asynccontextmanager
async def _world(plane: ControlPlane, slurm: str, folder: Path) -> AsyncIterator[World]:
    """Clients of both, a watch, and a router that was not started."""
    clients = [KubernetesClient(from_kubeconfig(plane.kubeconfig(user))) for user in ("alice", "bob", ROUTER)]
    async with (
        clients[0] as alice,
        clients[1] as bob,
        clients[2] as account,
        SlurmRestClient(slurm, TokenMinter(KEY), DIALECTS) as rest,
    ):
        seen = Seen()
        informer = Informer(account, ALL_JOBS, seen.look)
        watching = asyncio.create_task(informer.run())
        found = World(alice, bob, account, rest, slurm, Router(plane, slurm, folder), seen)
        try:
            yield found
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found.router.log()}") from error
        finally:
            found.router.stop(signal.SIGKILL)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
