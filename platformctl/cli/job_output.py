"""Following Jobs: until they end, their output, and why they wait."""

import asyncio
import sys
import time
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platformctl.cli import cluster, job_rows
from platformctl.cli.cluster import (
    Access,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamesArgument,
    NamespaceOption,
)
from platformctl.console import Output
from platformctl.errors import ExitCode
from platformctl.jobs import view

if TYPE_CHECKING:
    from platformctl.clients.jobs import JobsClient

WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Wait, and say what happens, until it ends.")
]

_PAGE = 1024 * 1024
_BYTES_A_LINE = 256
_EXPLAIN_SECONDS = 15
_CODES = {"Succeeded": ExitCode.DONE, "Refused": ExitCode.REFUSED}


def register(app: typer.Typer) -> None:
    """Add the commands to `platformctl job`."""
    app.command()(wait)
    app.command()(logs)
    app.command()(explain)


def submit(output: Output, documents: list[dict[str, Any]], access: Access, watch: bool) -> None:
    """Create Jobs and say so; with watch, exit when all have ended, with the worst of their codes."""
    raise typer.Exit(asyncio.run(_submit(output, documents, access, watch)))


async def _submit(output: Output, documents: list[dict[str, Any]], access: Access, watch: bool) -> ExitCode:
    async with cluster.jobs_of(access) as jobs:
        created = []
        for document in documents:
            metadata = document["metadata"]
            here = jobs.at("" if access.namespace else str(metadata.get("namespace") or ""))
            metadata["namespace"] = here.namespace
            created.append((here, await here.submit(document)))
        if not watch:
            _tell_submitted(output, [job for _, job in created])
            return ExitCode.DONE
        for _, job in created:
            output.say(f"{job['metadata']['name']}: submitted in {job['metadata']['namespace']}")
        return await _wait(output, created)


async def _wait(output: Output, live: list[tuple["JobsClient", dict[str, Any]]]) -> ExitCode:
    """Until all have ended; returns the worst of their codes."""
    ended = await asyncio.gather(*(_until_ended(output, jobs, job) for jobs, job in live))
    if output.json:
        output.document([view.summary(job) for job in ended])
    return max(_CODES.get(view.phase(job), ExitCode.FAILED) for job in ended)


def _tell_submitted(output: Output, created: list[dict[str, Any]]) -> None:
    if output.json:
        output.document([view.summary(job) for job in created])
        return
    for job in created:
        output.say(f"{job['metadata']['name']} submitted in {job['metadata']['namespace']}")
    first = created[0]["metadata"]
    output.remark(f"next: platformctl job describe {first['name']} -n {first['namespace']}")


async def _until_ended(output: Output, jobs: "JobsClient", job: dict[str, Any]) -> dict[str, Any]:
    """Say each change of a Job; returns it as it ended. A Job that is deleted counts as it was last seen."""
    name, last = str(job["metadata"]["name"]), ""
    async with aclosing(jobs.changes(name)) as changes:
        async for job in changes:
            now = ": ".join(part for part in (view.phase(job), view.reason(job)) if part)
            if now != last:
                output.say(job_rows.plain(f"{name}: {now}"))
            last = now
            if not view.live(job):
                break
    return job


