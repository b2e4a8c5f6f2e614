"""Removes from the hosts what an installation put there, and only that.

A host's own record says which stages were begun on it; each role knows in tasks/reset.yml how to undo itself,
and says in words what it removes in the entry `reset` of its argument_specs.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from platformctl.console import Output
from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import record
from platformctl.engine.running import progress
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.running.session import Session
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode

_FORGET = (
    f"rm -f {record.FOLDER}/digests.json {record.FOLDER}/managed; rmdir {record.FOLDER} 2>/dev/null; true"
)


@dataclass(frozen=True)
class HostReset:
    """What would be undone: roles by host, last applied first.

    down: hosts that could not be asked, and why. bare: hosts that have nothing of platformctl.
    """

    roles: Mapping[str, tuple[str, ...]]
    down: Mapping[str, str]
    bare: tuple[str, ...] = ()


async def planned_reset(
    fleet: Fleet, hosts: tuple[str, ...], stages: Sequence[Stage], data: Path
) -> HostReset:
    """Read from the hosts which roles were applied to them."""
    records = await record.read(fleet, hosts)
    roles_by_host = {}
    for host, begun in records.stages.items():
        roles = [role for stage in stages if stage.name in begun for role in stage.roles]
        undoable = [role for role in roles if (data / "roles" / role / "tasks" / "reset.yml").is_file()]
        if begun:
            roles_by_host[host] = tuple(reversed(undoable))
    bare = tuple(host for host, begun in records.stages.items() if not begun)
    return HostReset(roles_by_host, {host: reply.refusal for host, reply in records.down.items()}, bare)


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
            async with host_lock.hold(fleet, tuple(fleet.hosts), "reset"):
                journal.emit("stage_started", stage="reset", hosts=list(hosts))
                # Bare hosts are included too: so a role can see that no host of the site keeps anything.
                roles = {host: list(planned.roles.get(host, ())) for host in (*hosts, *planned.bare)}
                result = await Session(fleet, data, journal).run("reset", hosts, {"reset_roles": roles})
                reporter.stage(result)
            fine = [fleet.hosts[host] for host, end in result.hosts.items() if end.status.fine]
            await remote.run_all(fine, {host.name: _FORGET for host in fine})
        code = reporter.finish({"reset": result}, time.monotonic() - started)
    return ExitCode.UNREACHABLE if planned.down and code is ExitCode.DONE else code
