"""Asks before a site without a lock trusts what publishers offer now."""

import sys
from collections.abc import Collection
from pathlib import Path

import typer

from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError


def ensure_lock(
    output: Output, inventory: Path, source: str, mirror: str | None, yes: bool, chosen: Collection[str] = ()
) -> None:
    """Pin what a site without a lock would download, if the user agrees. An existing lock is kept.

    PlatformError: the user did not agree, so nothing was downloaded.
    """
    from platformctl.artifacts.fetch import pin, unpinned
    from platformctl.artifacts.lock import lock_path

    path = lock_path(inventory)
    offers = unpinned(source, path, mirror=mirror, chosen=chosen)
    if not offers:
        return
    if not yes:
        _ask(output, path, [(offer.name, offer.version, offer.address) for offer in offers])
    output.remark(f"artifacts: pinning {len(offers)} programs and images as they are offered now")
    pinned = pin(source, path, mirror=mirror, chosen=chosen)
    output.remark(f"artifacts: {len(pinned.pins)} pins written to {path}; keep it with the inventory")


def _ask(output: Output, path: Path, rows: list[tuple[str, str, str]]) -> None:
    if output.json or not sys.stdin.isatty():
        raise PlatformError(
            "the site has no lock, and nothing is downloaded without a pin",
            where=str(path),
            next="platformctl artifacts lock pins what is offered now; then run the same command again",
            code=ExitCode.REFUSED,
        )
    output.table("No lock pins these yet", ("name", "version", "from"), rows, folded="from")
    if not typer.confirm(f"Pin them by their digests as they are now, in {path}?"):
        raise PlatformError(
            "nothing was pinned, so nothing was downloaded",
            where=str(path),
            next="platformctl artifacts lock writes the pins without installing anything",
            code=ExitCode.REFUSED,
        )
