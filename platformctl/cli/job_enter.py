"""`platformctl job enter`: opens a shell in an interactive Job with its scheduler's own command."""

import asyncio
import os
import shlex
import shutil
from typing import Any

import typer

from platformctl.cli import cluster
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NameArgument, NamespaceOption
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs import view
from platformctl.jobs.targets import entrance


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command()(enter)


def enter(
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Open a shell in your running interactive Job, with this machine's srun or kubectl.

    Example: `platformctl job enter notebook-x7k2p`
    """
    access = Access(kubeconfig, context, namespace)
    job = asyncio.run(_get(access, name))
    command = shlex.split(_command(job))
    if shutil.which(command[0]) is None:
        raise PlatformError(
            f"{command[0]} is not on this machine",
            next=f"run this on a host that has it: {shlex.join(command)}",
            code=ExitCode.FAILED,
        )
    os.execvp(command[0], command[:1] + _same_cluster(command[0], access) + command[1:])  # noqa: S606


def _command(job: dict[str, Any]) -> str:
    status, spec = job.get("status") or {}, job.get("spec") or {}
    name = str(job["metadata"]["name"])
    if not spec.get("interactive"):
        raise PlatformError(
            f"{name} is not interactive",
            next=f"submit it with interactive: true; its output: platformctl job logs {name}",
            code=ExitCode.REFUSED,
        )
    if view.phase(job) != "Running":
        raise PlatformError(
            f"{name} is not running: it is {view.phase(job)}",
            next=f"platformctl job explain {name}",
            code=ExitCode.REFUSED,
        )
    return entrance(spec, status.get("backend"), str(status.get("backendId") or ""))


def _same_cluster(program: str, access: Access) -> list[str]:
    """The options that make kubectl use the Job's cluster."""
    if program != "kubectl":
        return []
    given = {"--kubeconfig": str(access.kubeconfig or ""), "--context": access.context}
    return [word for option, value in given.items() if value for word in (option, value)]


async def _get(access: Access, name: str) -> dict[str, Any]:
    async with cluster.jobs_of(access) as jobs:
        return await jobs.get(name)
