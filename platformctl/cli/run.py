"""The commands that work on a site's hosts: install, plan, preflight, verify, charts, reset, unlock."""

import asyncio
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from platformctl import paths
from platformctl.cli import completion
from platformctl.cli.remedies import AGREED, AgreeingCommand, SiteCommand
from platformctl.cli.work_policy import (
    DEFAULT_SECONDS,
    DeadlineOption,
    NowOption,
    RequeueOption,
    TimeoutOption,
    WaitOption,
    policy,
    policy_words,
)
from platformctl.console import Output
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError

if TYPE_CHECKING:
    from platformctl.engine.checking.proofs.health_check import Answer
    from platformctl.engine.checking.proofs.waiting import Say

_PATIENT_SECONDS = 3
INVENTORY = typer.Option(
    "--inventory",
    "-i",
    envvar="PLATFORMCTL_INVENTORY",
    help="The site: an Ansible inventory.",
    autocompletion=completion.inventories,
)
InventoryOption = Annotated[Path, INVENTORY]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        "-l",
        help="Only these hosts, by an Ansible pattern: a,b or a group, n*, group:!b, !b.",
        autocompletion=completion.hosts,
    ),
]
StageOption = Annotated[
    list[str] | None,
    typer.Option("--stage", "-s", help="Only this stage; repeat for more.", autocompletion=completion.stages),
]
FullOption = Annotated[
    bool, typer.Option("--full", help="Run every stage on every host, even if nothing changed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command(cls=AgreeingCommand)(install)
    app.command(cls=SiteCommand)(plan)
    app.command(cls=SiteCommand)(preflight)
    app.command(cls=SiteCommand)(verify)
    app.command(cls=SiteCommand)(charts)
    app.command(cls=SiteCommand)(reset)
    app.command(cls=SiteCommand)(unlock)


def install(
    ctx: typer.Context,
    inventory: InventoryOption,
    limit: LimitOption = None,
    stage: StageOption = None,
    full: FullOption = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Do not ask: pin downloads, and continue even if users' work would be lost. With a NAME,"
            " only: let the installation take over what has this name; repeat for more.",
        ),
    ] = False,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            help="Drain first the nodes on which this would harm work, and put them back afterwards; the"
            " options below say what becomes of that work.",
        ),
    ] = False,
    reservation: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Jobs in this reservation of Slurm may be harmed: one for maintenance that is active now.",
        ),
    ] = "",
    wait: WaitOption = False,
    requeue: RequeueOption = False,
    deadline: DeadlineOption = "",
    now: NowOption = False,
    timeout: TimeoutOption = DEFAULT_SECONDS,
    agreed: Annotated[list[str] | None, typer.Option(AGREED, hidden=True)] = None,
) -> None:
    """Install or change the hosts as the inventory says. After a failure, run it again to continue.

    Jobs and pods that this would harm are named, and nothing is done, unless --yes, --drain or --reservation
    says otherwise.
    """
    from platformctl.cli.pinning import ensure_lock
    from platformctl.engine.handoff.around import AroundInstall
    from platformctl.engine.running.install import Installation, Options

    output: Output = ctx.obj
    chosen = policy(wait, requeue, deadline, now, timeout)
    said = policy_words(requeue, deadline, now, timeout)
    _refuse_idle(drain, wait or bool(said))
    details = output.json or output.verbose > 0
    fleet = _load(inventory)
    options = Options(
        tuple(limit or ()),
        tuple(stage or ()),
        full,
        yes,
        output.verbose,
        details,
        tuple(agreed or ()),
        reservation,
        AroundInstall(fleet, chosen, f"--drain {said}".strip()) if drain else None,
    )
    installation = Installation(fleet, options)
    if installation.fetches:
        mirror = fleet.variables.get("artifacts_mirror_url")
        agree = yes or bool(agreed)
        source, chosen_artifacts = fleet.artifacts_source, fleet.chosen_artifacts
        ensure_lock(output, inventory, source, mirror and str(mirror), agree, chosen_artifacts)
    raise typer.Exit(asyncio.run(installation.run(output)))


def _refuse_idle(drain: bool, policy_given: bool) -> None:
    if policy_given and not drain:
        raise PlatformError(
            "--wait, --requeue, --deadline, --now and --timeout say how nodes are drained",
            next="give --drain too",
            code=ExitCode.INVALID,
        )


