"""The `platformctl` command: the root, its options, and how errors become exit codes."""

import sys
from typing import Annotated

import typer

from platformctl import __version__
from platformctl.cli import artifacts, docs, inspect, job, lab, site
from platformctl.cli import run as runs
from platformctl.cli.output_options import RootGroup
from platformctl.console import Format, Output
from platformctl.errors import PlatformError

app = typer.Typer(
    name="platformctl",
    cls=RootGroup,
    help="Kubernetes and Slurm side by side on bare hosts, from one Ansible inventory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.add_typer(artifacts.app, name="artifacts")
app.add_typer(lab.app, name="lab")
app.add_typer(job.app, name="job")
runs.register(app)
site.register(app)
inspect.register(app)
docs.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="Text for people, or JSON for programs.")
    ] = Format.TEXT,
    color: Annotated[
        bool,
        typer.Option("--color/--no-color", help="Use colours; the variable NO_COLOR turns them off too."),
    ] = True,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Print more details.")] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Choose the output, before the command or after it."""
    ctx.obj = Output(format=output, color=color, verbose=verbose)


def run() -> None:
    """Entry point: run the command, print an expected error with its remedy, exit with its code."""
    try:
        app()
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
