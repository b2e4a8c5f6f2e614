"""The output of Jobs, and why they wait."""

import asyncio
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platformctl.cli import cluster, job_rows
from platformctl.cli.cluster import (
    Access,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamespaceOption,
)
from platformctl.console import Output
from platformctl.errors import PlatformError
from platformctl.jobs import view
from platformctl.jobs.indices import indices, wrong_index
from platformctl.vocabulary import Phase

if TYPE_CHECKING:
    from platformctl.clients.jobs import JobsClient

_PAGE = 1024 * 1024
_BYTES_A_LINE = 256
_EXPLAIN_SECONDS = 15


def register(app: typer.Typer) -> None:
    """Add the commands to `platformctl job`."""
    app.command()(logs)
    app.command()(explain)


def logs(
    ctx: typer.Context,
    name: NameArgument,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Continue until the Job has ended, through all its attempts."),
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=0, help="Only this many last lines.", show_default=False)
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="This element of an array, or this task.", show_default=False)
    ] = None,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="This attempt; by default the last.", show_default=False)
    ] = None,
    since_start: Annotated[
        bool, typer.Option("--since-start", help="Everything; by default only the last MiB.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Print the output of a Job, whichever scheduler runs it.

    Example: `platformctl job logs train-x7k2p --tail 20 -f`

    Example: `platformctl job logs train-x7k2p --attempt 1`

    Example: `platformctl job logs sweep-8h2lq --index 7 --since-start`
    """
    access = Access(kubeconfig, context, namespace)
    asyncio.run(_logs(ctx.obj, access, name, follow, _Part(tail, index, since_start, attempt)))


@dataclass
class _Part:
    """Which part of which output: the last lines, or everything, or the last page.

    attempt: None for the last. aside: print it to standard error, because standard output is a JSON document.
    """

    lines: int | None = None
    index: int | None = None
    since_start: bool = False
    attempt: int | None = None
    aside: bool = False

    def of(self, attempt: int) -> dict[str, Any]:
        """The client's arguments."""
        return {"index": self.index, "attempt": attempt}


async def _logs(output: Output, access: Access, name: str, follow: bool, part: _Part) -> None:
    async with cluster.jobs_of(access) as jobs:
        job = await jobs.get(name)
        _check(job, part)
        attempt = part.attempt or view.attempt(job)
        if not follow:
            await _print_now(output, jobs, job, part, attempt)
            return
        start, complete = 0, False
        if not part.since_start or part.lines is not None:
            start, complete = await _print_first(output, jobs, name, part, attempt)
        if not (start or complete):
            _tell_not_started(output, job, attempt, "; waiting for it")
        await _follow(output, jobs, name, part, attempt, start, complete)


async def print_all(output: Output, jobs: "JobsClient", name: str) -> None:
    """Print a Job's output from start to end; of an array, the output of the first index."""
    from platformctl.clients.jobs import NoLogsError
    from platformctl.clients.kubernetes import NotFoundError

    try:
        await _follow(output, jobs, name, _Part(aside=output.json), 1, 0, False)
    except NoLogsError:
        output.remark("its output is not shown: this cluster does not serve the output of Jobs")
    except NotFoundError as error:
        output.remark(job_rows.plain(f"its output is not shown: {error.message}"))


def _check(job: dict[str, Any], part: _Part) -> None:
    """Raise PlatformError if the Job has no such attempt or index."""
    name, last = job["metadata"]["name"], view.attempt(job)
    if part.attempt is not None and part.attempt > last:
        raise PlatformError(
            f"{name} has no attempt {part.attempt}; its last is {last}",
            next=f"platformctl job logs {name} --attempt {last}",
        )
    if trouble := wrong_index(job, part.index):
        first = indices(job)[:1]
        option = f" --index {first[0]}" if first else ""
        raise PlatformError(f"{name} {trouble}", next=f"platformctl job logs {name}{option}")


def _tell_not_started(output: Output, job: dict[str, Any], attempt: int, then: str) -> None:
    """Say why there is no output yet, if the Job has not started."""
    if attempt == view.attempt(job) and view.phase(job) in (Phase.PENDING, Phase.QUEUED):
        why = ": ".join(part for part in (view.phase(job), view.reason(job)) if part)
        which = f", attempt {attempt}," if attempt > 1 else ""
        output.remark(job_rows.plain(f"{job['metadata']['name']}{which} has not started ({why}){then}"))


async def _print_now(
    output: Output, jobs: "JobsClient", job: dict[str, Any], part: _Part, attempt: int
) -> None:
    """Print what exists of the part now."""
    name = str(job["metadata"]["name"])
    if not part.since_start or part.lines is not None:
        end, complete = await _print_first(output, jobs, name, part, attempt)
    else:
        end, complete = 0, False
        while not complete:
            _, body, complete = await jobs.page(name, end, **part.of(attempt))
            if not body:
                break
            _print(body, part.aside)
            end += len(body)
    if not (end or complete):
        _tell_not_started(output, job, attempt, "")


async def _follow(
    output: Output, jobs: "JobsClient", name: str, part: _Part, attempt: int, offset: int, complete: bool
) -> None:
    """Print from an offset to the end of an attempt, then later attempts unless one was chosen."""
    from platformctl.clients.kubernetes import NotFoundError

    while True:
        lost: NotFoundError | None = None
        try:
            if not complete:
                await _print_to_end(jobs, name, part, attempt, offset)
        except NotFoundError as error:
            lost = error
        if part.attempt is not None or await _last_attempt(jobs, name) <= attempt:
            if lost is not None:
                raise lost
            return
        why = f" ({lost.message})" if lost is not None else ""
        output.remark(job_rows.plain(f"{name}: attempt {attempt} ended{why}; now attempt {attempt + 1}"))
        attempt, offset, complete = attempt + 1, 0, False


async def _print_to_end(jobs: "JobsClient", name: str, part: _Part, attempt: int, offset: int) -> None:
    async with aclosing(jobs.follow(name, offset, **part.of(attempt))) as pieces:
        async for piece in pieces:
            _print(piece, part.aside)


async def _last_attempt(jobs: "JobsClient", name: str) -> int:
    """The number of the last attempt; 0 if the Job was deleted."""
    from platformctl.clients.kubernetes import NotFoundError

    try:
        return view.attempt(await jobs.get(name))
    except NotFoundError:
        return 0


async def _print_first(
    output: Output, jobs: "JobsClient", name: str, part: _Part, attempt: int
) -> tuple[int, bool]:
    """Print the last lines, or the last page; returns its end, and whether nothing follows."""
    size = _PAGE if part.lines is None else min(_PAGE, (part.lines + 1) * _BYTES_A_LINE)
    while True:
        start, body, complete = await _end(jobs, name, size, part.of(attempt))
        shown = body if part.lines is None else last_lines(body, part.lines)
        if start == 0 or size >= _PAGE or len(shown) < len(body):
            break
        size = min(_PAGE, size * 8)
    if start and part.lines is None:
        output.remark(f"the first {start} bytes are left out; --since-start shows them")
    _print(shown, part.aside)
    return start + len(body), complete


async def _end(jobs: "JobsClient", name: str, size: int, which: dict[str, Any]) -> tuple[int, bytes, bool]:
    """The last bytes of an output, read page by page."""
    start, body, complete = await jobs.page(name, tail=size, **which)
    while body and not complete and len(body) < size:
        _, more, complete = await jobs.page(name, offset=start + len(body), **which)
        if not more:
            break
        body += more
    return start, body, complete


def last_lines(text: bytes, count: int) -> bytes:
    """The last lines of a text; an unfinished one counts."""
    lines = text.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def _print(text: bytes, aside: bool) -> None:
    """Print bytes unchanged, because they need not be text. aside: to standard error."""
    stream = sys.stderr if aside else sys.stdout
    stream.flush()
    stream.buffer.write(text)
    stream.buffer.flush()


def explain(
    ctx: typer.Context,
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Explain why a Job waits, behind which Jobs, and when it should start; or how it ended.

    Example: `platformctl job explain train-x7k2p`
    """
    output: Output = ctx.obj
    job, explanation, others = asyncio.run(_explain(output, Access(kubeconfig, context, namespace), name))
    text = view.explain(job, explanation, time.time(), others)
    if output.json:
        output.document({**view.summary(job), "explanation": explanation, "text": text})
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
        job, explanation = await _asked(output, jobs, job)
        return job, explanation, await jobs.list() if explanation and explanation.get("behind") else []


async def _asked(
    output: Output, jobs: "JobsClient", job: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Have the router ask the scheduler. None: there is no answer, and the status has to be enough."""

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
            explanation = (job.get("status") or {}).get("explanation") or {}
            if explanation.get("requested") == asked or not view.waits_there(job):
                return job, explanation if view.waits_there(job) else None
    return job, None
