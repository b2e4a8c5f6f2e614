"""Proves the job API: one kfoundry.io Job to each scheduler, submitted with a user's own credentials.

The user's kubeconfig is made for this and lives for a day at most; the Jobs are deleted again.
"""

import asyncio
import shlex
import time
from contextlib import aclosing
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient, NotFoundError, from_document
from platformctl.engine import remote
from platformctl.engine.checking.proof import Proof
from platformctl.engine.cluster import access, workloads
from platformctl.engine.fleet import Fleet
from platformctl.errors import PlatformError
from platformctl.vocabulary import API_VERSION, FINAL, JOB_KIND, Phase, job_path, log_path

_NAMESPACE = "default"
_SECONDS = 180
_POLL_SECONDS = 0.5
# The same script on both sides: who runs it, and where.
_SCRIPT = """#!/bin/sh
echo "a Job of uid $(id -u) ran on $(hostname)"
"""


HOSTS = {"slurm": "slurm_node", "kubernetes": "kubernetes_control_plane"}


def targets(fleet: Fleet) -> tuple[str, ...]:
    """The schedulers that a Job can go to: those with nodes, and those that are not the site's own."""
    slurm = bool(fleet.members("slurm_node")) or (fleet.has_slurm and not fleet.members("slurm_rest"))
    kubernetes = bool(fleet.members("kubernetes_node")) or fleet.foreign_cluster
    return tuple(name for name, there in (("slurm", slurm), ("kubernetes", kubernetes)) if there)


async def prove_jobs(fleet: Fleet, user: str) -> list[Proof]:
    """Submit a Job to each scheduler as `user`, wait for the end, read the output."""
    kubeconfig = await access.user_kubeconfig(fleet, user, _NAMESPACE, days=1)
    async with KubernetesClient(from_document(kubeconfig)) as client:
        return list(await asyncio.gather(*(_prove(fleet, client, target) for target in targets(fleet))))


async def _prove(fleet: Fleet, client: KubernetesClient, target: str) -> Proof:
    name = f"Job to {target}"
    started = time.monotonic()
    try:
        output, fine = await _run(fleet, client, target)
    except (ApiError, PlatformError, TimeoutError) as error:
        output, fine = str(error) or f"not finished within {_SECONDS} s", False
        output = "; ".join([output, *await _away(fleet)])
    return Proof(name, fine, output, round(time.monotonic() - started, 1))


async def _run(fleet: Fleet, client: KubernetesClient, target: str) -> tuple[str, bool]:
    manifest = {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {"name": f"platformctl-verify-{target}-{time.time_ns()}"},
        "spec": {"target": target, "script": _SCRIPT},
    }
    created = await client.create(job_path(_NAMESPACE), manifest)
    path = job_path(_NAMESPACE, created["metadata"]["name"])
    try:
        async with asyncio.timeout(_SECONDS):
            status = await _finished(client, path)
        if status["phase"] != Phase.SUCCEEDED:
            return f"{status['phase']}: {status.get('reason', '')}", False
        name, file = created["metadata"]["name"], str(status.get("output", ""))
        try:
            output = await _output(client, name)
        except NotFoundError:
            if file.startswith("/") and fleet.first(HOSTS[target]) is None:
                # This Slurm is not the site's and the cluster does not see its files. Success is the proof.
                return f"succeeded; what it printed is in {file} there", True
            # The Kubernetes hosts need not have the shared home; then the file is read on a host that has it.
            output = await _on_host(fleet, target, f"cat {shlex.quote(file)}")
        if file.startswith("/"):
            await _on_host(fleet, target, f"rm -f {shlex.quote(file)}")
        return output, bool(output)
    finally:
        await client.delete(path)


async def _away(fleet: Fleet) -> list[str]:
    """The services of the cluster that do not answer: an error such as "HTTP 503" does not name them."""
    try:
        admin = await access.admin_kubeconfig(fleet)
        async with KubernetesClient(from_document(admin)) as client:
            return await workloads.unavailable(client)
    except (ApiError, PlatformError):
        return []  # then the error itself says that the API is away


async def _finished(client: KubernetesClient, path: str) -> dict[str, Any]:
    while True:
        status: dict[str, Any] = (await client.get(path)).get("status", {})
        if status.get("phase") in FINAL:
            return status
        await asyncio.sleep(_POLL_SECONDS)


async def _output(client: KubernetesClient, name: str) -> str:
    """What the job printed, as its user reads it."""
    async with aclosing(client.stream(log_path(_NAMESPACE, name))) as pieces:
        return b"".join([piece async for piece in pieces]).decode(errors="replace").strip()


async def _on_host(fleet: Fleet, target: str, script: str) -> str:
    """What a script prints on the first host of the scheduler; nothing where the site has none."""
    host = fleet.first(HOSTS[target])
    if host is None:
        return ""
    return (await remote.run(host.connection, script, seconds=30)).out.strip()
