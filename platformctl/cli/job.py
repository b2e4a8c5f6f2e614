"""`platformctl job`: Jobs on both schedulers, with the user's own kubeconfig and rights."""

import asyncio
import time
from typing import Annotated, Any

import typer

from platformctl.cli import (
    cluster,
    job_enter,
    job_import,
    job_list,
    job_output,
    job_rows,
    job_submit,
    job_top,
    job_wait,
)
from platformctl.cli.cluster import (
    Access,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamesArgument,
    NamespaceOption,
)
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs import view

app = typer.Typer(
    help="Jobs on Slurm and Kubernetes: submit, follow, explain and cancel them.", no_args_is_help=True
)
job_submit.register(app)
job_list.register(app)


@app.command()
def describe(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Show everything about a Job: where it went and why, its attempts, tasks, usage and output.

    Example: `platformctl job describe train-x7k2p`
    """
    output: Output = ctx.obj
    job = asyncio.run(_get(Access(kubeconfig, context, namespace), name))
    if output.json:
        job["metadata"].pop("managedFields", None)
        output.document(job)
        return
    for number, section in enumerate(view.describe(job, time.time())):
        if number:
            output.say("")
        if section.columns:
            output.table(
                f"[bold]{section.title}[/]", section.columns, [job_rows.escaped(row) for row in section.rows]
            )
        else:
            output.fields(section.title, [job_rows.escaped(row) for row in section.rows])


@app.command()
def cancel(
    ctx: typer.Context,
    names: NamesArgument,
    delete: Annotated[
        bool, typer.Option("--delete", help="Also delete the Job object with its status.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Cancel Jobs that wait or run. Files that a Job wrote are kept; so is the Job object without --delete.

    Example: `platformctl job cancel train-x7k2p sweep-8h2lq`

    Example: `platformctl job cancel --delete old-9xw4t`
    """
    output: Output = ctx.obj
    done = asyncio.run(_cancel(Access(kubeconfig, context, namespace), names, delete))
    if output.json:
        output.document([{"name": name, "action": action} for name, action in done])
        return
    for name, action in done:
        output.say(f"{name}: {action}")


@app.command()
def retry(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Run an ended Job again, as one more attempt of the same Job.

    Example: `platformctl job retry train-x7k2p`
    """
    output: Output = ctx.obj
    attempt = asyncio.run(_retry(Access(kubeconfig, context, namespace), name))
    if output.json:
        output.document({"name": name, "attempt": attempt + 1})
        return
    output.say(f"{name}: attempt {attempt + 1} requested")


@app.command()
def resume(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Resume a Job that was submitted with `suspend: true`.

    Example: `platformctl job resume merge-88s2k`
    """
    output: Output = ctx.obj
    asyncio.run(_resume(Access(kubeconfig, context, namespace), name))
    if output.json:
        output.document({"name": name, "action": "resumed"})
    output.say(f"{name}: resumed")


async def _get(access: Access, name: str) -> dict[str, Any]:
    async with cluster.jobs_of(access) as jobs:
        return await jobs.get(name)


async def _cancel(access: Access, names: list[str], delete: bool) -> list[tuple[str, str]]:
    from platformctl.vocabulary import CANCEL_REQUESTED

    async with cluster.jobs_of(access) as jobs:
        done = []
        for name in names:
            job = await jobs.get(name)
            if delete:
                await jobs.delete(job)
                done.append((name, "deleted"))
            elif view.live(job):
                await jobs.ask(job, {CANCEL_REQUESTED: "true"})
                done.append((name, "cancelling"))
            else:
                done.append((name, f"has ended already ({view.phase(job)})"))
        return done


async def _resume(access: Access, name: str) -> None:
    async with cluster.jobs_of(access) as jobs:
        job = await jobs.get(name)
        if not (job.get("spec") or {}).get("suspend"):
            raise PlatformError(
                f"{name} is not suspended: it is {view.phase(job)}",
                next=f"platformctl job explain {name}",
                code=ExitCode.REFUSED,
            )
        await jobs.resume(job)


async def _retry(access: Access, name: str) -> int:
    from platformctl.vocabulary import CANCEL_REQUESTED, RETRY_REQUESTED

    async with cluster.jobs_of(access) as jobs:
        job = await jobs.get(name)
        attempt = int((job.get("status") or {}).get("attempt") or 0)
        if view.live(job):
            raise PlatformError(
                f"{name} has not ended: it is {view.phase(job)}",
                next=f"platformctl job cancel {name}",
                code=ExitCode.REFUSED,
            )
        if not attempt:
            raise PlatformError(
                f"{name} was never submitted: {view.reason(job)}",
                next="correct it and submit it again: platformctl job submit FILE",
                code=ExitCode.REFUSED,
            )
        await jobs.ask(job, {RETRY_REQUESTED: str(attempt), CANCEL_REQUESTED: None})
        return attempt


for module in (job_wait, job_output, job_enter, job_import, job_top):
    module.register(app)
