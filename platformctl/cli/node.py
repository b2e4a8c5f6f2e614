"""`platformctl node`: single nodes of an installed site."""

import asyncio
import shlex
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from platformctl import paths
from platformctl.cli import completion
from platformctl.cli.remedies import AGREED, AgreeingCommand, SiteCommand
from platformctl.cli.run import InventoryOption
from platformctl.cli.work_policy import (
    DEFAULT_SECONDS,
    DeadlineOption,
    NowOption,
    RequeueOption,
    TimeoutOption,
    WaitOption,
    policy,
)
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

if TYPE_CHECKING:
    from platformctl.engine.cluster.nodes import DeviceRow, Node, Offered
    from platformctl.engine.fleet import Fleet
    from platformctl.engine.running.removal import Removal


class Scheduler(StrEnum):
    """The two that a node can belong to."""

    SLURM = "slurm"
    KUBERNETES = "kubernetes"


NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names of nodes.", autocompletion=completion.nodes)
]
app = typer.Typer(help="See the nodes of the site, and work on single ones.", no_args_is_help=True)


@app.command("list", cls=SiteCommand)
def list_(ctx: typer.Context, inventory: InventoryOption) -> None:
    """List the nodes with their owners, and their CPUs, memory, devices and states under both schedulers.

    What a scheduler does not answer is shown as unknown. Changes nothing.

    Example: `platformctl node list -i mysite`
    """
    from platformctl.engine.cluster import nodes
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    fleet = load(inventory)
    found = asyncio.run(nodes.read(fleet))
    if output.json:
        output.document([asdict(node) for node in found])
        return
    rows = [
        (node.name, node.owner, _offer(node.kubernetes), _offer(node.slurm), escape(_devices(node)))
        for node in found
    ]
    output.table("", ("node", "owner", "kubernetes", "slurm", "devices"), rows, kept=("node", "owner"))


@app.command(cls=SiteCommand)
def describe(
    ctx: typer.Context,
    inventory: InventoryOption,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A node.", autocompletion=completion.nodes)],
) -> None:
    """Show one node: its owner, what each scheduler gives to work, and each device with its owner and health.

    Example: `platformctl node describe -i mysite n17`
    """
    from platformctl.engine.cluster import device_health, nodes
    from platformctl.engine.loading import load

    output: Output = ctx.obj
    fleet = load(inventory)
    found = asyncio.run(nodes.read(fleet, [name]))
    if not found:
        raise PlatformError(
            f"{name} is no node of the inventory",
            where=str(fleet.inventory),
            next=f"platformctl node list -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
    node = asyncio.run(device_health.judged(fleet, found[0]))
    if output.json:
        output.document(asdict(node))
        return
    sides = (("kubernetes", node.kubernetes), ("slurm", node.slurm))
    pairs = [(side, _offer(offered)) for side, offered in sides if offered]
    pairs += [(f"{side}: reason", escape(one.reason)) for side, one in sides if one and one.reason]
    faults = {file: why for row in node.devices for file, why in (row.faults or {}).items()}
    pairs += [(f"faulty: {file}", escape(why)) for file, why in faults.items()]
    output.fields("", [("node", node.name), ("owner", node.owner), *pairs])
    rows = [
        (
            row.name,
            row.type,
            row.owner,
            row.known_as,
            row.count,
            _count(row),
            _health(row),
            " ".join(row.files),
        )
        for row in node.devices
    ]
    if rows:
        output.say("")
        columns = ("device", "type", "owner", "known as", "there", "offered", "health", "files")
        output.table("", columns, rows, folded="files")


def _health(row: "DeviceRow") -> str:
    """Whether a device of a row is faulty, in one word."""
    if row.faults is None:
        return "unknown"
    return "faulty" if row.faults else "fine"


def _offer(offered: "Offered | None") -> str:
    """What a scheduler has of a node, in words: `idle, 6 CPUs, 12.5 GiB`."""
    if offered is None:
        return "-"
    if offered.devices is None:
        return offered.state
    return f"{offered.state}, {offered.cpus:g} CPUs, {offered.memory_mib / 1024:.1f} GiB"


def _devices(node: "Node") -> str:
    """The devices of a node with their owners: `3 gpu:a100 (slurm), 1 platformctl.io/fpga (kubernetes)`."""
    return ", ".join(
        f"{_count(row)}{'' if row.offered == row.count else f' of {row.count}'} {row.known_as} ({row.owner})"
        for row in node.devices
    )


def _count(row: "DeviceRow") -> str:
    return "?" if row.offered is None else str(row.offered)


@app.command(cls=AgreeingCommand)
def add(
    ctx: typer.Context,
    inventory: InventoryOption,
    names: NamesArgument,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Continue even if users' work would be lost. With a NAME, only: let the installation take "
            "over what has this name; repeat for more.",
        ),
    ] = False,
    agreed: Annotated[list[str] | None, typer.Option(AGREED, hidden=True)] = None,
) -> None:
    """Install hosts that are new in the inventory, as nodes, without work on the other nodes.

    Only the new hosts are installed, and Slurm's controllers learn of them. Each scheduler proves that they
    work. The other hosts learn their names with the next `platformctl install`.

    Example: `platformctl node add -i mysite n17`
    """
    from platformctl.engine.loading import load
    from platformctl.engine.running import addition
    from platformctl.engine.running.install import Installation, Options
    from platformctl.engine.stages import STAGES

    output: Output = ctx.obj
    fleet = load(inventory)
    details = output.json or output.verbose > 0
    limit = addition.hosts(fleet, names)
    stages = addition.stages(fleet, names, STAGES)
    options = Options(
        limit,
        stages,
        False,
        yes,
        output.verbose,
        details,
        tuple(agreed or ()),
        command=f"platformctl node add -i {inventory} {shlex.join(names)}",
    )
    raise typer.Exit(asyncio.run(Installation(fleet, options).run(output)))


