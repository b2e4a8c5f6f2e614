"""What survives a router that is killed: the API server with its Jobs, and Slurm."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestServer

from platformctl.clients.kubernetes import AlreadyExistsError, KubernetesClient, from_kubeconfig
from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.model import Queue, Target, User
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.job.gates import Gates
from platformctl.router.job.overview import Overview
from platformctl.router.job.reconcile import Reconciler
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.job.sweep import Sweeper
from platformctl.router.kubernetes.backend import KubernetesBackend
from platformctl.router.loop.queue import RetryLater
from platformctl.router.slurm.backend import SlurmBackend
from platformctl.vocabulary import JOB_UID_LABEL, job_path
from tests.fakes.slurmrestd import FakeSlurm
from tests.integration.control_plane import ADMIN, ControlPlane
from tests.integration.router.faults import Executioner, Killed, Watched

ROUTER = "system:serviceaccount:default:job-router"
SITE = "test"
KEY = b"k" * 32
USERS = {
    "alice": User("alice", 10001, 10001, (20001,), "physics", "/home/alice"),
    "bob": User("bob", 10002, 10002, (20001,), "physics", "/home/bob"),
}
ALICE = USERS["alice"]
SCRIPT = "#!/bin/sh\ndate\n"
NODES = "/api/v1/nodes"
BATCH = "/apis/batch/v1/namespaces/default/jobs"


@dataclass
class World:
    """api: the API server with the rights of the router, as against users' and an administrator's."""

    alice: KubernetesClient
    bob: KubernetesClient
    root: KubernetesClient
    api: KubernetesClient
    slurm: FakeSlurm
    slurm_address: str
    backends: dict[Target, Any]
    overview: Overview = field(default_factory=lambda: Overview(USERS, lambda _key: None))
    queues: dict[str, Queue] = field(default_factory=dict)

    async def submit(self, target: Target, name: str = "", **spec: Any) -> JobResource:
        """Create a Job as alice."""
        body = {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Job",
            "metadata": {"name": name} if name else {"generateName": "once-"},
            "spec": {"script": SCRIPT, "target": target, **spec},
        }
        return JobResource(await self.alice.create(job_path("default"), body))

    def router(self, executioner: Executioner | None = None, api: Any = None) -> Reconciler:
        """A router that remembers nothing. api: its way to the API server, if not the plain one."""
        executioner = executioner or Executioner()
        inner = self.backends
        if api is not None:
            inner = {**inner, Target.KUBERNETES: KubernetesBackend(api, SITE, "debian:13")}
        backends: dict[Target, Any] = {
            target: Watched(backend, executioner) for target, backend in inner.items()
        }
        store: Any = Watched(JobStore(api or self.api), executioner)
        return Reconciler(store, backends, USERS, SITE, Gates(self.overview, lambda: self.queues))

    async def read(self, job: JobResource) -> JobResource | None:
        """The Job as it is now."""
        return await JobStore(self.root).read(job.namespace, job.name)

    async def reconcile(
        self, job: JobResource, executioner: Executioner | None = None, times: int = 1
    ) -> bool:
        """Look at a Job with a new router each time; False when it was killed."""
        for _ in range(times):
            fresh = await self.read(job)
            if fresh is None:
                return True
            self.overview.put(fresh)
            try:
                await self.router(executioner).reconcile(fresh)
            except RetryLater:
                continue
            except Killed:
                return False
        return True

    async def sweep(self) -> None:
        """Two sweeps over all back ends, as a new router would do them."""
        listed = await self.root.get("/apis/kfoundry.io/v1alpha1/jobs")
        known = Overview(USERS, lambda _key: None)
        for item in listed["items"]:
            known.put(JobResource(item))
        for backend in self.backends.values():
            sweeper = Sweeper(backend)
            await sweeper.sweep(known)
            await sweeper.sweep(known)

    def finish_all(self) -> None:
        """Have everything that runs on Slurm end."""
        for job_id in [job_id for job_id, job in self.slurm.jobs.items() if job.state == "RUNNING"]:
            self.slurm.finish(job_id)

    async def batch_jobs(self, job: JobResource) -> list[dict[str, Any]]:
        """The batch Jobs that belong to a Job."""
        return list((await self.root.get(BATCH, labelSelector=f"{JOB_UID_LABEL}={job.uid}"))["items"])

    async def starts(self, target: Target, job: JobResource) -> int:
        """How often the Job was started."""
        if target is Target.SLURM:
            return sum(job.uid in token for token in self.slurm.ran)
        return sum(not batch["spec"]["suspend"] for batch in await self.batch_jobs(job))

    async def held(self, target: Target, job: JobResource) -> int:
        """How many copies are left that never started."""
        if target is Target.SLURM:
            return sum(job.uid in token for token in self.slurm.tokens(held=True))
        return sum(batch["spec"]["suspend"] for batch in await self.batch_jobs(job))


@asynccontextmanager
async def make_world(control_plane: ControlPlane) -> AsyncIterator[World]:
    """A world with its own Slurm on a control plane."""
    async with AsyncExitStack() as stack:
        alice, bob, root, router = [
            await stack.enter_async_context(KubernetesClient(from_kubeconfig(control_plane.kubeconfig(name))))
            for name in ("alice", "bob", ADMIN, ROUTER)
        ]
        await _empty(root)
        await _node(root)
        slurm = FakeSlurm()
        server = TestServer(slurm.app())
        await server.start_server()
        stack.push_async_callback(server.close)
        address = str(server.make_url("")).rstrip("/")
        rest = await stack.enter_async_context(SlurmRestClient(address, TokenMinter(KEY), DIALECTS))
        backends = {
            Target.SLURM: SlurmBackend(rest, SITE, "slurm", 1.0),
            Target.KUBERNETES: KubernetesBackend(router, SITE, "debian:13"),
        }
        yield World(alice, bob, root, router, slurm, address, backends)


async def _node(root: KubernetesClient) -> None:
    """A node that could run what tests ask for: a Job that no node could ever hold is refused."""
    name = "large"
    with contextlib.suppress(AlreadyExistsError):
        await root.create(NODES, {"metadata": {"name": name}})
    there = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    await root.merge(f"{NODES}/{name}/status", {"status": {"capacity": there, "allocatable": there}})
    # The API server gives each new node a taint until its controllers have seen it.
    await root.merge(f"{NODES}/{name}", {"spec": {"taints": None}})


async def _empty(root: KubernetesClient) -> None:
    """Remove what earlier tests left: a router takes every Job for its own."""
    for item in (await root.get("/apis/kfoundry.io/v1alpha1/jobs"))["items"]:
        here = job_path(item["metadata"]["namespace"], item["metadata"]["name"])
        if item["metadata"].get("finalizers"):
            await root.merge(here, {"metadata": {"finalizers": []}})
        await root.delete(here)
    for item in (await root.get(BATCH))["items"]:
        await root.delete(f"{BATCH}/{item['metadata']['name']}")