def plan(
    ctx: typer.Context,
    inventory: InventoryOption,
    limit: LimitOption = None,
    stage: StageOption = None,
    full: FullOption = False,
) -> None:
    """Show what `install` would do on each host, why, and what users would notice. Changes nothing."""
    from platformctl.cli import plan_tables
    from platformctl.engine.planning import identity, vault_check, words
    from platformctl.engine.running.install import Installation, Options

    output: Output = ctx.obj
    options = Options(tuple(limit or ()), tuple(stage or ()), full)
    fleet = _load(inventory)
    draft = asyncio.run(Installation(fleet, options).draft())
    plan_tables.show(output, fleet, draft)
    if not draft.fetched:
        output.remark(
            "no artefacts are fetched yet, so this compares hosts with none; `install` fetches them"
        )
    for line in [
        *(f"{host} {why}" for host, why in draft.plan.down.items()),
        *identity.remedies(fleet, draft.plan.renamed),
        *words.left_over(draft.plan, fleet),
        *vault_check.unfinished(fleet),
        *(stray.words(fleet.inventory) for stray in draft.strays),
        *(user.words for user in draft.leaving.users),
        *(away.sentence for away in draft.away),
    ]:
        output.remark(line)
    raise typer.Exit(ExitCode.UNREACHABLE if draft.plan.down else ExitCode.DONE)


def preflight(ctx: typer.Context, inventory: InventoryOption, limit: LimitOption = None) -> None:
    """Check whether the hosts can be installed, and what to do if not. Changes nothing."""
    from platformctl.engine.checking.check import check
    from platformctl.engine.checking.findings import Level
    from platformctl.engine.limit import hosts_of

    output: Output = ctx.obj
    fleet = _load(inventory)
    names = tuple(hosts_of(fleet, limit or ()))
    verdict = asyncio.run(check(fleet, names, paths.data_dir(), everywhere=True))
    colors = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
    rows = [
        (
            finding.host,
            finding.check,
            finding.level.value if output.json else f"[{colors[finding.level]}]{finding.level}[/]",
            finding.found if output.json else escape(finding.found),
            finding.remedy if output.json else escape(finding.remedy),
        )
        for finding in verdict.findings
    ]
    output.table("", ("host", "check", "result", "found", "what to do"), rows)
    errors = any(finding.level is Level.ERROR for finding in verdict.findings)
    raise typer.Exit(ExitCode.UNREACHABLE if errors else ExitCode.DONE)


def verify(
    ctx: typer.Context,
    inventory: InventoryOption,
    molecule: Annotated[
        bool, typer.Option("--molecule", help="Test the roles on a lab like the site, not on its hosts.")
    ] = False,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="Only this molecule scenario; repeat for more.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only scenarios that changes since this git revision affect.")
    ] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="List these molecule scenarios, and run none.")
    ] = False,
    devices: Annotated[
        bool,
        typer.Option(
            "--devices",
            help="Only the devices: a job and a pod on each node open all that are theirs, and no others.",
        ),
    ] = False,
) -> None:
    """Ask every host and service whether it works, and run smoke jobs as a user would on both schedulers."""
    from platformctl.engine.checking.device_proofs import prove_devices
    from platformctl.engine.checking.verify import verify as prove
    from platformctl.engine.planning import vault_check

    output: Output = ctx.obj
    if molecule or scenario or since or listed:
        _try_on_a_lab(output, inventory, scenario or [], since, listed)
    fleet = _load(inventory)
    asyncio.run(vault_check.check(fleet))
    proofs = asyncio.run(prove_devices(fleet) if devices else prove(fleet, _waiting(output)))
    if devices and not proofs:
        output.say("no host of the inventory has node_devices")
    rows = [(proof.name, proof.result, proof.found, proof.seconds) for proof in proofs]
    output.table("", ("proof", "result", "found", "seconds"), rows)
    raise typer.Exit(ExitCode.DONE if all(proof.fine for proof in proofs) else ExitCode.FAILED)


def _waiting(output: Output) -> "Say":
    """Says what is waited for, when it changes, to somebody who has waited for some seconds."""
    from platformctl.engine.checking.proofs.waiting import waits

    told = ""

    def say(bad: "Sequence[Answer]", seconds: float) -> None:
        nonlocal told
        words = waits(bad)
        if seconds > _PATIENT_SECONDS and words != told:
            told = words
            output.remark(words)

    return say


def _try_on_a_lab(output: Output, inventory: Path, names: list[str], since: str, listed: bool) -> None:
    """Run molecule scenarios for the inventory, one after the other; ends the command."""
    from platformctl.engine.checking import scenarios

    data = paths.data_dir()
    _load(inventory)
    wanted = scenarios.chosen(scenarios.scenarios(data), names)
    if since:
        wanted = scenarios.concerned(wanted, data, since)
    if listed:
        output.table("", ("scenario",), [(scenario.name,) for scenario in wanted])
        raise typer.Exit(ExitCode.DONE)
    rows = []
    # With JSON, standard output has only the results.
    said = sys.stderr if output.json else sys.stdout
    for scenario in wanted:
        started = time.monotonic()
        code = scenarios.prove(scenario, data, inventory, said)
        seconds = round(time.monotonic() - started, 1)
        rows.append((scenario.name, "ok" if code == 0 else "failed", seconds))
    output.table("", ("scenario", "result", "seconds"), rows)
    raise typer.Exit(ExitCode.DONE if all(row[1] == "ok" for row in rows) else ExitCode.FAILED)


