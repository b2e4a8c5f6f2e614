"""Submits Jobs and watches them until they are accepted or refused, or until they have ended."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platformctl.cli import cluster, job_output, job_rows
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NamesArgument, NamespaceOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs import view
from platformctl.vocabulary import Phase

if TYPE_CHECKING:
    from platformctl.clients.jobs import JobsClient

WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Wait until it ends, and print each change.")
]

# Most refusals come from the router's first reconcile, some tenths of a second after the submission.
_FIRST_SECONDS = 5.0
# A manifest may hold hundreds of Jobs.
_WATCHES = 16
_CODES = {Phase.SUCCEEDED: ExitCode.DONE, Phase.REFUSED: ExitCode.REFUSED}
_INTERRUPTED = 130
# Each further refusal in a reason begins with the path of a field.
_ANOTHER = re.compile(r"; (?=spec\b)")

type _Created = tuple["JobsClient", dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command()(wait)


def submit(output: Output, documents: list[dict[str, Any]], access: Access, watch: bool) -> None:
    """Create Jobs and print their names. With watch, exit when all have ended, with the worst code."""
    raise typer.Exit(asyncio.run(_submit(output, documents, access, watch)))


def run(output: Output, document: dict[str, Any], access: Access) -> None:
    """Create a Job, print its output, and exit with its code when it has ended."""
    names: list[str] = []
    try:
        code = asyncio.run(_run(output, document, access, names))
    except KeyboardInterrupt:
        for name in names:
            output.remark(
                f"{name} continues; platformctl job logs -f {name}, or platformctl job cancel {name}"
            )
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(code)


async def _submit(output: Output, documents: list[dict[str, Any]], access: Access, watch: bool) -> ExitCode:
    async with cluster.jobs_of(access) as jobs:
        created = [await _create(jobs, document, access) for document in documents]
        if not watch:
            _tell_submitted(output, await _judged(created))
            return ExitCode.DONE
        for _, job in created:
            output.say(f"{job['metadata']['name']}: submitted in {job['metadata']['namespace']}")
        return await _wait(output, created)


async def create(document: dict[str, Any], access: Access) -> dict[str, Any]:
    """Create a Job; returns it after the router's first decision. Raises PlatformError if it was refused."""
    async with cluster.jobs_of(access) as jobs:
        (seen,) = await _judged([await _create(jobs, document, access)])
        if view.phase(seen) is Phase.REFUSED:
            raise _refusal([seen], 1)
        return seen


async def until_ended(name: str, access: Access, namespace: str) -> dict[str, Any]:
    """A Job after its end; nothing is printed."""
    async with cluster.jobs_of(access) as jobs:
        here = jobs.at(namespace)
        return await _until_ended(lambda _: None, here, await here.get(name))


async def _create(jobs: "JobsClient", document: dict[str, Any], access: Access) -> _Created:
    metadata = document["metadata"]
    here = jobs.at("" if access.namespace else str(metadata.get("namespace") or ""))
    metadata["namespace"] = here.namespace
    return here, await here.submit(document)


async def _judged(created: list[_Created]) -> list[dict[str, Any]]:
    """The Jobs after the router's first decision; if that takes too long, as they were created."""
    from platformctl.clients.kubernetes import ApiError

    end = asyncio.get_running_loop().time() + _FIRST_SECONDS
    watches = asyncio.Semaphore(_WATCHES)

    async def judged(jobs: "JobsClient", job: dict[str, Any]) -> dict[str, Any]:
        # The Job is submitted, so a user who may not read it must not get an error.
        with suppress(TimeoutError, ApiError):
            async with (
                asyncio.timeout_at(end),
                watches,
                aclosing(jobs.changes(str(job["metadata"]["name"]))) as changes,
            ):
                async for changed in changes:
                    if (changed.get("status") or {}).get("phase"):
                        return changed
        return job

    return await asyncio.gather(*(judged(here, job) for here, job in created))


def _tell_submitted(output: Output, seen: list[dict[str, Any]]) -> None:
    """Print what was submitted. Raises PlatformError if a Job was refused."""
    refused = [job for job in seen if view.phase(job) is Phase.REFUSED]
    if output.json:
        output.document([view.summary(job) for job in seen])
    for job in seen:
        if job not in refused:
            output.say(f"{job['metadata']['name']} submitted in {job['metadata']['namespace']}")
    if refused:
        raise _refusal(refused, len(seen))
    first = seen[0]["metadata"]
    if not output.json:
        output.remark(f"next: platformctl job describe {first['name']} -n {first['namespace']}")


def _refusal(refused: list[dict[str, Any]], submitted: int) -> PlatformError:
    """The error for refused Jobs, with each reason on a line."""
    first = refused[0]["metadata"]
    place = f"{first['name']} -n {first['namespace']}"
    if submitted == 1:
        what, details = f"{first['name']} was refused", _ANOTHER.split(view.reason(refused[0]))
    else:
        what = f"{len(refused)} of {submitted} Jobs were refused"
        details = [f"{job['metadata']['name']}: {view.reason(job)}" for job in refused]
    details = [job_rows.printable(line) for line in details]
    next_step = f"correct it and submit it again; see platformctl job describe {place}"
    return PlatformError(what, details=details, next=next_step, code=ExitCode.REFUSED)


async def _run(output: Output, document: dict[str, Any], access: Access, names: list[str]) -> ExitCode:
    async with cluster.jobs_of(access) as jobs:
        here, job = await _create(jobs, document, access)
        name = str(job["metadata"]["name"])
        names.append(name)
        output.remark(f"{name}: submitted in {here.namespace}")
        printing = asyncio.create_task(job_output.print_all(output, here, name))
        try:
            ended = await _until_ended(output.remark, here, job)
            if view.phase(ended) is not Phase.REFUSED:
                await printing
        finally:
            printing.cancel()
            await asyncio.wait({printing})
        if output.json:
            output.document([view.summary(ended)])
        return _CODES.get(view.phase(ended), ExitCode.FAILED)


async def _wait(output: Output, live: list[_Created]) -> ExitCode:
    """Wait until all have ended; returns the worst of their exit codes."""
    ended = await asyncio.gather(*(_until_ended(output.say, jobs, job) for jobs, job in live))
    if output.json:
        output.document([view.summary(job) for job in ended])
    return max(_CODES.get(view.phase(job), ExitCode.FAILED) for job in ended)


async def _until_ended(
    tell: Callable[[str], None], jobs: "JobsClient", job: dict[str, Any]
) -> dict[str, Any]:
    """Report each change of a Job, and return its last state. A deleted Job is returned as last seen."""
    name, last = str(job["metadata"]["name"]), ""
    async with aclosing(jobs.changes(name)) as changes:
        async for job in changes:
            now = ": ".join(part for part in (view.phase(job), view.reason(job)) if part)
            if now != last:
                tell(job_rows.plain(f"{name}: {now}"))
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
    """Wait until Jobs have ended, and print each change. Exits with 0 if all succeeded.

    Example: `platformctl job wait train-x7k2p && platformctl job logs train-x7k2p`
    """

    async def waited() -> ExitCode:
        async with cluster.jobs_of(Access(kubeconfig, context, namespace)) as jobs:
            return await _wait(ctx.obj, [(jobs, await jobs.get(name)) for name in names])

    raise typer.Exit(asyncio.run(waited()))
