"""Brings a site to what its inventory says: lock, plan, run what differs, record what ended well."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from platformctl import paths
from platformctl.console import Output
from platformctl.engine import graph
from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.planning import impact, plan, record
from platformctl.engine.planning.plan import Impact, Plan
from platformctl.engine.planning.record import Records
from platformctl.engine.running import lock, progress, steps
from platformctl.engine.running.execution import Execution
from platformctl.engine.running.interrupt import ends_cleanly
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.outcome import StageResult
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.stages import STAGES, Kind, Stage
from platformctl.errors import ExitCode, PlatformError


@dataclass(frozen=True)
class Options:
    """What the user asked for. limit: hosts and groups; stages: names; empty means all."""

    limit: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    full: bool = False
    yes: bool = False
    verbosity: int = 0


@dataclass(frozen=True)
class Draft:
    """A plan with what it would disturb. fetched: whether there are artefacts to compare the hosts with."""

    plan: Plan
    impacts: tuple[Impact, ...]
    fetched: bool


class Installation:
    """One run of `install` or `plan` on a site."""

    def __init__(
        self, fleet: Fleet, options: Options, table: Sequence[Stage] = STAGES, data: Path | None = None
    ) -> None:
        self.fleet = fleet
        self.options = options
        self.data = data or paths.data_dir()
        self.stages = graph.ordered(table)
        chosen = graph.select(self.stages, options.stages)
        self.scope = plan.Scope(
            frozenset(hosts_of(fleet, options.limit)), frozenset(stage.name for stage in chosen), options.full
        )

    async def draft(self) -> Draft:
        """Read the hosts and say what would run, and what users would notice."""
        return await self._draft(await self._read())

    async def run(self, output: Output) -> ExitCode:
        """Install; returns the exit code."""
        with ends_cleanly("platformctl install"):
            return await self._run(output)

    async def _run(self, output: Output) -> ExitCode:
        started = time.monotonic()
        durations = progress.Durations(self.fleet.state)
        view = progress.view(output, durations.load())
        folder = new_run(self.fleet.state / "runs")
        redactor = Redactor(self.fleet.secrets)
        with view, Journal(folder, redactor, view.show) as journal:
            journal.emit("started", site=self.fleet.site, hosts=len(self.scope.hosts), journal=str(folder))
            reporter = Reporter(self.fleet, journal, "install")
            with reporter.concluded(started):
                results = await self._carry_out(journal, reporter)
            durations.save({name: result.seconds for name, result in results.items() if result.seconds})
            return reporter.finish(results, time.monotonic() - started)

    async def _carry_out(self, journal: Journal, reporter: Reporter) -> dict[str, StageResult]:
        """All stages that differ, or only the artefacts where those are not as they must be."""
        results = await self._fetch(journal, reporter)
        if not _fine(results):
            return results
        async with _lock(self.fleet):
            records = await self._read()
            draft = await self._draft(records)
            self._announce(draft, journal)
            self._refuse_harm(draft)
            execution = Execution(self.fleet, self.data, records, journal, reporter, self.options.verbosity)
            return results | await execution.run(self.stages, draft.plan)

    async def _fetch(self, journal: Journal, reporter: Reporter) -> dict[str, StageResult]:
        """Fetch and check the artefacts before anything else: the plan compares hosts with them.

        A wrong byte ends the run here, before any host is touched.
        """
        results = {}
        for stage in self.stages:
            if stage.kind is Kind.ARTIFACTS and stage.name in self.scope.stages:
                journal.emit("stage_started", stage=stage.name, hosts=[LOCALHOST])
                context = steps.Context(self.fleet, self.data, journal)
                results[stage.name] = await steps.run(stage, (LOCALHOST,), context)
                reporter.stage(results[stage.name])
        return results

    async def _read(self) -> Records:
        keepers = {stage.recorded_on(self.fleet, LOCALHOST) for stage in self.stages} - {""}
        wanted = tuple(host for host in self.fleet.hosts if host in self.scope.hosts or host in keepers)
        return await record.read(self.fleet, wanted)

    async def _draft(self, records: Records) -> Draft:
        index = steps.index(self.fleet)
        found = plan.make(self.stages, self.fleet, records, self.scope, self.data, index)
        running = await impact.running(self.fleet, plan.workloads(self.stages, found))
        return Draft(found, plan.impacts(self.stages, found, running), fetched=bool(index))

    def _announce(self, draft: Draft, journal: Journal) -> None:
        for line in [*summary(draft.plan), *left_over(draft.plan, self.fleet)]:
            journal.emit("remark", message=line)
        for found in draft.impacts:
            if found.running:
                message = f"{found.running} on {found.host} while {found.stage} runs: {found.effect}"
                journal.emit("remark", message=message)

    def _refuse_harm(self, draft: Draft) -> None:
        harmful = [found for found in draft.impacts if found.harmful]
        if harmful and not self.options.yes:
            raise PlatformError(
                "this plan would end work of users, so nothing was done",
                next="drain those hosts and wait, or repeat the command with --yes",
                code=ExitCode.REFUSED,
                details=[f"{found.host}: {found.running}: {found.effect}" for found in harmful],
            )


@asynccontextmanager
async def _lock(fleet: Fleet) -> AsyncIterator[None]:
    """The site's lock: on one of its hosts, or in the cluster of others if it has none."""
    if fleet.hosts:
        async with lock.hold(fleet, tuple(fleet.hosts), "install"):
            yield
    else:
        from platformctl.engine.running import cluster_lock  # late: loads an HTTP client

        async with cluster_lock.hold(fleet, "install"):
            yield


def hosts_of(fleet: Fleet, limit: Sequence[str]) -> list[str]:
    """The hosts that `--limit` names (hosts and groups, comma separated); all when it names none."""
    words = [word for part in limit for word in part.split(",") if word]
    chosen: set[str] = set()
    for word in words:
        found = (word,) if word in fleet.hosts else fleet.members(word)
        if not found:
            raise PlatformError(
                f"the inventory has no host or group {word}",
                where=str(fleet.inventory),
                next=f"choose from: {', '.join([*fleet.hosts, *fleet.groups])}",
                code=ExitCode.INVALID,
            )
        chosen.update(found)
    return [host for host in fleet.hosts if host in chosen or not words]


def summary(found: Plan) -> list[str]:
    """What a plan does, one line a stage."""
    lines = [f"{host} {why}" for host, why in found.down.items()]
    by_stage: dict[str, list[plan.Step]] = {}
    for step in found.steps:
        by_stage.setdefault(step.stage, []).append(step)
    for stage, entries in by_stage.items():
        reasons = list(dict.fromkeys(reason for step in entries for reason in step.reasons))
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        hosts = ", ".join(step.host for step in entries[:6]) + (" ..." if len(entries) > 6 else "")
        lines.append(f"plan: {stage} on {hosts} ({'; '.join(reasons[:3])}{more})")
    return lines or ["nothing to do: every host has what the inventory says"]


def left_over(found: Plan, fleet: Fleet) -> list[str]:
    """What hosts still do that the inventory no longer asks of them, and how to end it.

    Hosts that do the same share a line.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for host, names in found.left.items():
        alike.setdefault(names, []).append(host)
    return [
        f"{', '.join(hosts)}: still at the work of {', '.join(names)}, a group left since; to end it:"
        f" platformctl reset -i {fleet.inventory} --limit {','.join(hosts)} (takes all of it from there),"
        f" then platformctl install -i {fleet.inventory}"
        for names, hosts in alike.items()
    ]


def _fine(results: Mapping[str, StageResult]) -> bool:
    return all(end.status.fine for result in results.values() for end in result.hosts.values())
