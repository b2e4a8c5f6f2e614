"""`platformctl secrets`: list a site's secrets, make missing ones, rotate one. Never prints a value."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from platformctl.cli.remedies import SiteCommand
from platformctl.cli.run import INVENTORY, InventoryOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

app = typer.Typer(
    help="A site's secrets: list, make and rotate them. Never shows a value.", invoke_without_command=True
)


@app.callback()
def secrets(
    ctx: typer.Context,
    inventory: Annotated[Path | None, INVENTORY] = None,
    missing: Annotated[bool, typer.Option("--make", help="The same as `secrets make`.", hidden=True)] = False,
) -> None:
    """A site's secrets: list, make and rotate them. Never shows a value."""
    if ctx.invoked_subcommand is not None:
        return
    if inventory is None:
        print(ctx.get_help())
        raise typer.Exit(ExitCode.INVALID)
    if missing:
        make(ctx, inventory)
    else:
        listed(ctx, inventory)


@app.command("list", cls=SiteCommand)
def listed(ctx: typer.Context, inventory: InventoryOption) -> None:
    """List the secrets: what each is for, who uses it, since when hosts have it, and fingerprints.

    Example: `platformctl secrets list -i mysite`
    """
    from platformctl.engine.fleet import Fleet
    from platformctl.engine.loading import load
    from platformctl.engine.planning import vault_check
    from platformctl.site import secrets as vault

    output: Output = ctx.obj
    fleet = Fleet("", inventory, {}, {}, vault.load(inventory))
    with _even_if_invalid():
        fleet = load(inventory)
    overview = asyncio.run(vault_check.overview(fleet))
    columns = ("secret", "variables", "state", "since", "fingerprint", "for", "used by")
    rows = [
        (item.name, item.variables, item.state, item.since, item.fingerprint, item.purpose, item.users)
        for item in overview.items
    ]
    output.table("", columns, rows, kept=("secret",))
    for line in [*(f"{host} {why}" for host, why in overview.down.items()), *vault_check.unfinished(fleet)]:
        output.remark(line)
    output.remark(f"vault: {vault.vault_path(inventory)}")


@app.command(cls=SiteCommand)
def make(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Generate the secrets that the vault lacks; refused if hosts of the site have some already.

    Example: `platformctl secrets make -i mysite`
    """
    from platformctl.engine.loading import load
    from platformctl.engine.planning import vault_check
    from platformctl.site import secrets as vault

    output: Output = ctx.obj
    if set(vault.NAMES) - set(vault.load(inventory)):
        # Hosts that do not answer cannot be asked: their fingerprints stop the next `install`.
        with _even_if_invalid():
            asyncio.run(vault_check.check(load(inventory)))
    made = vault.ensure(inventory)
    output.say("the missing secrets are made" if made else "nothing to do: the vault has all secrets")
    output.remark(f"vault: {vault.vault_path(inventory)}")


@contextmanager
def _even_if_invalid() -> Iterator[None]:
    """Go on where an inventory has mistakes: it has secrets before it is complete."""
    try:
        yield
    except PlatformError as error:
        if error.code is not ExitCode.INVALID:
            raise


def _names(incomplete: str) -> list[str]:
    from platformctl.site.rotations import BY_NAME

    return [name for name in BY_NAME if name.startswith(incomplete)]


@app.command(cls=SiteCommand)
def rotate(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="See `platformctl secrets list`.", autocompletion=_names)
    ],
    inventory: InventoryOption,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Continue even if users' work may be lost.")
    ] = False,
) -> None:
    """Replace a secret of a running site; keeps the old one as long as it is needed, and proves the new one.

    After a failure or a kill, run it again to continue.

    Example: `platformctl secrets rotate kubernetes_encryption_key -i mysite`
    """
    from platformctl.engine.rotation.rotate import rotate as carry_out

    raise typer.Exit(asyncio.run(carry_out(inventory, name, yes, ctx.obj)))
