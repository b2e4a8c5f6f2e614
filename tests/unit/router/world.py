"""A router with Jobs and back ends in memory: for what it decides, step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

from platformctl.jobs.model import Policy, Queue, Target, User
from platformctl.router.job.gates import Gates
from platformctl.router.job.overview import Overview
from platformctl.router.job.reconcile import Reconciler
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule
from platformctl.router.job.sweep import Sweeper
from platformctl.router.loop.queue import RetryLater
from platformctl.vocabulary import SUBMITTER
from tests.fakes.jobs_api import JobsApi
from tests.fakes.scheduler import Scheduler
from tests.integration.router.faults import Executioner, Killed, Watched

ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")
SCRIPT = "#!/bin/sh\ndate\n"


class World:
    """What outlives a router, and one router that goes on until `restart`. slurm: the first back end.

    users, queues, rules, policy, backends: of the site; a restart makes changes of them known.
    """

    def __init__(self, *schedulers: Scheduler) -> None:
        self.api = JobsApi()
        self.schedulers = schedulers or (Scheduler(),)
        self.slurm = self.schedulers[0]
        self.users: dict[str, User] = {"alice": ALICE}
        self.queues: dict[str, Queue] = {}
        self.rules: Sequence[Rule] = DEFAULT_RULES
        self.policy = Policy()
        self.backends: dict[Target, Any] = {scheduler.target: scheduler for scheduler in self.schedulers}
        self.overview = Overview(self.users, lambda _key: None)
        self.restart()

    def restart(self, executioner: Executioner | None = None) -> None:
        """Another process, that remembers nothing."""
        executioner = executioner or Executioner()
        backends: Mapping[Target, Any] = {
            target: Watched(backend, executioner) for target, backend in self.backends.items()
        }
        api: Any = self.api
        store: Any = Watched(JobStore(api), executioner)
        gates = Gates(self.overview, lambda: self.queues)
        self.router = Reconciler(store, backends, self.users, "lab", gates, self.policy, self.rules)

    def submit(self, name: str = "a", guarded: bool = True, **spec: Any) -> JobResource:
        """Alice creates a Job."""
        finalizers = {"finalizers": ["kfoundry.io/router"]} if guarded else {}
        body = {"script": SCRIPT, "target": self.slurm.target, **spec}
        return self.api.create(name, body, annotations={SUBMITTER: "alice"}, **finalizers)

    async def reconcile(self, name: str = "a") -> float | None:
        """One look at a Job as it is now."""
        job = self.api.job(name)
        self.overview.put(job)
        return await self.router.reconcile(job)

    async def settle(self, name: str = "a", times: int = 4) -> None:
        """Look some times, whatever becomes of it."""
        for _ in range(times):
            if self.api.exists(name):
                try:
                    await self.reconcile(name)
                except RetryLater:
                    continue

    async def run(self, name: str = "a", **spec: Any) -> JobResource:
        """A Job that runs, and whose status says so."""
        self.submit(name, **spec)
        await self.settle(name, 2)
        job = self.api.job(name)
        assert job.phase == "Running", job.status
        return job

    async def killed(self, executioner: Executioner, name: str = "a") -> bool:
        """One look by a router of its own; whether it was killed on the way."""
        self.restart(executioner)
        try:
            await self.reconcile(name)
        except Killed:
            return True
        finally:
            self.restart()
        return False

    async def sweep(self) -> None:
        """Two sweeps of each back end, knowing all Jobs."""
        known = Overview(self.users, lambda _key: None)
        for job in self.api.jobs():
            known.put(job)
        for scheduler in self.schedulers:
            sweeper = Sweeper(scheduler)
            await sweeper.sweep(known)
            await sweeper.sweep(known)

    def status(self, name: str = "a") -> dict[str, Any]:
        """What a user reads."""
        return self.api.job(name).status

    def conditions(self, name: str = "a") -> dict[str, tuple[str, str]]:
        """Status and reason of each condition."""
        return {item["type"]: (item["status"], item["reason"]) for item in self.status(name)["conditions"]}
