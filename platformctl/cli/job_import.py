"""`platformctl job import`: an #SBATCH script as a Job."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from platformctl.cli import cluster, job_rows, job_wait
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NamespaceOption
from platformctl.cli.job_wait import WatchOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs.model import Target


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl job`."""
    app.command(name="import")(import_script)


def import_script(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="SCRIPT|-", help="A script for sbatch; - for standard input.")
    ],
    submit: Annotated[bool, typer.Option("--submit", help="Submit the Job instead of showing it.")] = False,
    target: Annotated[Target, typer.Option(help="Where it runs; auto: as the site decides.")] = Target.SLURM,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out this sbatch option, such as mail-user; repeat or use commas.", show_default=False
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=NAME",
            help="The Job with the Slurm job id that --dependency names; repeat for more.",
            show_default=False,
        ),
    ] = None,
    watch: WatchOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Convert an #SBATCH script to a Job. Every directive is mapped, emulated, or refused with its line.

    Prints the Job as YAML, and notes on what differs from sbatch. All options: `platformctl docs sbatch`.

    Example: `platformctl job import train.sh > train.yaml`

    Example: `platformctl job import train.sh --without mail-type,mail-user --submit --watch`
    """
    from platformctl.jobs.manifest import as_yaml
    from platformctl.jobs.sbatch import convert

    output: Output = ctx.obj
    unwanted = {name.strip().lstrip("-") for part in without or () for name in part.split(",")} - {""}
    file_name = "sbatch" if file == "-" else Path(file).name
    text, names = cluster.read_text(file), _names(job or [])
    access = Access(kubeconfig, context, namespace)
    converted = convert(text, file_name, names, unwanted, target)
    if submit and isinstance(converted, list) and any("--job " in mistake.message for mistake in converted):
        converted = convert(text, file_name, {**asyncio.run(_own(access)), **names}, unwanted, target)
    if isinstance(converted, list):
        raise PlatformError(
            f"{file} cannot be converted to a Job; to change: {len(converted)}",
            details=[f"{file}:{mistake.line}: {mistake.message}" for mistake in converted],
            next="change the script, or leave out an option: --without OPTION",
            code=ExitCode.INVALID,
        )
    for note in converted.notes:
        output.remark(job_rows.plain(f"note: {note}"))
    if submit:
        job_wait.submit(output, [converted.job], access, watch)
    if output.json:
        output.document({"job": converted.job, "notes": list(converted.notes)})
        return
    print(as_yaml(converted.job), end="")


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
