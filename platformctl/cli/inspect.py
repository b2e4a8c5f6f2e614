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
    app.command(cls=SiteCommand)(network)


def status(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Show the site's hosts, their state in both schedulers, the services, and what is not healthy.

    Exits with 1 if anything is not healthy.

    Example: `platformctl status -i mysite`
    """
    from platformctl.engine.checking.status import gather
    from platformctl.engine.loading import load
    from platformctl.engine.planning import vault_check

    output: Output = ctx.obj
    fleet = load(inventory)
    site = asyncio.run(gather(fleet))
    if output.json:
        output.document({**asdict(site), "healthy": site.healthy})
    else:
        _tables(site, output, inventory)
    for line in vault_check.unfinished(fleet):
        output.remark(line)
    raise typer.Exit(ExitCode.DONE if site.healthy else ExitCode.FAILED)


def network(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Show which ports the site's hosts need, from where, and which of them platformctl closes to others.

    This is what a firewall of the site has to let through. Connects to no host.

    Example: `platformctl network -i mysite`
    """
    from platformctl.engine.checking import connections
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    found = connections.needed(load(inventory))
    if output.json:
        output.document([asdict(opening) for opening in found])
        return
    rows = [
        (
            one.port,
            one.use,
            "\n".join(one.to),
            "\n".join([*one.sources, *filter(None, [one.others])]),
            "yes" if one.closed else "no",
        )
        for one in found
    ]
    output.table("", ("port", "what listens", "on", "reached from", "closed to others"), rows)


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
    for stray in site.strays:
        output.say(escape(stray.words(inventory)))
    if site.hosts and all(host.state == NOT_INSTALLED for host in site.hosts):
        output.remark(f"nothing is installed yet: platformctl install -i {inventory}")


def _word(healthy: bool) -> str:
    return "[green]ok[/]" if healthy else "[red]not ok[/]"


def kubeconfig(
    ctx: typer.Context,
    inventory: InventoryOption,
    file: Annotated[
        str,
        typer.Option(
            "--file",
            "-f",
            help="The file to write; only you can read it. What else it has stays.",
        ),
    ],
    user: Annotated[
        str, typer.Option(help="For this user of the site; by default for the administrator.")
    ] = "",
    namespace: Annotated[str, typer.Option(help="The user's namespace.")] = "default",
    days: Annotated[int, typer.Option(min=1, max=365, help="How long a user's certificate is valid.")] = 30,
) -> None:
    """Write a kubeconfig for the administrator, or with --user for a user of the site.

    A file that has other contexts keeps them, and its current context.

    Example: `platformctl kubeconfig -i mysite --user alice --file alice.kubeconfig`
    """
    from platformctl.clients import kubeconfig_merge
    from platformctl.engine.cluster.access import admin_kubeconfig, user_kubeconfig
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    path = kubeconfig_merge.chosen(file)
    fleet = load(inventory)
    kubeconfig_merge.check(path)
    if user:
        document = asyncio.run(user_kubeconfig(fleet, user, namespace, days))
    else:
        document = asyncio.run(admin_kubeconfig(fleet))
    done = kubeconfig_merge.add(document, path)
    owner = user or "the administrator"
    if output.json:
        named = {"kubeconfig": path, "user": user or "administrator", "context": done.context}
        output.document({**named, "current-context": done.current, "copy": done.copy})
        return
    output.say(
        f"kubeconfig of {escape(owner)} written to {escape(str(path))}: context {escape(done.context)}"
    )
    for kind, old, new in done.renamed:
        output.say(f"its {kind} is named {escape(new)}: {escape(old)} is another cluster's and stays")
    if done.kept:
        output.say(
            f"kept: {escape(', '.join(done.kept))}; the file as it was: {escape(str(done.copy or path))}"
        )
    if done.current != done.context:
        output.say(
            f"the current context stays {escape(done.current)}: kubectl --context {escape(done.context)}, or "
            f"kubectl config use-context {escape(done.context)} with this file"
        )
