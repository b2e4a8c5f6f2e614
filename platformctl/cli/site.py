"""The commands on a site's inventory: init, validate, schema. None of them touches a host."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from platformctl import paths
from platformctl.cli.remedies import SiteCommand
from platformctl.cli.run import InventoryOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.mistakes import Mistake


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(init)
    app.command(cls=SiteCommand)(validate)
    app.command()(schema)


def init(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="NAME", help="The folder to make; the site gets the same name.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the example's files in an existing folder.")
    ] = False,
) -> None:
    """Make the inventory of a new site: documented files to edit, and new secrets."""
    from platformctl.site import scaffold

    output: Output = ctx.obj
    written = scaffold.create(folder, force)
    if output.json:
        output.document({"inventory": folder, "files": written})
        return
    output.say(f"Made {folder} with {len(written)} files and new secrets. Next:")
    output.say(f"  edit {folder}/hosts.yml: your hosts, their addresses and tasks")
    output.say(f"  edit {folder}/group_vars/all/: at least site, connection and users")
    output.say(f"  platformctl validate -i {folder}: lists what is still the example's")
    for command in ("preflight", "install"):
        output.say(f"  platformctl {command} -i {folder}")


def validate(ctx: typer.Context, inventory: InventoryOption) -> None:
    """List all mistakes of an inventory. Connects to no host."""
    from platformctl import site

    output: Output = ctx.obj
    mistakes = [*site.check(inventory), *site.check_secrets(inventory)]
    if output.json:
        columns = ("place", "key", "value", "problem", "remedy")
        output.table("", columns, [(m.place, m.key, m.value, m.problem, m.remedy) for m in mistakes])
    elif mistakes:
        folder = inventory if inventory.is_dir() else inventory.parent
        rows = [_for_people(mistake, folder) for mistake in mistakes]
        output.table(str(inventory), ("where", "mistake", "what to do"), rows)
    if mistakes:
        raise typer.Exit(ExitCode.INVALID)
    loaded = site.load(inventory)
    output.say(f"{loaded.name}: {len(loaded.hosts)} hosts, no mistakes")


def _for_people(mistake: Mistake, folder: Path) -> tuple[str, str, str]:
    value = f"\n(found {escape(mistake.value)})" if mistake.value else ""
    name = mistake.file.relative_to(folder)
    place = f"{name}:{mistake.line}" if mistake.line else str(name)
    return f"{place}\n{escape(mistake.key)}", f"{escape(mistake.problem)}{value}", escape(mistake.remedy)


def schema(
    ctx: typer.Context,
    area: Annotated[str, typer.Argument(help="One area, such as kubernetes; by default all.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a page for people instead.")] = False,
) -> None:
    """Print the JSON Schema of variables, for editors."""
    from platformctl.site.areas import by_area
    from platformctl.site.documentation import markdown as page
    from platformctl.site.schema import json_schema

    output: Output = ctx.obj
    if markdown:
        print(page(paths.data_dir()), end="")
        return
    areas = by_area(paths.data_dir())
    chosen = [entry for entry in areas if not area or entry.name == area]
    if not chosen:
        raise PlatformError(
            f"there is no area {area}",
            next=f"choose one of {', '.join(entry.name for entry in areas)}",
            code=ExitCode.INVALID,
        )
    variables = [variable for entry in chosen for variable in areas[entry]]
    document: dict[str, Any] = json_schema(variables, area or "variables")
    output.document(document)
