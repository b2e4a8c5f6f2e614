"""`platformctl user`: the site's users, and their access."""

import asyncio
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platformctl.cli import completion
from platformctl.cli.remedies import SiteCommand
from platformctl.cli.run import InventoryOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

if TYPE_CHECKING:
    from platformctl.engine.checking.users import SiteUser
    from platformctl.engine.fleet import Fleet

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A user.", autocompletion=completion.users)]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names of users.", autocompletion=completion.users)
]
app = typer.Typer(help="See the users of the site, and take or give access.", no_args_is_help=True)


@app.command("list", cls=SiteCommand)
def list_(ctx: typer.Context, inventory: InventoryOption) -> None:
    """List the users with their accounts, whether they have access, and how much of theirs runs.

    Changes nothing.

    Example: `platformctl user list -i mysite`
    """
    from platformctl.engine.checking import users
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    fleet = load(inventory)
    found = asyncio.run(users.read(fleet))
    if output.json:
        output.document([asdict(user) for user in found.users])
        return
    columns = ("user", "uid", "account", "groups", "state", "slurm jobs", "jobs")
    rows = [
        (
            user.name,
            _number(user.uid),
            user.account,
            ", ".join(user.groups),
            user.state,
            _number(user.slurm_jobs),
            _number(user.jobs),
        )
        for user in found.users
    ]
    output.table("", columns, rows, kept=("user", "state"))
    for service, why in found.unknown.items():
        output.remark(f"{service} does not answer: {why}")


@app.command(cls=SiteCommand)
def show(ctx: typer.Context, inventory: InventoryOption, name: NameArgument) -> None:
    """Show one user: ids, groups, home, account, access, and how much of theirs runs.

    Example: `platformctl user show -i mysite alice`
    """
    from platformctl.engine.checking import users
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    fleet = load(inventory)
    found = asyncio.run(users.read(fleet))
    user = next((user for user in found.users if user.name == name), None)
    if user is None:
        raise _unknown(fleet, name)
    if output.json:
        output.document(asdict(user))
        return
    output.fields("", _fields(user))
    for service, why in found.unknown.items():
        output.remark(f"{service} does not answer: {why}")


@app.command(cls=SiteCommand)
def disable(
    ctx: typer.Context,
    inventory: InventoryOption,
    names: NamesArgument,
    end: Annotated[
        bool,
        typer.Option("--end", help="End their jobs on both schedulers too, instead of letting them finish."),
    ] = False,
) -> None:
    """Take all access from users: Kubernetes' API, ssh and sessions, jobs of Slurm. Their files stay.

    Works at once, whatever certificates and keys they have. What they run goes on, unless you give --end. The
    names are written to the inventory, so that later installations keep them out as well.

    Example: `platformctl user disable -i mysite bob`
    """
    from platformctl.engine.running import departing

    output: Output = ctx.obj
    fleet, code = _change(output, inventory, names, enable=False, options=" --end" if end else "")
    if end and code is ExitCode.DONE:
        asyncio.run(departing.end_work(fleet, names))
        output.remark(f"the jobs of {', '.join(names)} have ended")
    raise typer.Exit(code)


@app.command(cls=SiteCommand)
def enable(ctx: typer.Context, inventory: InventoryOption, names: NamesArgument) -> None:
    """Give users the access back that `user disable` took.

    Example: `platformctl user enable -i mysite bob`
    """
    _, code = _change(ctx.obj, inventory, names, enable=True)
    raise typer.Exit(code)


@app.command(cls=SiteCommand)
def token(
    ctx: typer.Context,
    inventory: InventoryOption,
    name: NameArgument,
    minutes: Annotated[
        int, typer.Option(min=1, max=60, metavar="MINUTES", help="How long it is valid, at most 60.")
    ] = 15,
) -> None:
    """Print a token with which a user reaches Slurm's REST interface, as `SLURM_JWT=...`.

    Users cannot make tokens themselves. The controller's journal keeps who got one.

    Example: `platformctl user token -i mysite alice`
    """
    from platformctl.engine.cluster import slurm_token
    from platformctl.engine.loading import load
    from platformctl.engine.running import disabling

    output: Output = ctx.obj
    fleet = load(inventory)
    if name not in disabling.names(fleet):
        raise _unknown(fleet, name)
    found = asyncio.run(slurm_token.make(fleet, name, minutes * 60))
    if output.json:
        output.document({"user": name, "token": found, "seconds": minutes * 60})
    else:
        print(f"SLURM_JWT={found}")


def _change(
    output: Output, inventory: Path, names: list[str], *, enable: bool, options: str = ""
) -> tuple["Fleet", ExitCode]:
    """Write the names to the inventory and bring it to the hosts; returns how that ended."""
    from platformctl.engine.loading import load
    from platformctl.engine.running import disabling
    from platformctl.engine.running.install import Installation, Options
    from platformctl.engine.stages import STAGES
    from platformctl.site import disabled

    fleet = load(inventory)
    before = [str(name) for name in fleet.variables.get(disabled.VARIABLE) or []]
    after = disabling.changed(fleet, names, enable)
    verb = "enable" if enable else "disable"
    command = f"platformctl user {verb} -i {inventory} {shlex.join(names)}{options}"
    chosen = Options(
        stages=disabling.stages(STAGES),
        verbosity=output.verbose,
        details=output.json or output.verbose > 0,
        command=command,
    )
    with disabling.written(inventory, after, before):
        fleet = load(inventory)
        installation = Installation(fleet, chosen)
        disabling.refuse_others(fleet, asyncio.run(installation.draft()).plan)
    return fleet, asyncio.run(installation.run(output))


def _unknown(fleet: "Fleet", name: str) -> PlatformError:
    return PlatformError(
        f"{name} is no user of this site",
        where=f"{fleet.inventory}: users_accounts",
        next=f"platformctl user list -i {fleet.inventory}",
        code=ExitCode.INVALID,
    )


def _fields(user: "SiteUser") -> list[tuple[str, str]]:
    return [
        ("user", user.name),
        ("name", user.full_name),
        ("uid", _number(user.uid)),
        ("groups", ", ".join(user.groups)),
        ("home", user.home),
        ("slurm account", user.account),
        ("state", user.state),
        ("slurm jobs", _number(user.slurm_jobs)),
        ("jobs", _number(user.jobs)),
    ]


def _number(found: int | None) -> str:
    return "-" if found is None else str(found)
