"""`python -m platformctl.router`: the controller's process.

Reads the file that ROUTER_CONFIG names (default /etc/platformctl/router.json), connects as its service
account, or with KUBECONFIG outside a cluster, and works until SIGTERM.
"""

import asyncio
import logging
import os
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import kopf
import structlog

from platformctl.clients.kubernetes import Connection, KubernetesClient, from_kubeconfig, in_cluster
from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.model import Target
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.backend import Backend
from platformctl.router.config import RouterConfig, SlurmEntry, load
from platformctl.router.controller import Controller, watch
from platformctl.router.kubernetes import KubernetesBackend
from platformctl.router.reconcile import Reconciler
from platformctl.router.resource import JobStore
from platformctl.router.slurm import SlurmBackend


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
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
    config = load(Path(os.environ.get("ROUTER_CONFIG", "/etc/platformctl/router.json")))
    asyncio.run(serve(config, connection()))


def connection() -> Connection:
    """Where the API server is: the pod's own cluster, or what KUBECONFIG names."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host:
        return in_cluster(host, port)
    return from_kubeconfig(Path(os.environ["KUBECONFIG"]))


async def serve(config: RouterConfig, where: Connection) -> None:
    """Run the controller and kopf's watches until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubernetesClient(where))
        backends: dict[Target, Backend] = {
            Target.KUBERNETES: KubernetesBackend(client, config.site, config.script_image)
        }
        if config.slurm:
            backends[Target.SLURM] = await _slurm(stack, config.slurm, config.site)
        store = JobStore(client)
        reconciler = Reconciler(store, backends, config.by_name(), config.site)
        controller = Controller(store, reconciler, backends, config.workers, config.sweep_seconds)
        async with asyncio.TaskGroup() as group:
            group.create_task(controller.run(stop))
            group.create_task(_watch(controller, stop, config.health))


async def _slurm(stack: AsyncExitStack, entry: SlurmEntry, site: str) -> SlurmBackend:
    tls = ssl.create_default_context(cafile=str(entry.ca_file)) if entry.ca_file else None
    minter = TokenMinter(entry.key_file.read_bytes())
    client = await stack.enter_async_context(SlurmRestClient(entry.address, minter, DIALECTS, tls))
    return SlurmBackend(client, site, entry.reader, entry.interval)


async def _watch(controller: Controller, stop: asyncio.Event, health: str) -> None:
    registry = watch(controller)

    @kopf.on.login(registry=registry)
    async def login(**context: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**context) or kopf.login_with_kubeconfig(**context)

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    # kopf takes the signals: it returns after SIGTERM or SIGINT.
    await kopf.operator(
        registry=registry, settings=settings, clusterwide=True, standalone=True, liveness_endpoint=health
    )
    stop.set()


if __name__ == "__main__":
    main()