@app.command(cls=SiteCommand)
def remove(
    ctx: typer.Context,
    inventory: InventoryOption,
    names: NamesArgument,
    yes: Annotated[
        list[str] | None,
        typer.Option("--yes", help="A node's name, instead of being asked for it; repeat for more."),
    ] = None,
    end_jobs: Annotated[
        bool, typer.Option("--end-jobs", help="End the Slurm jobs on the node instead of waiting for them.")
    ] = False,
    timeout: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="How long to wait for pods and jobs to end.")
    ] = 600,
) -> None:
    """Take nodes out of Kubernetes and Slurm, and remove from their hosts what `install` put there.

    Says first what would end, and asks. A node may be in the inventory or not, and its host may be lost. Pods
    are evicted as their disruption budgets allow, jobs may end. After a failure or a kill, run it again to
    continue.

    Example: `platformctl node remove -i mysite n17`
    """
    from platformctl.engine import graph
    from platformctl.engine.loading import load
    from platformctl.engine.running import removal
    from platformctl.engine.stages import STAGES

    output: Output = ctx.obj
    fleet, data = load(inventory), paths.data_dir()
    wanted = tuple(dict.fromkeys(names))
    found = asyncio.run(removal.planned(fleet, wanted, graph.ordered(STAGES), data))
    for departure in found.departures:
        if departure.nothing:
            output.say(f"nothing to do: neither scheduler nor a host has anything of {departure.name}")
    if all(departure.nothing for departure in found.departures):
        raise typer.Exit(ExitCode.DONE)
    if not output.json:
        rows = [row for departure in found.departures for row in departure.rows]
        output.table("To be removed", ("node", "what", "how"), rows)
    _confirm(fleet, found, yes or [])
    patience = removal.Patience(timeout, end_jobs)
    raise typer.Exit(asyncio.run(removal.remove(found, patience, data, output)))


AtOnceOption = Annotated[int, typer.Option(min=1, metavar="N", help="How many nodes at a time.")]


@app.command(cls=SiteCommand)
def move(
    ctx: typer.Context,
    inventory: InventoryOption,
    names: NamesArgument,
    to: Annotated[Scheduler, typer.Option("--to", help="The scheduler that the nodes go to.")],
    wait: WaitOption = False,
    requeue: RequeueOption = False,
    deadline: DeadlineOption = "",
    now: NowOption = False,
    timeout: TimeoutOption = DEFAULT_SECONDS,
    at_once: AtOnceOption = 4,
) -> None:
    """Give nodes from Slurm to Kubernetes, or back.

    For hosts in kubernetes_node and slurm_node whose node_owner is one of the two. No new work starts on the
    node, what runs there ends, the daemon of the old owner stops, and nothing of it is left; then the new
    owner runs a job there. If that fails, the node returns; so it does if its work has not ended in time.
    After a kill, the same command goes on from any machine, and the command in the other direction undoes it.
    Drains and cordons that others set stay.

    Example: `platformctl node move -i mysite n17 --to kubernetes --deadline 2h`
    """
    from platformctl.engine.handoff import run
    from platformctl.engine.handoff.move import move_all
    from platformctl.engine.loading import load

    chosen = policy(wait, requeue, deadline, now, timeout)
    fleet, wanted = load(inventory), tuple(dict.fromkeys(names))
    work = partial(move_all, fleet, wanted, to.value, chosen, paths.data_dir(), at_once)
    raise typer.Exit(asyncio.run(run.run(fleet, wanted, "node move", f" --to {to.value}", work, ctx.obj)))


