"""`platformctl artifacts`: make or download what a site installs, list it, check it, pin it."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from platformctl.artifacts.fetch import fetch as fetch_artifacts
from platformctl.artifacts.store import open_store
from platformctl.console import Output

app = typer.Typer(help="Programs, images and charts: fetch, list and verify them.", no_args_is_help=True)


class Source(StrEnum):
    """Where artefacts come from."""

    MODULES = "modules"
    UPSTREAM = "upstream"
    MIRROR = "mirror"


SourceOption = Annotated[Source, typer.Option("--source", "-s", help="Where they come from.")]


@app.command()
def fetch(ctx: typer.Context, source: SourceOption = Source.MODULES) -> None:
    """Bring the store up to date: make or download what changed."""
    output: Output = ctx.obj
    started = time.monotonic()
    result = fetch_artifacts(source.value, output)
    seconds = round(time.monotonic() - started, 1)
    if output.json:
        output.event(
            {
                "event": "finished",
                "changed": len(result.changed),
                "artifacts": result.total,
                "lock": result.lock,
                "folder": str(result.folder),
                "seconds": seconds,
            }
        )
        return
    changed = f"{len(result.changed)} changed" if result.changed else "nothing to do"
    output.say(f"artifacts: {result.total} in {result.folder}, {changed}, {seconds} s")


@app.command(name="list")
def list_artifacts(ctx: typer.Context, source: SourceOption = Source.MODULES) -> None:
    """List what the store has."""
    output: Output = ctx.obj
    index = open_store(source.value).index()
    rows = [
        (kind, name, record.get("version", record.get("tag")), record.get("digest", record.get("sha256")))
        for kind in ("binaries", "images", "charts")
        for name, record in index[kind].items()
    ]
    output.table("", ("kind", "name", "version", "digest"), rows)


@app.command()
def verify(ctx: typer.Context, source: SourceOption = Source.MODULES) -> None:
    """Hash every file of the store again and compare."""
    output: Output = ctx.obj
    store = open_store(source.value)
    checked = store.check_all()
    if output.json:
        output.document({"checked": checked, "folder": str(store.folder), "lock": store.index()["lock"]})
        return
    output.say(f"artifacts: {checked} files match their digests in {store.folder}")
