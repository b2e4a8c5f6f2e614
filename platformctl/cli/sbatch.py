"""`platformctl sbatch`: submits a script as sbatch does, as a Job."""

import asyncio
from typing import Annotated

import typer

from platformctl import __version__
from platformctl.cli import job_rows, job_wait, sbatch_words
from platformctl.cli.cluster import Access
from platformctl.cli.sbatch_words import Request, SbatchCommand
from platformctl.console import Output
from platformctl.errors import ExitCode
from platformctl.jobs import view
from platformctl.jobs.model import Target

LongKubeconfig = Annotated[
    str, typer.Option("--kubeconfig", help="Use this file, not KUBECONFIG or ~/.kube/config.")
]
LongContext = Annotated[str, typer.Option("--context", help="Use this context, not the current one.")]
LongNamespace = Annotated[str, typer.Option("--namespace", help="Use this namespace, not the context's.")]
TargetOption = Annotated[Target, typer.Option("--target", help="Where it runs; auto: as the site decides.")]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        help="Leave out this sbatch option, such as mail-user; repeat or use commas.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to `platformctl`."""
    app.command(name="sbatch", cls=SbatchCommand)(sbatch)


def left_out(without: list[str] | None) -> frozenset[str]:
    """The names of options, repeated or with commas, with dashes or without."""
    return frozenset(name.strip().lstrip("-") for part in without or () for name in part.split(",")) - {""}


def sbatch(
    ctx: typer.Context,
    target: TargetOption = Target.SLURM,
    without: WithoutOption = None,
    kubeconfig: LongKubeconfig = "",
    context: LongContext = "",
    namespace: LongNamespace = "",
) -> None:
    """Submit a script with the options and arguments of sbatch, as a Job, and print its name.

    It takes every option of sbatch 24.11, long and short; options typed here count more than `#SBATCH` lines.
    The Job starts in this folder, with the variables of this shell. Without SCRIPT the script is standard
    input. What becomes of each option: `platformctl docs sbatch`.

    Example: `platformctl sbatch -n4 -o my.stdout my.script input.txt`

    Example: `platformctl sbatch --parsable --wrap "hostname; date"`

    Example: `platformctl sbatch --dependency afterok:train-x7k2p evaluate.sh`
    """
    output: Output = ctx.obj
    request = Request(sbatch_words.words_of(ctx), target, left_out(without))
    found = sbatch_words.read(request)
    if found.named & {"help", "usage"}:
        print(ctx.get_help())
        return
    if "version" in found.named:
        print(f"platformctl {__version__}, with the options of slurm 24.11")
        return
    made = sbatch_words.converted(found, request, sbatch_words.caller(whole=True))
    if isinstance(made, list):
        raise sbatch_words.refusal(found.file, made)
    quiet = "quiet" in found.named
    for note in (*found.notes, *made.notes) if not quiet else ():
        output.remark(job_rows.plain(f"sbatch: {note}"))
    if "test-only" in found.named:
        output.remark("sbatch: nothing is wrong with it; nothing was submitted")
        return
    access = sbatch_access(kubeconfig, context, namespace)
    job = asyncio.run(job_wait.create(made.job, access))
    name = str(job["metadata"]["name"])
    if output.json:
        output.document(view.summary(job))
    elif not quiet:
        print(name if "parsable" in found.named else f"Submitted batch job {name}", flush=True)
    if "wait" in found.named:
        ended = asyncio.run(job_wait.until_ended(name, access, str(job["metadata"]["namespace"])))
        code = (ended.get("status") or {}).get("exitCode")
        raise typer.Exit(int(ExitCode.FAILED) if code is None else int(code))


def sbatch_access(kubeconfig: str, context: str, namespace: str) -> Access:
    """The cluster of the options."""
    from pathlib import Path

    return Access(Path(kubeconfig) if kubeconfig else None, context, namespace)
