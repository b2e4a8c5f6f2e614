"""`platformctl job top`: who uses which cores and GPUs on both schedulers."""

import asyncio
import time
from typing import Annotated, Any

import typer

from platformctl.cli import job_rows
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NamespaceOption
from platformctl.console import Output
from platformctl.jobs import holding, view


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command()(top)


def top(
    ctx: typer.Context,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Jobs of all namespaces.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two updates.")] = 2.0,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Show who uses which cores and GPUs: the live Jobs on both schedulers, and what they asked for.

    Example: `platformctl job top -A --watch`
    """
    output: Output = ctx.obj
    access = Access(kubeconfig, context, namespace)
    while True:
        jobs = [job for job in asyncio.run(job_rows.listed(access, True, everywhere)) if view.live(job)]
        if watch and output.console.is_terminal:
            output.console.clear()
        _show_top(output, jobs, time.time())
        if not watch:
            return
        try:
            time.sleep(every)
        except KeyboardInterrupt:
            return


def _show_top(output: Output, jobs: list[dict[str, Any]], now: float) -> None:
    """Print one table by user and one by Job, or one JSON document."""
    users = holding.totals(jobs)
    holders = sorted(jobs, key=lambda job: (-holding.held(job).millicores, *job_rows.created(job)))
    if output.json:
        rows = [{**view.summary(job), **holding.amounts(job)} for job in holders]
        output.event({"users": users, "jobs": rows})
        return
    if not jobs:
        output.say("no live Jobs")
        return
    output.table(
        "", holding.TOTALS, [job_rows.escaped([str(row[name]) for name in holding.TOTALS]) for row in users]
    )
    output.say("")
    columns = ("name", "user", "phase", "where", "ran", "cpus", "gpus")
    shown = [(view.summary(job)["name"], view.row(job, now), holding.amounts(job)) for job in holders]
    at = [view.COLUMNS.index(name) for name in ("user", "phase", "where", "ran")]
    rows_of_jobs = [
        job_rows.colored(
            [name, *(cells[number] for number in at), str(amounts["cpus"]), str(amounts["gpus"])]
        )
        for name, cells, amounts in shown
    ]
    output.table("", columns, rows_of_jobs, folded="where")