def charts(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Install or upgrade the site's charts, even if nothing changed."""
    from platformctl.engine.cluster import charts as releases
    from platformctl.engine.planning import vault_check
    from platformctl.engine.running.steps import index

    output: Output = ctx.obj
    fleet = _load(inventory)
    asyncio.run(vault_check.check(fleet))
    changed = asyncio.run(releases.apply(fleet, index(fleet)))
    output.table("", ("changed release",), [(name,) for name in changed])


def reset(
    ctx: typer.Context,
    inventory: InventoryOption,
    limit: LimitOption = None,
    yes: Annotated[str, typer.Option("--yes", help="The site's name, instead of being asked for it.")] = "",
) -> None:
    """Remove from the hosts what `install` put there, and only that. Lists it and asks first."""
    from platformctl.engine import graph
    from platformctl.engine.limit import hosts_of
    from platformctl.engine.running import reset as undo
    from platformctl.engine.stages import STAGES

    output: Output = ctx.obj
    fleet, data = _load(inventory), paths.data_dir()
    if fleet.foreign_cluster and not fleet.hosts:
        _reset_cluster(output, fleet, yes)
    gone = "A node that the inventory no longer has is ended by: platformctl node remove"
    hosts = tuple(hosts_of(fleet, limit or (), gone))
    planned = asyncio.run(undo.planned_reset(fleet, hosts, graph.ordered(STAGES), data))
    for host, why in planned.down.items():
        output.remark(f"{host} is left as it is: it {why}")
    if not planned.roles:
        output.say("nothing to remove: no host has anything from platformctl")
        raise typer.Exit(ExitCode.UNREACHABLE if planned.down else ExitCode.DONE)
    if not output.json:
        rows = [
            (host, role, undo.describe(role, data)) for host, roles in planned.roles.items() for role in roles
        ]
        output.table("To be removed", ("host", "role", "what"), rows)
    _confirm(fleet, yes, limit or ())
    raise typer.Exit(asyncio.run(undo.reset(fleet, planned, data, output)))


def _reset_cluster(output: Output, fleet: Fleet, yes: str) -> None:
    """Remove the charts from an existing cluster; ends the command."""
    from platformctl.engine.cluster import uninstall

    removal = asyncio.run(uninstall.planned_removal(fleet))
    if removal.nothing:
        output.say("nothing to remove: the cluster has nothing from platformctl")
        raise typer.Exit(ExitCode.DONE)
    if not output.json:
        output.table("To be removed", ("what", "how much"), removal.rows)
    _confirm(fleet, yes)
    asyncio.run(uninstall.remove(fleet, removal))
    output.say("removed")
    raise typer.Exit(ExitCode.DONE)


def unlock(ctx: typer.Context, inventory: InventoryOption) -> None:
    """Remove the lock of a run that has certainly ended, for example because its machine is gone."""
    from platformctl.engine.cluster import cluster_lock
    from platformctl.engine.locking import host_lock

    output: Output = ctx.obj
    fleet = _load(inventory)
    down: Mapping[str, str] = {}
    if fleet.hosts:
        removed, down = asyncio.run(host_lock.release(fleet, tuple(fleet.hosts)))
    else:
        owner = asyncio.run(cluster_lock.release(fleet))
        removed = {"the cluster": owner} if owner else {}
    if removed or output.json:
        output.table("", ("host", "was held by"), removed.items())
    else:
        answer = " on the hosts that answer" if down else ""
        output.say(f"nothing to do: no run holds a lock of this site{answer}")
    for host, why in down.items():
        output.remark(f"{host} {why}")
    raise typer.Exit(ExitCode.UNREACHABLE if down and not removed else ExitCode.DONE)


def _confirm(fleet: Fleet, given: str, limit: Sequence[str] = ()) -> None:
    name = given or typer.prompt(f"Type the site's name ({fleet.site}) to remove all this")
    if name != fleet.site:
        raise PlatformError(
            f"{name!r} is not the name of this site, so nothing was removed",
            where=str(fleet.inventory),
            next=shlex.join(
                [
                    *("platformctl", "reset", "-i", str(fleet.inventory)),
                    *(word for part in limit for word in ("--limit", part)),
                    *("--yes", fleet.site),
                ]
            ),
            code=ExitCode.REFUSED,
        )


def _load(inventory: Path) -> Fleet:
    from platformctl.engine.loading import load

    return load(inventory)
