"""A new inventory: the documented example with the site's name filled in, and secrets of its own."""

from pathlib import Path

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets
from platformctl.site.refinements import SITE_NAME_REMEDY, is_site_name
from platformctl.site.rules.examples import EXAMPLE


def create(target: Path, force: bool = False) -> list[Path]:
    """Write the inventory of a new site named after the folder; returns the written files.

    The example's name is replaced by the site's everywhere.

    force: overwrite the example's files in a folder that already exists. Secrets are never replaced.
    """
    name = target.resolve().name
    if not is_site_name(name):
        raise PlatformError(
            f"{name} cannot be the name of a site",
            next=SITE_NAME_REMEDY,
            code=ExitCode.INVALID,
        )
    if target.exists() and not target.is_dir():
        raise PlatformError(
            f"{target} is a file; nothing was written",
            next="choose another name, or move the file away",
            code=ExitCode.REFUSED,
        )
    if target.exists() and any(target.iterdir()) and not force:
        raise PlatformError(
            f"{target} exists already; nothing was written",
            next=f"choose another name; to write over the example's files: platformctl init {target} --force",
            code=ExitCode.REFUSED,
        )
    source = paths.data_dir() / "inventories" / EXAMPLE
    written = []
    for path in sorted(source.rglob("*.yml")):
        destination = target / path.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_text(path.read_text().replace(EXAMPLE, name))
        written.append(destination)
    secrets.ensure(target)
    return written