@app.command(cls=SiteCommand)
def balance(
    ctx: typer.Context,
    inventory: InventoryOption,
    every: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="Look again and again, until it is interrupted.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would move, and move nothing.")
    ] = False,
) -> None:
    """Give idle nodes that can move to the scheduler whose work waits for nodes, and say why.

    Off unless the inventory has node_balance: {enabled: true}, which also has the bounds: how long work
    waits, how long nodes are idle, and how many nodes each scheduler keeps. Only what was seen counts: the
    first look moves nothing. Nodes with work, drained or cordoned ones stay.

    Example: `platformctl node balance -i mysite --every 60`
    """
    from platformctl.engine.balance import rounds
    from platformctl.engine.handoff import run
    from platformctl.engine.loading import load

    fleet = load(inventory)
    bounds = rounds.bounds(fleet)
    options = (f" --every {every}" if every else "") + (" --dry-run" if dry_run else "")
    work = partial(rounds.balance, fleet, bounds, paths.data_dir(), float(every), dry_run)
    raise typer.Exit(asyncio.run(run.run(fleet, (), "node balance", options, work, ctx.obj)))


@app.command(cls=SiteCommand)
def drain(
    ctx: typer.Context,
    inventory: InventoryOption,
    names: NamesArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody who asks.")],
    wait: WaitOption = False,
    requeue: RequeueOption = False,
    deadline: DeadlineOption = "",
    now: NowOption = False,
    timeout: TimeoutOption = DEFAULT_SECONDS,
    at_once: AtOnceOption = 4,
) -> None:
    """Take nodes out of service on all schedulers that have them: no new work starts, and what runs ends.

    Ends with 3 if something still runs when the time is up; the node stays out of service.

    Example: `platformctl node drain -i mysite n17 --reason "new memory" --deadline 2h`
    """
    from platformctl.engine.handoff import run
    from platformctl.engine.handoff.hold import drain_all
    from platformctl.engine.loading import load

    chosen = policy(wait, requeue, deadline, now, timeout)
    fleet, wanted = load(inventory), tuple(dict.fromkeys(names))
    work = partial(drain_all, fleet, wanted, reason, chosen, at_once)
    options = f" --reason {shlex.quote(reason)}"
    raise typer.Exit(asyncio.run(run.run(fleet, wanted, "node drain", options, work, ctx.obj)))


@app.command(cls=SiteCommand)
def undrain(
    ctx: typer.Context, inventory: InventoryOption, names: NamesArgument, at_once: AtOnceOption = 4
) -> None:
    """Put nodes back into service that `node drain` took out. What others set stays.

    Example: `platformctl node undrain -i mysite n17`
    """
    from platformctl.engine.handoff import run
    from platformctl.engine.handoff.hold import undrain_all
    from platformctl.engine.loading import load

    fleet, wanted = load(inventory), tuple(dict.fromkeys(names))
    work = partial(undrain_all, fleet, wanted, at_once)
    raise typer.Exit(asyncio.run(run.run(fleet, wanted, "node undrain", "", work, ctx.obj)))


def _confirm(fleet: "Fleet", found: "Removal", given: list[str]) -> None:
    for departure in found.departures:
        name = departure.name
        if departure.nothing or name in given:
            continue
        said = typer.prompt(f"Type the node's name ({name}) to remove it") if not given else ""
        if said != name:
            wrong = f"{said!r} is not the name of the node" if said else f"--yes does not name {name}"
            raise PlatformError(
                f"{wrong}, so nothing was removed",
                where=str(fleet.inventory),
                next=f"platformctl node remove -i {fleet.inventory} {name} --yes {name}",
                code=ExitCode.REFUSED,
            )
