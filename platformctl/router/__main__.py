"""`python -m platformctl.router`: the controller's process.

Reads the file that ROUTER_CONFIG names (default /etc/platformctl/router.json), connects as its service
account, or with KUBECONFIG outside a cluster, and works until SIGTERM.
"""

import asyncio
import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
import uvloop
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from platformctl.clients.kubernetes import Connection, KubernetesClient, from_environment
from platformctl.jobs.model import Queue, Target
from platformctl.router import metrics, watches
from platformctl.router.assembly import Surroundings
from platformctl.router.backends import assemble
from platformctl.router.breaker import Breaker, State
from platformctl.router.config import RouterConfig, load
from platformctl.router.controller import Controller
from platformctl.router.job.cache import JobCache
from platformctl.router.job.gates import Gates
from platformctl.router.job.overview import Overview
from platformctl.router.job.reconcile import Reconciler
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.router.loop.health import answering
from platformctl.router.loop.informer import Informer
from platformctl.router.loop.leader import Alone, Election, Terms
from platformctl.router.loop.metrics import requests
from platformctl.router.loop.queue import Key, WorkQueue

log = structlog.get_logger(__name__)


def main() -> None:
    """Entry point of the container."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            # Without the values of variables: they include users' scripts and tokens.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
    config = load(Path(os.environ.get("ROUTER_CONFIG", "/etc/platformctl/router.json")))
    uvloop.run(serve(config, from_environment()))


async def serve(config: RouterConfig, where: Connection) -> None:
    """Follow the cluster, and route Jobs while this process leads, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubernetesClient(where, [requests("kubernetes")]))
        users = config.by_name()
        queue = WorkQueue(lambda key: overview.submitter(key), config.workers)
        overview = Overview(users, queue.add, config.kubernetes.array_at_once)
        queues: dict[str, Queue] = {}
        cache = JobCache()

        def wrote(job: JobResource) -> None:
            if job.uid in overview:
                cache.put((job.namespace, job.name), job)

        def concerns(key: Key, seconds: float) -> None:
            queue.add(key, seconds, urgent=False)

        assembled = await assemble(Surroundings(stack, config, client, overview, concerns))
        backends = {
            target: Breaker(one.backend, queue.add, _shown(target)) for target, one in assembled.items()
        }
        watched = {target: one.differing for target, one in assembled.items() if one.differing}
        store = JobStore(client, wrote)
        gates = Gates(overview, lambda: queues, config.kubernetes.limits())
        reconciler = Reconciler(store, backends, users, config.site, gates, config.policy(), config.rules())
        controller = Controller(
            store,
            reconciler,
            backends,
            overview,
            queue,
            cache,
            watched,
            sweep_seconds=config.sweep_seconds,
        )
        informers: list[Informer[Any]] = [
            watches.of_jobs(client, controller),
            watches.of_queues(client, queues, overview.occupancy.wake_first),
            *(informer for one in assembled.values() for informer in one.informers),
        ]

        def missing() -> list[str]:
            return [informer.path for informer in informers if not informer.synced.is_set()]

        def refresh() -> None:
            controller.count()
            for informer in informers:
                informer.count()

        await stack.enter_async_context(answering(config.health, missing, refresh))
        election = _election(config, client)
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(informer.run()) for informer in informers]
            leading = group.create_task(_lead(election, controller, informers))
            await stop.wait()
            await controller.finish(config.grace_seconds)
            leading.cancel()
            await election.give_back()
            for task in following:
                task.cancel()


async def _lead(election: Election | Alone, controller: Controller, informers: list[Informer[Any]]) -> None:
    """Lead once everything is listed: before that, counts are wrong and known jobs would seem unclaimed."""
    for informer in informers:
        await informer.synced.wait()
    await election.run(controller.lead)


def _election(config: RouterConfig, client: KubernetesClient) -> Election | Alone:
    if config.lease is None:
        return Alone()
    identity = f"{os.environ.get('POD_NAME', '')}_{uuid.uuid4()}"
    return Election(client, config.lease.namespace, config.lease.name, identity, Terms())


def _shown(target: Target) -> Callable[[State], None]:
    """A function that writes a breaker's state into the metrics."""
    gauge = metrics.BREAKER_OPEN.labels(target)
    gauge.set(0)

    def show(state: State) -> None:
        gauge.set(state is not State.CLOSED)
        log.warning("back end", backend=target, state=state)

    return show


if __name__ == "__main__":
    main()
