"""`platformctl job list`: which Jobs, in which order, and as many columns as fit the terminal."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from platformctl.cli import job_rows
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NamespaceOption
from platformctl.console import Output
from platformctl.jobs import view
from platformctl.jobs.walltime import parse_walltime
from platformctl.vocabulary import Phase

# Left out in this order if the terminal is narrow. Name and phase are always shown.
_LESS_IMPORTANT = ("ran", "tasks", "exit", "age", "where", "user", "reason", "namespace")
_REASON, _GAP = 20, 2


class Order(StrEnum):
    """How a list is sorted; the newest Job is last."""

    CREATED = "created"
    NAME = "name"
    PHASE = "phase"
    USER = "user"


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command(name="list")(list_jobs)


def list_jobs(
    ctx: typer.Context,
    everyone: Annotated[bool, typer.Option("--all", "-a", help="Jobs of all users.")] = False,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Jobs of all namespaces.")
    ] = False,
    phase: Annotated[
        list[Phase] | None,
        typer.Option(
            "--phase", "--state", help="Only Jobs in this phase; repeat for more.", case_sensitive=False
        ),
    ] = None,
    labels: Annotated[
        str, typer.Option("--selector", "-l", help="Only Jobs with these labels: project=wind,stage!=test.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(help="Only Jobs created in the last 2h, 1d, ... or since a date such as 2026-11-28."),
    ] = "",
    name: Annotated[str, typer.Option(help="Only Jobs whose name matches: 'train-*'.")] = "",
    sort: Annotated[Order, typer.Option(help="Sort by this; the newest Job is last.")] = Order.CREATED,
    wide: Annotated[
        bool, typer.Option("--wide", "-w", help="All columns, also on a narrow terminal.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """List Jobs on both schedulers; by default only yours.

    On a narrow terminal some columns are left out; in a file or a pipe all of them are written.

    Example: `platformctl job list --state running --state queued`

    Example: `platformctl job list --name 'train-*' --since 1d -l project=wind`

    Example: `platformctl job list --all -n team1 --sort user --wide`
    """
    output: Output = ctx.obj
    now = time.time()
    earliest = _earliest(since, now)
    jobs = asyncio.run(job_rows.listed(Access(kubeconfig, context, namespace), everyone, everywhere, labels))
    wanted = {item.value for item in phase or ()}
    chosen = [
        job
        for job in jobs
        if (not wanted or view.phase(job) in wanted)
        and (not name or fnmatchcase(str(job["metadata"]["name"]), name))
        and (view.created(job) or now) >= earliest
    ]
    chosen.sort(key=_KEYS[sort])
    if output.json:
        output.document([view.summary(job) for job in chosen])
    elif chosen:
        _table(output, chosen, now, _hidden(everyone, everywhere), wide)
    else:
        filtered = bool(wanted or labels or since or name)
        output.say(_nothing(everyone, filtered))


def _nothing(everyone: bool, filtered: bool) -> str:
    what = "no such Jobs" if filtered else "no Jobs"
    return what if everyone else f"{what} of yours; --all shows everybody's"


def _earliest(since: str, now: float) -> float:
    """Seconds since the epoch; 0 for all."""
    if not since:
        return 0.0
    try:
        return now - parse_walltime(since)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(since).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(
            f"{since!r} is neither a time such as 90m, 2h or 1d nor a date such as 2026-11-28",
            param_hint="--since",
        ) from None


def _hidden(everyone: bool, everywhere: bool) -> set[str]:
    """Columns that would have the same value in every row."""
    return {name for name, shown in (("namespace", everywhere), ("user", everyone)) if not shown}


def _table(output: Output, jobs: list[dict[str, Any]], now: float, hidden: set[str], wide: bool) -> None:
    rows = [dict(zip(view.COLUMNS, view.row(job, now), strict=True)) for job in jobs]
    # Without a terminal, lines are for programs such as grep, unless COLUMNS limits their width.
    wide = wide or not (output.console.is_terminal or os.environ.get("COLUMNS"))
    columns = [name for name in view.COLUMNS if name not in hidden]
    if not wide:
        columns = _fitting(columns, rows, output.console.width)
    cells = [job_rows.colored([row[name] for name in columns]) for row in rows]
    output.table("", columns, cells, folded="reason", whole=wide)


def _fitting(columns: Sequence[str], rows: Sequence[dict[str, str]], width: int) -> list[str]:
    """The columns that fit into the width, without cutting names and ids."""
    kept = list(columns)
    needed = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    needed["reason"] = min(needed["reason"], _REASON)
    empty = [name for name in columns if name in _LESS_IMPORTANT and not any(row[name] for row in rows)]
    for name in (*empty, *_LESS_IMPORTANT):
        if sum(needed[column] + _GAP for column in kept) - _GAP <= width:
            break
        if name in kept:
            kept.remove(name)
    return kept


_KEYS: dict[Order, Callable[[dict[str, Any]], Any]] = {
    Order.CREATED: job_rows.created,
    Order.NAME: lambda job: str(job["metadata"]["name"]),
    Order.PHASE: lambda job: (list(Phase).index(view.phase(job)), *job_rows.created(job)),
    Order.USER: lambda job: (view.user(job), *job_rows.created(job)),
}
