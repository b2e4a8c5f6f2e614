"""The commands that show an installed site and give access to it: status, kubeconfig."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from platformctl.cli.remedies import SiteCommand
from platformctl.cli.run import InventoryOption
from platformctl.console import Output
from platformctl.errors import ExitCode

if TYPE_CHECKING:
    from platformctl.engine.checking.status import SiteStatus


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command(cls=SiteCommand)(status)
    app.command(cls=SiteCommand)(kubeconfig)


def status(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Show the site's hosts, their state in both schedulers, the services, and what is not healthy.

    Exits with 1 if anything is not healthy.

    Example: `platformctl status -i mysite`
    """
    from platformctl.engine.checking.status import gather
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    site = asyncio.run(gather(load(inventory)))
    if output.json:
        output.document({**asdict(site), "healthy": site.healthy})
    else:
        _tables(site, output, inventory)
    raise typer.Exit(ExitCode.DONE if site.healthy else ExitCode.FAILED)


def _tables(site: "SiteStatus", output: Output, inventory: Path) -> None:
    from platformctl.engine.checking.status import NOT_INSTALLED

    hosts = [
        (host.name, host.address, host.owner, host.state, host.kubernetes, host.slurm, _word(host.healthy))
        for host in site.hosts
    ]
    columns = ("host", "address", "owner", "state", "kubernetes", "slurm", "health")
    output.table(f"site {site.site}", columns, hosts, kept=("host", "address"))
    # Below the table: a remark is a sentence, and would leave no room for the columns.
    for host in site.hosts:
        if host.remark:
            output.say(f"{host.name}: {escape(host.remark)}")
    output.say("")
    services = [(item.name, item.where, escape(item.state), _word(item.healthy)) for item in site.services]
    output.table("", ("service", "where", "state", "health"), services)
    if site.hosts and all(host.state == NOT_INSTALLED for host in site.hosts):
        output.remark(f"nothing is installed yet: platformctl install -i {inventory}")


def _word(healthy: bool) -> str:
    return "[green]ok[/]" if healthy else "[red]not ok[/]"


def kubeconfig(
    ctx: typer.Context,
    inventory: InventoryOption,
    file: Annotated[Path, typer.Option("--file", "-f", help="The file to write; only you can read it.")],
    user: Annotated[
        str, typer.Option(help="For this user of the site; by default for the administrator.")
    ] = "",
    namespace: Annotated[str, typer.Option(help="The user's namespace.")] = "default",
    days: Annotated[int, typer.Option(min=1, max=365, help="How long a user's certificate is valid.")] = 30,
) -> None:
    """Write a kubeconfig for the administrator, or with --user for a user of the site.

    Example: `platformctl kubeconfig -i mysite --user alice --file alice.kubeconfig`
    """
    from platformctl.clients import kubeconfig as kubeconfigs
    from platformctl.engine.cluster.access import admin_kubeconfig, user_kubeconfig
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    fleet = load(inventory)
    if user:
        document = asyncio.run(user_kubeconfig(fleet, user, namespace, days))
    else:
        document = asyncio.run(admin_kubeconfig(fleet))
    kubeconfigs.write(document, file)
    if output.json:
        output.document({"kubeconfig": file, "user": user or "administrator"})
    output.say(f"kubeconfig of {user or 'the administrator'} written to {file}")