def wait(
    ctx: typer.Context,
    names: NamesArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Wait until Jobs have ended, saying what happens; exits with 0 when all succeeded.

    Example: `platformctl job wait train-x7k2p && platformctl job logs train-x7k2p`
    """

    async def waited() -> ExitCode:
        async with cluster.jobs_of(Access(kubeconfig, context, namespace)) as jobs:
            return await _wait(ctx.obj, [(jobs, await jobs.get(name)) for name in names])

    raise typer.Exit(asyncio.run(waited()))


def logs(
    ctx: typer.Context,
    name: NameArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the Job has ended.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last lines.", show_default=False)] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="Of this element of an array.", show_default=False)
    ] = None,
    since_start: Annotated[
        bool, typer.Option("--since-start", help="All of it; without, the last MiB where there is more.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Print what a Job has printed, on whichever scheduler it ran.

    Example: `platformctl job logs train-x7k2p --tail 20 -f`

    Example: `platformctl job logs sweep-8h2lq --index 7 --since-start`
    """
    access = Access(kubeconfig, context, namespace)
    asyncio.run(_logs(ctx.obj, access, name, follow, _Part(tail, index, since_start)))


class _Part:
    """Which part of the output: the last lines, or all, or what fits a page."""

    def __init__(self, lines: int | None, index: int | None, since_start: bool) -> None:
        self.lines = lines
        self.index = index
        self.since_start = since_start and lines is None


async def _logs(output: Output, access: Access, name: str, follow: bool, part: _Part) -> None:
    async with cluster.jobs_of(access) as jobs:
        offset, complete = await _print_first(output, jobs, name, part)
        if follow and not complete:
            async with aclosing(jobs.follow(name, offset, index=part.index)) as pieces:
                async for piece in pieces:
                    _print(piece)
            return
        while part.since_start and not complete:
            _, body, complete = await jobs.page(name, offset, index=part.index)
            if not body:
                return
            _print(body)
            offset += len(body)


async def _print_first(output: Output, jobs: "JobsClient", name: str, part: _Part) -> tuple[int, bool]:
    """Print what there is of the part; returns where it ends, and whether nothing follows."""
    if part.since_start:
        return 0, False
    size = _PAGE if part.lines is None else min(_PAGE, (part.lines + 1) * _BYTES_A_LINE)
    while True:
        start, body, complete = await _end(jobs, name, size, part.index)
        shown = body if part.lines is None else last_lines(body, part.lines)
        if start == 0 or size >= _PAGE or len(shown) < len(body):
            break
        size = min(_PAGE, size * 8)
    if start and part.lines is None:
        output.remark(f"the first {start} bytes are left out; --since-start shows them")
    _print(shown)
    return start + len(body), complete


async def _end(jobs: "JobsClient", name: str, size: int, index: int | None) -> tuple[int, bytes, bool]:
    """The last bytes of an output, in as many pages as the server makes of them."""
    start, body, complete = await jobs.page(name, tail=size, index=index)
    while body and not complete and len(body) < size:
        _, more, complete = await jobs.page(name, offset=start + len(body), index=index)
        if not more:
            break
        body += more
    return start, body, complete


def last_lines(text: bytes, count: int) -> bytes:
    """The last lines of a text; an unfinished one counts."""
    lines = text.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def _print(text: bytes) -> None:
    """As the Job printed it, which need not be text."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def explain(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Say in a paragraph why a Job waits, behind whom, and when it should start; or how it ended.

    Example: `platformctl job explain train-x7k2p`
    """
    output: Output = ctx.obj
    job, found, others = asyncio.run(_explain(output, Access(kubeconfig, context, namespace), name))
    text = view.explain(job, found, time.time(), others)
    if output.json:
        output.document({**view.summary(job), "explanation": found, "text": text})
        return
    output.console.print(job_rows.plain(text), soft_wrap=False)


async def _explain(
    output: Output, access: Access, name: str
) -> tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]]:
    """The Job, what its scheduler says, and the Jobs that it may wait behind."""
    async with cluster.jobs_of(access) as jobs:
        job = await jobs.get(name)
        if not view.waits_there(job):
            return job, None, []
        job, found = await _asked(output, jobs, job)
        return job, found, await jobs.list() if found and found.get("behind") else []


async def _asked(
    output: Output, jobs: "JobsClient", job: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Have the router ask the scheduler; None where the status must do."""

    from platformctl.clients.kubernetes import ApiError, UnavailableError
    from platformctl.vocabulary import EXPLAIN_REQUESTED

    asked = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        await jobs.ask(job, {EXPLAIN_REQUESTED: asked})
        async with asyncio.timeout(_EXPLAIN_SECONDS):
            return await _answered(jobs, job, asked)
    except UnavailableError:
        raise
    except ApiError as error:
        output.remark(job_rows.plain(f"its scheduler cannot be asked for you: {error.message}"))
    except TimeoutError:
        output.remark("the router did not answer in time; this is what it last wrote")
    return job, None


async def _answered(
    jobs: "JobsClient", job: dict[str, Any], asked: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    async with aclosing(jobs.changes(str(job["metadata"]["name"]))) as changes:
        async for job in changes:
            found = (job.get("status") or {}).get("explanation") or {}
            if found.get("requested") == asked or not view.waits_there(job):
                return job, found if view.waits_there(job) else None
    return job, None
