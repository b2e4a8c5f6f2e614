"""`platformctl artifacts`: make or download what a site installs, list it, check it, pin it.

What a command needs is imported when it runs, so that other commands do not pay for it.
"""

import time
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platformctl.cli.remedies import SiteCommand
from platformctl.cli.run import INVENTORY
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

if TYPE_CHECKING:
    from platformctl.artifacts.store import Store

app = typer.Typer(help="Programs, images and charts: fetch, list, verify and pin them.", no_args_is_help=True)


class Source(StrEnum):
    """Where artefacts come from."""

    MODULES = "modules"
    UPSTREAM = "upstream"
    MIRROR = "mirror"


InventoryOption = Annotated[Path | None, INVENTORY]
SourceOption = Annotated[
    Source | None, typer.Option("--source", "-s", help="Use this source, not the site's artifacts_source.")
]


@app.command(cls=SiteCommand)
def fetch(
    ctx: typer.Context,
    inventory: InventoryOption = None,
    source: SourceOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask: without a lock, pin what is offered.")
    ] = False,
) -> None:
    """Bring the store up to date: make or download what changed, checked against the site's lock."""
    from platformctl.artifacts import fetch as artifacts
    from platformctl.artifacts.lock import lock_path
    from platformctl.cli.pinning import ensure_lock

    output: Output = ctx.obj
    started = time.monotonic()
    origin, mirror = _chosen(inventory, source)
    lock = lock_path(inventory) if inventory else None
    chosen = _chosen_artifacts(inventory)
    if inventory:
        ensure_lock(output, inventory, origin, mirror, yes, chosen)
    result = artifacts.fetch(origin, output, lock=lock, mirror=mirror, chosen=chosen)
    seconds = round(time.monotonic() - started, 1)
    if output.json:
        counts = {"changed": len(result.changed), "artifacts": result.total, "seconds": seconds}
        output.event({"event": "finished", **counts, "lock": result.lock, "folder": str(result.folder)})
        return
    changed = f"{len(result.changed)} changed" if result.changed else "nothing to do"
    output.say(f"artifacts: {result.total} in {result.folder}, {changed}, {seconds} s")


@app.command(name="list", cls=SiteCommand)
def list_artifacts(
    ctx: typer.Context, inventory: InventoryOption = None, source: SourceOption = None
) -> None:
    """List the artefacts in the store."""
    from platformctl.artifacts.store import KINDS

    output: Output = ctx.obj
    index = _store(inventory, source).index()
    rows = [
        (kind, name, record.get("version", record.get("tag")), _digest(record, short=not output.json))
        for kind in KINDS
        for name, record in index[kind].items()
    ]
    output.table("", ("kind", "name", "version", "digest"), rows)


@app.command(cls=SiteCommand)
def verify(ctx: typer.Context, inventory: InventoryOption = None, source: SourceOption = None) -> None:
    """Compare every file of the store with its digest."""
    output: Output = ctx.obj
    store = _store(inventory, source)
    checked = store.check_all()
    if output.json:
        output.document({"checked": checked, "folder": str(store.folder), "lock": store.index()["lock"]})
        return
    output.say(f"artifacts: {checked} files match their digests in {store.folder}")


@app.command(cls=SiteCommand)
def lock(ctx: typer.Context, inventory: InventoryOption = None, source: SourceOption = None) -> None:
    """Write the site's lock: the digests of what its source offers now, in a file in the inventory."""
    from platformctl.artifacts.fetch import pin
    from platformctl.artifacts.lock import lock_path

    output: Output = ctx.obj
    if inventory is None:
        raise PlatformError(
            "a lock belongs to a site", next="name its inventory with -i", code=ExitCode.INVALID
        )
    chosen, mirror = _chosen(inventory, source)
    path = lock_path(inventory)
    pinned = pin(chosen, path, mirror=mirror, chosen=_chosen_artifacts(inventory))
    if output.json:
        output.document({"lock": str(path), "source": chosen, "pins": len(pinned.pins)})
        return
    output.say(f"artifacts: {len(pinned.pins)} pins for the source {chosen} written to {path}")


@app.command(cls=SiteCommand)
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="The archive to write.")],
    images: Annotated[
        list[str] | None, typer.Argument(help="Names of images, or their last parts; by default all.")
    ] = None,
    inventory: InventoryOption = None,
    source: SourceOption = None,
) -> None:
    """Write images of the store as one OCI archive, to load them into another cluster or registry.

    Example: `platformctl artifacts export -f images.tar job-router && kind load image-archive images.tar`
    """
    from platformctl.artifacts import export as exporting

    output: Output = ctx.obj
    store = _store(inventory, source)
    index = store.index()
    names = exporting.chosen(index, images or ())
    exporting.write(store.folder, index, names, file)
    rows = [(name, index["images"][name]["tag"], index["images"][name]["digest"]) for name in names]
    output.table(f"written to {file}", ("image", "tag", "digest"), rows)


def _chosen(inventory: Path | None, source: Source | None) -> tuple[str, str | None]:
    """The source and the mirror's address: the option's, or the site's."""
    if inventory is None:
        return (source or Source.MODULES).value, None
    from platformctl.site import load

    variables = load(inventory).shared
    chosen = source.value if source else str(variables.get("artifacts_source", Source.UPSTREAM))
    return chosen, variables.get("artifacts_mirror_url")


def _chosen_artifacts(inventory: Path | None) -> Collection[str]:
    """What the site has chosen of the artefacts that only some sites need."""
    if inventory is None:
        return ()
    from platformctl.site import devices, load

    hosts = load(inventory).hosts.values()
    return devices.installed_for(devices.on_host(host.vars, host.groups) for host in hosts)


def _store(inventory: Path | None, source: Source | None) -> "Store":
    from platformctl.artifacts.store import open_store

    return open_store(_chosen(inventory, source)[0])


def _digest(record: dict[str, Any], short: bool) -> str:
    """The digest of an entry; people get its first digits."""
    digest = str(record.get("digest", record.get("sha256"))).removeprefix("sha256:")
    return digest[:12] if short else digest
