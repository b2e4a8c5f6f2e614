"""`platformctl job`: the Jobs of one person on both schedulers, through their own kubeconfig."""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from platformctl.cli import cluster, job_enter, job_import, job_output, job_rows, job_top
from platformctl.cli.cluster import (
    Access,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamesArgument,
    NamespaceOption,
)
from platformctl.cli.completion import QueueOption
from platformctl.cli.job_output import WatchOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs import view
from platformctl.jobs.model import Target
from platformctl.vocabulary import Phase

app = typer.Typer(
    help="Jobs on either scheduler: submit, follow, explain and end them.", no_args_is_help=True
)


class Order(StrEnum):
    """What a list is sorted by; newest last."""

    CREATED = "created"
    NAME = "name"
    PHASE = "phase"
    USER = "user"


@app.command()
def submit(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A manifest or a script; - reads it here.")],
    script: Annotated[
        bool, typer.Option("--script", help="The file is a script, whatever it begins with.")
    ] = False,
    name: Annotated[str, typer.Option(help="The Job's name, instead of one made up.")] = "",
    target: Annotated[Target | None, typer.Option(help="Where it may run.", show_default=False)] = None,
    queue: QueueOption = "",
    walltime: Annotated[str, typer.Option(help="How long it may run: 5400, 01:30:00, 1h30m.")] = "",
    account: Annotated[str, typer.Option(help="The account to charge.")] = "",
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Hosts to spread over.", show_default=False)
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Copies at the same time.", show_default=False)
    ] = None,
    watch: WatchOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Submit Jobs: those of a manifest, or one that runs a script.

    A file that begins with `#!` is a script. Options win over what the manifest says. A script with
    `#SBATCH` lines is first turned into a Job: `platformctl job import`.

    Example: `platformctl job submit job.yaml`

    Example: `platformctl job submit train.sh --walltime 2h --target slurm`

    Example: `echo 'hostname' | sed '1i #!/bin/sh' | platformctl job submit - --name where`
    """
    output: Output = ctx.obj
    fields = {
        "target": target.value if target else None,
        "queue": queue,
        "walltime": int(walltime) if walltime.isdecimal() else walltime,
        "account": account,
        "nodes": nodes,
        "tasks": tasks,
    }
    documents = _read_jobs(file, script)
    if name and len(documents) > 1:
        raise PlatformError(
            "--name is for one Job", where=file, next="name them in it", code=ExitCode.INVALID
        )
    ready = [_checked(document, name, fields, file) for document in documents]
    job_output.submit(output, ready, Access(kubeconfig, context, namespace), watch)


@app.command(name="list")
def list_jobs(
    ctx: typer.Context,
    everyone: Annotated[bool, typer.Option("--all", "-a", help="Everybody's Jobs, not only yours.")] = False,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")] = False,
    phase: Annotated[
        list[Phase] | None,
        typer.Option(help="Only in this phase; repeat for more.", case_sensitive=False),
    ] = None,
    sort: Annotated[Order, typer.Option(help="What to sort by.")] = Order.CREATED,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """List Jobs on both schedulers, yours unless told otherwise.

    Example: `platformctl job list --phase running --phase queued`

    Example: `platformctl job list --all -n team1 --sort user`
    """
    output: Output = ctx.obj
    found = asyncio.run(job_rows.listed(Access(kubeconfig, context, namespace), everyone, everywhere))
    wanted = {item.value for item in phase or ()}
    chosen = sorted((job for job in found if not wanted or view.phase(job) in wanted), key=_KEYS[sort])
    if output.json:
        output.document([view.summary(job) for job in chosen])
        return
    if not chosen:
        output.say("no Jobs" if everyone else "no Jobs of yours; --all shows everybody's")
        return
    hidden = {name for name, shown in (("namespace", everywhere), ("user", everyone)) if not shown}
    kept = [number for number, name in enumerate(view.COLUMNS) if name not in hidden]
    rows = [job_rows.colored(tuple(view.row(job, time.time())[number] for number in kept)) for job in chosen]
    output.table("", [view.COLUMNS[number] for number in kept], rows, folded="reason")


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
        bool, typer.Option("--delete", help="Remove the Job as well, with its record.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """End Jobs, waiting or running. What a Job wrote stays; its record stays unless it is deleted.

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
    """Run a Job that has ended once more, as a further attempt of the same Job.

    Example: `platformctl job retry train-x7k2p`
    """
    output: Output = ctx.obj
    attempt = asyncio.run(_retry(Access(kubeconfig, context, namespace), name))
    if output.json:
        output.document({"name": name, "attempt": attempt + 1})
        return
    output.say(f"{name}: attempt {attempt + 1} asked for")


@app.command()
def resume(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Let a Job go that was submitted with `suspend: true`.

    Example: `platformctl job resume merge-88s2k`
    """
    output: Output = ctx.obj
    asyncio.run(_resume(Access(kubeconfig, context, namespace), name))
    if output.json:
        output.document({"name": name, "action": "resumed"})
    output.say(f"{name}: resumed")


def _read_jobs(file: str, script: bool) -> list[dict[str, Any]]:
    """The Jobs of a file, or of standard input."""
    from platformctl.jobs import manifest

    stem = "stdin" if file == "-" else Path(file).stem
    text = cluster.read_text(file)
    if not script and not manifest.is_script(text):
        try:
            return manifest.from_manifest(text, stem)
        except manifest.NotAManifestError as error:
            raise PlatformError(
                f"{file} {error}",
                next="a manifest of Jobs, or a script whose first line is its interpreter (#!/bin/bash)",
                code=ExitCode.INVALID,
            ) from error
    return [manifest.from_script(text, stem)]


def _checked(document: dict[str, Any], name: str, fields: dict[str, Any], file: str) -> dict[str, Any]:
    """The Job with the options applied, if nothing is wrong with it."""
    from platformctl.jobs import manifest
    from platformctl.jobs.parse import DIRECTIVES_REFUSED, parse

    job = manifest.override(document, name, fields)
    found = parse(job["spec"])
    if isinstance(found, list):
        directives = any(refusal.message.endswith(DIRECTIVES_REFUSED) for refusal in found)
        raise PlatformError(
            f"{len(found)} mistakes, so nothing was submitted" if len(found) > 1 else "nothing was submitted",
            where=file,
            details=manifest.complaints(found),
            next=f"platformctl job import {file}" if directives else "all fields: platformctl docs jobs",
            code=ExitCode.INVALID,
        )
    return job


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
                next="correct it and submit it anew: platformctl job submit FILE",
                code=ExitCode.REFUSED,
            )
        await jobs.ask(job, {RETRY_REQUESTED: str(attempt), CANCEL_REQUESTED: None})
        return attempt


_KEYS: dict[Order, Callable[[dict[str, Any]], Any]] = {
    Order.CREATED: job_rows.created,
    Order.NAME: lambda job: str(job["metadata"]["name"]),
    Order.PHASE: lambda job: (list(Phase).index(view.phase(job)), *job_rows.created(job)),
    Order.USER: lambda job: (view.user(job), *job_rows.created(job)),
}


job_output.register(app)
job_enter.register(app)
job_import.register(app)
job_top.register(app)
