"""The shell's completion of inventories, stages, hosts, labs and queues.

If something cannot be read, nothing is offered: a completion never prints an error, and never waits long.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platformctl.errors import PlatformError

if TYPE_CHECKING:
    from platformctl.site.effective import Effective

SECONDS = 2
"""How long a completion may ask a cluster."""
_DEPTH = 3


def inventories(incomplete: str) -> list[str]:
    """Folders with a hosts.yml whose path begins with the text, or whose parent folder's does."""
    shown: set[str] = set()
    with suppress(OSError, ValueError):
        start = Path(incomplete or ".")
        folder = start if incomplete.endswith("/") or not incomplete else start.parent
        stem = "" if folder is start else start.name
        for path in folder.iterdir():
            if path.is_dir() and path.name.startswith(stem) and (stem or not path.name.startswith(".")):
                shown |= {_shown(inventory, incomplete) for inventory in _inventories_below(path, _DEPTH)}
    return sorted(shown)


def _inventories_below(folder: Path, depth: int) -> Iterable[Path]:
    if any((folder / name).is_file() for name in ("hosts.yml", "hosts.yaml")):
        yield folder
    elif depth > 1:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                with suppress(OSError):
                    yield from _inventories_below(path, depth - 1)


def _shown(path: Path, incomplete: str) -> str:
    """The path in the form that the user typed: ./site stays ./site."""
    return f"./{path}" if incomplete.startswith("./") else str(path)


def stages(incomplete: str) -> list[str]:
    """Names of the stages that begin with the text."""
    from platformctl.engine.stages import STAGES

    return [stage.name for stage in STAGES if stage.name.startswith(incomplete)]


def hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts and groups of the inventory, for the last pattern of a limit."""
    end = max(incomplete.rfind(sign) for sign in ",:!&") + 1
    before, last = incomplete[:end], incomplete[end:]
    with suppress(Exception):  # an inventory may hold any mistake
        if effective := _inventory(ctx):
            names = [*effective.hosts, *effective.members]
            return [before + name for name in dict.fromkeys(names) if name.startswith(last)]
    return []


def nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts of the inventory that are nodes of a scheduler and not named yet."""
    with suppress(Exception):  # an inventory may hold any mistake
        if effective := _inventory(ctx):
            members = effective.members
            found = [*members.get("kubernetes_node", ()), *members.get("slurm_node", ())]
            return _unnamed(ctx, incomplete, found)
    return []


def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """Users of the inventory who are not named yet."""
    with suppress(Exception):  # an inventory may hold any mistake
        if effective := _inventory(ctx):
            accounts = effective.variables(next(iter(effective.hosts))).get("users_accounts") or ()
            return _unnamed(ctx, incomplete, [str(account["name"]) for account in accounts])
    return []


def _inventory(ctx: typer.Context) -> "Effective | None":
    """The inventory that the command line or the environment names; None if neither does."""
    from platformctl.site.effective import Effective
    from platformctl.site.inventory import read_inventory

    inventory = ctx.params.get("inventory") or os.environ.get("PLATFORMCTL_INVENTORY")
    return Effective(read_inventory(Path(inventory))) if inventory else None


def _unnamed(ctx: typer.Context, incomplete: str, found: Iterable[str]) -> list[str]:
    """Of these names those that begin with the text and are no argument yet."""
    named = ctx.params.get("names") or ()
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete) and name not in named]


def labs(incomplete: str) -> list[str]:
    """Names of the labs of this machine."""
    from platformctl import lab

    with suppress(OSError, PlatformError):
        return [name for name in lab.names() if name.startswith(incomplete)]
    return []


def lab_hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts of the lab that --name selects."""
    from platformctl import lab

    with suppress(OSError, ValueError, PlatformError):
        chosen = lab.find(ctx.params.get("name") or lab.DEFAULT_NAME)
        return [host.name for host in chosen.hosts if host.name.startswith(incomplete)] if chosen else []
    return []


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Queues of the cluster of the user's kubeconfig."""
    from platformctl.cli import cluster

    given = ctx.params
    access = cluster.Access(given.get("kubeconfig"), given.get("context") or "", given.get("namespace") or "")

    async def listed() -> Sequence[str]:
        async with asyncio.timeout(SECONDS), cluster.jobs_of(access) as jobs:
            return await jobs.queues()

    with suppress(Exception):  # whatever a cluster answers
        return [name for name in asyncio.run(listed()) if name.startswith(incomplete)]
    return []


QueueOption = Annotated[str, typer.Option(help="The queue to use.", autocompletion=queues)]
