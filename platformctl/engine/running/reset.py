"""Removes from the hosts what an installation put there, and only that.

A host's own record says which stages were begun on it; each role knows in tasks/reset.yml how to undo itself,
and says in words what it removes in the entry `reset` of its argument_specs. What cannot be removed is
reported, and the reset goes on with the rest. The record forgets only stages that are gone, so a reset can be
repeated.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from platformctl.console import Output
from platformctl.engine import remote
from platformctl.engine.checking import program
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import digest, record
from platformctl.engine.running import progress
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.running.session import Session
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode

_RECORDED = f"test -e {record.FOLDER}/before/takeover.json && echo recorded || true"
# Brings back what was there before; last, because what the other roles made must be gone.
_LAST = "preflight"
_BEFORE = "playbooks/library/host_before.py"
_REMOVE_FOLDER = f"rmdir {record.FOLDER} 2>/dev/null; true"


@dataclass(frozen=True)
class HostReset:
    """What would be undone: roles by host, last applied first.

    down: hosts that could not be asked, and why. bare: hosts that have nothing of platformctl. stages: the
    roles of every stage, by its name, with those that these include.
    """

    roles: Mapping[str, tuple[str, ...]]
    down: Mapping[str, str]
    bare: tuple[str, ...] = ()
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


async def planned_reset(
    fleet: Fleet, hosts: tuple[str, ...], stages: Sequence[Stage], data: Path
) -> HostReset:
    """Read from the hosts which roles were applied to them, and whether they were only taken on."""
    records = await record.read(fleet, hosts)
    untouched = [host for host, begun in records.stages.items() if not begun]
    replies = await remote.run_all(
        [fleet.hosts[host] for host in untouched], dict.fromkeys(untouched, _RECORDED)
    )
    recorded = {host for host, reply in replies.items() if "recorded" in reply.out.split()}
    roles_by_host = {}
    for host, begun in records.stages.items():
        applied = [
            stage
            for stage in stages
            if stage.name in begun or (record.ANY in begun and host in stage.targets(fleet))
        ]
        roles = [role for stage in applied for role in stage.roles]
        undoable = [role for role in roles if (data / "roles" / role / "tasks" / "reset.yml").is_file()]
        if begun or host in recorded:
            roles_by_host[host] = (*(role for role in reversed(undoable) if role != _LAST), _LAST)
    bare = tuple(host for host in untouched if host not in recorded)
    down = {host: reply.refusal for host, reply in records.down.items()}
    named = {stage.name: digest.with_included(stage.roles, data / "roles") for stage in stages}
    return HostReset(roles_by_host, down, bare, named)


def describe(role: str, data: Path) -> str:
    """What a role removes, in its own words."""
    path = data / "roles" / role / "meta" / "argument_specs.yml"
    specs = (yaml.safe_load(path.read_text()) if path.is_file() else {}) or {}
    entries = specs.get("argument_specs") or {}
    return str((entries.get("reset") or entries.get("main") or {}).get("short_description") or role)


async def reset(fleet: Fleet, planned: HostReset, data: Path, output: Output) -> ExitCode:
    """Undo the roles on all hosts; a host that ends well forgets that it belonged to the site."""
    with ends_cleanly(f"platformctl reset -i {fleet.inventory}"):
        return await _reset(fleet, planned, data, output)


async def _reset(fleet: Fleet, planned: HostReset, data: Path, output: Output) -> ExitCode:
    started = time.monotonic()
    hosts = tuple(planned.roles)
    view = progress.view(output, {})
    with view, Journal(new_run(fleet.state / "runs"), Redactor(fleet.secrets), view.show) as journal:
        journal.emit("started", site=fleet.site, hosts=len(hosts), journal=str(journal.folder))
        reporter = Reporter(fleet, journal, "reset")
        with reporter.concluded(started):
            # The candidates are all hosts, as for an installation: with fewer, the two could hold locks on
            # different hosts and run at once.
            async with host_lock.hold(fleet, tuple(fleet.hosts), "reset") as keeper:
                journal.emit("stage_started", stage="reset", hosts=list(hosts))
                # Bare hosts are included too: so a role can see that no host of the site keeps anything.
                roles = {host: list(planned.roles.get(host, ())) for host in (*hosts, *planned.bare)}
                result = await Session(fleet, data, journal).run(
                    "reset", hosts, {"reset_roles": roles, "reset_keeps_record": True}
                )
                result = await _forget(fleet, planned, result, data)
                reporter.stage(result)
            # The lock has made the folder on its keeper; one that is not empty stays.
            emptied = {keeper, *(host for host, end in result.hosts.items() if end.status.fine)}
            await remote.run_all(
                map(fleet.hosts.__getitem__, emptied), dict.fromkeys(emptied, _REMOVE_FOLDER)
            )
        code = reporter.finish({"reset": result}, time.monotonic() - started)
    return ExitCode.UNREACHABLE if planned.down and code is ExitCode.DONE else code


async def _forget(fleet: Fleet, planned: HostReset, result: StageResult, data: Path) -> StageResult:
    """Let each host forget what is gone: all of it, or the stages of which no task failed."""
    ends = dict(result.hosts)
    fine = [fleet.hosts[host] for host, end in ends.items() if end.status.fine]
    text = program.program(data, _BEFORE, {"state": "forgotten"})
    for name, reply in (
        await remote.run_all(fine, {host.name: program.COMMAND for host in fine}, text)
    ).items():
        answer = reply.document
        if answer is None or "failed" in answer:
            why = reply.message if answer is None else str(answer["failed"])
            ends[name] = HostResult(Status.FAILED, f"remove {record.FOLDER}", why)
    partly = {host: _left(planned, end) for host, end in ends.items() if end.failed}
    records = await record.read(fleet, tuple(partly))
    for host, left in partly.items():
        if host in records.stages:
            gone = [name for name in planned.stages if name not in left]
            await records.forget(fleet.hosts[host], gone)
        ends[host] = replace(ends[host], message=f"{ends[host].message}\nall else is removed")
    return replace(result, hosts=ends)


def _left(planned: HostReset, end: HostResult) -> set[str]:
    """The stages that were not undone completely: all, if a failed task belongs to no stage's roles.

    A role that several stages include undoes itself with the first of them, so it is left for all of them.
    """
    roles = {task.partition(" : ")[0] for task in end.failed}
    owned = {role for names in planned.stages.values() for role in names}
    left = {name for name, names in planned.stages.items() if roles & set(names)}
    return left if roles <= owned else set(planned.stages)
