"""`platformctl job import`: a script for sbatch with a command line, or a manifest of batch/v1, as a Job."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from platformctl.cli import job_rows, job_wait, sbatch_words
from platformctl.cli.cluster import Access
from platformctl.cli.job_import_manifest import import_manifest
from platformctl.cli.sbatch import (
    LongContext,
    LongKubeconfig,
    LongNamespace,
    WithoutOption,
    left_out,
    sbatch_access,
)
from platformctl.cli.sbatch_words import Request, SbatchAnywhere
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs.model import Target


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command(name="import", cls=SbatchAnywhere)(import_script)


def import_script(
    ctx: typer.Context,
    submit: Annotated[bool, typer.Option("--submit", help="Submit the Job instead of showing it.")] = False,
    target: Annotated[
        Target | None,
        typer.Option(
            "--target",
            help="Where it runs; auto: as the site decides. By default slurm, or what a manifest says.",
            show_default=False,
        ),
    ] = None,
    without: WithoutOption = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job",
            metavar="ID=NAME",
            help="The Job with the Slurm job id that --dependency names; repeat for more.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait until it ends, and print each change.")
    ] = False,
    kubeconfig: LongKubeconfig = "",
    context: LongContext = "",
    namespace: LongNamespace = "",
) -> None:
    """Convert a script for sbatch, or a manifest of batch/v1, to a Job.

    Every option of a script is mapped, emulated, or refused with its line. A manifest gets another
    apiVersion, and keeps its fields.

    For a script it takes the options of sbatch and the script's arguments, as `platformctl sbatch` does; `-`
    is standard input. Words behind `--` are the script's. Prints the Job as YAML, and notes on what differs
    from sbatch. All options: `platformctl docs sbatch`.

    Example: `platformctl job import train.sh > train.yaml`

    Example: `platformctl job import job.yaml --submit`

    Example: `platformctl job import --array 1-9 train.sh input.txt --submit --watch`
    """
    from platformctl.jobs.batch_import import is_manifest
    from platformctl.jobs.manifest import as_yaml

    output: Output = ctx.obj
    access = sbatch_access(kubeconfig, context, namespace)
    names = _names(job or [])
    request = Request(sbatch_words.words_of(ctx), target or Target.SLURM, left_out(without), names)
    found = sbatch_words.read(request)
    if is_manifest(found.text):
        _without_sbatch(found.file, request)
        import_manifest(output, found.file, found.text, target, access if submit else None, watch)
        return
    if submit and "dependency" in found.named:
        request = replace(request, job_names={**asyncio.run(_own(access)), **names})
    made = sbatch_words.converted(found, request, sbatch_words.caller(whole=submit))
    if isinstance(made, list):
        raise sbatch_words.refusal(found.file, made)
    for note in (*found.notes, *made.notes):
        output.remark(job_rows.plain(f"note: {note}"))
    if submit:
        job_wait.submit(output, [made.job], access, watch)
    if output.json:
        output.document({"job": made.job, "notes": [*found.notes, *made.notes]})
        return
    print(as_yaml(made.job), end="")


def _without_sbatch(file: str, request: Request) -> None:
    """Refuse what means nothing for a manifest."""
    given = [*request.words[1:], *sorted(request.without), *request.job_names]
    if given:
        raise PlatformError(
            f"{file} is a manifest, which takes no options of sbatch and no arguments: {' '.join(given)}",
            next=f"platformctl job import {file} [--target TARGET] [--submit] [--watch]",
            code=ExitCode.INVALID,
        )


async def _own(access: Access) -> dict[str, str]:
    """The caller's own Jobs by their Slurm job id. If Slurm reused an id, the newest Job counts."""
    jobs = sorted(await job_rows.listed(access, False, False), key=job_rows.created)
    pairs = [(job.get("status") or {}, str(job["metadata"]["name"])) for job in jobs]
    return {
        str(status.get("backendId")): name for status, name in pairs if status.get("backend") == Target.SLURM
    }


def _names(pairs: list[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        job_id, equals, name = pair.partition("=")
        if not equals or not job_id.isdigit() or not name:
            raise typer.BadParameter(f"{pair!r} is not ID=NAME, such as 4711=train-x7k2p", param_hint="--job")
        names[job_id] = name
    return names
