"""The users without access for now: a file of the inventory, written by `user disable` and `user enable`."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from platformctl.errors import ExitCode, PlatformError
from platformctl.site.inventory import read_inventory

VARIABLE = "users_disabled"
NAME = "users_disabled.yml"
_HEADER = "# Written by `platformctl user disable` and `user enable`.\n"


def path(inventory: Path) -> Path:
    """The file of an inventory, given as its folder or its hosts file."""
    folder = inventory if inventory.is_dir() else inventory.parent
    return folder / "group_vars" / "all" / NAME


def write(inventory: Path, names: Iterable[str]) -> None:
    """Keep the names, in a file that is whole at any time; no file if there are none.

    PlatformError (code INVALID): another place of the inventory sets the variable as well.
    """
    file, wanted = path(inventory), sorted(set(names))
    for source in read_inventory(inventory).sources():
        if VARIABLE in source.values and source.document.path.resolve() != file.resolve():
            raise PlatformError(
                f"{VARIABLE} is set by hand",
                where=str(source.document.path),
                next=f"change it there, then: platformctl install -i {inventory}; or remove it there",
                code=ExitCode.INVALID,
            )
    if not wanted:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".users_disabled-")
    with os.fdopen(handle, "w") as text:
        text.write(_HEADER + yaml.safe_dump({VARIABLE: wanted}))
    Path(temporary).chmod(0o644)
    Path(temporary).replace(file)
