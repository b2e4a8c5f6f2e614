"""The `platformctl` command: the root, its options and the commands below it."""

from typing import Annotated

import typer

from platformctl import __version__
from platformctl.cli import artifacts, docs, inspect, job, lab, node, sbatch, secrets, site, user
from platformctl.cli import run as runs
from platformctl.cli.output_options import RootGroup
from platformctl.cli.start import run
from platformctl.console import Format, Output

__all__ = ["app", "run"]

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
app.add_typer(node.app, name="node")
app.add_typer(secrets.app, name="secrets")
app.add_typer(user.app, name="user")
runs.register(app)
site.register(app)
inspect.register(app)
docs.register(app)
sbatch.register(app)


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
