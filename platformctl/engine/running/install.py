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
from platformctl.engine.limit import hosts_of
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import impact, plan, record, words
from platformctl.engine.planning.plan import Impact, Plan
from platformctl.engine.planning.record import Records
from platformctl.engine.running import progress, steps
from platformctl.engine.running.durations import Durations
from platformctl.engine.running.execution import Execution
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.outcome import StageResult
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.stages import STAGES, Stage, StageRunner
from platformctl.errors import ExitCode, PlatformError


@dataclass(frozen=True)
class Options:
    """What the user asked for. limit: patterns of hosts; stages: names; empty means all.

    details: whether the stages of a first installation are named one by one.
    """

    limit: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    full: bool = False
    yes: bool = False
    verbosity: int = 0
    details: bool = True


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
        self.selection = plan.RunSelection(
            frozenset(hosts_of(fleet, options.limit)), frozenset(stage.name for stage in chosen), options.full
        )

    @property
    def fetches(self) -> bool:
        """Whether this run fetches the artefacts."""
        return bool(self._artifacts)

    async def draft(self) -> Draft:
        """Read the hosts and say what would run, and what users would notice."""
        return await self._draft(await self._read())

    async def run(self, output: Output) -> ExitCode:
        """Install; returns the exit code."""
        with ends_cleanly(f"platformctl install -i {self.fleet.inventory}"):
            return await self._run(output)

    async def _run(self, output: Output) -> ExitCode:
        started = time.monotonic()
        durations = Durations(self.fleet.state)
        view = progress.view(output, durations.load())
        folder = new_run(self.fleet.state / "runs")
        redactor = Redactor(self.fleet.secrets)
        with view, Journal(folder, redactor, view.show) as journal:
            journal.emit(
                "started", site=self.fleet.site, hosts=len(self.selection.hosts), journal=str(folder)
            )
            reporter = Reporter(self.fleet, journal, "install")
            with reporter.concluded(started):
                results = await self._carry_out(journal, reporter)
            durations.save({name: result.seconds for name, result in results.items() if result.seconds})
            return reporter.finish(results, time.monotonic() - started)

    async def _carry_out(self, journal: Journal, reporter: Reporter) -> dict[str, StageResult]:
        """Run all stages that differ; only the artefacts' stage, if fetching them failed."""
        results = await self._fetch(journal, reporter)
        if not _fine(results):
            return results
        async with _lock(self.fleet):
            records = await self._read()
            draft = await self._draft(records)
            self._announce(draft, journal)
            self._refuse_harm(draft)
            self._list(draft.plan, journal)
            execution = Execution(self.fleet, self.data, records, journal, reporter, self.options.verbosity)
            return results | await execution.run(self.stages, draft.plan)

    async def _fetch(self, journal: Journal, reporter: Reporter) -> dict[str, StageResult]:
        """Fetch and check the artefacts before anything else: the plan compares hosts with them.

        If an artefact has a wrong digest, the run ends here, before any host is changed.
        """
        results = {}
        for stage in self._artifacts:
            journal.emit("stage_started", stage=stage.name, hosts=[LOCALHOST])
            context = steps.Context(self.fleet, self.data, journal)
            results[stage.name] = await steps.run(stage, (LOCALHOST,), context)
            reporter.stage(results[stage.name])
        return results

    @property
    def _artifacts(self) -> list[Stage]:
        """The chosen stages that fetch artefacts."""
        chosen = [stage for stage in self.stages if stage.name in self.selection.stages]
        return [stage for stage in chosen if stage.runner is StageRunner.ARTIFACTS]

    async def _read(self) -> Records:
        keepers = {stage.recorded_on(self.fleet, LOCALHOST) for stage in self.stages} - {""}
        wanted = tuple(host for host in self.fleet.hosts if host in self.selection.hosts or host in keepers)
        return await record.read(self.fleet, wanted)

    async def _draft(self, records: Records) -> Draft:
        index = steps.index(self.fleet)
        planned = plan.make(self.stages, self.fleet, records, self.selection, self.data, index)
        running = await impact.running(self.fleet, plan.workloads(self.stages, planned))
        return Draft(planned, plan.impacts(self.stages, planned, running), fetched=bool(index))

    def _announce(self, draft: Draft, journal: Journal) -> None:
        for line in [
            *words.summary(draft.plan, self.options.details),
            *words.left_over(draft.plan, self.fleet),
        ]:
            journal.emit("remark", message=line)
        for affected in draft.impacts:
            if affected.running:
                message = (
                    f"{affected.running} on {affected.host} while {affected.stage} runs: {affected.effect}"
                )
                journal.emit("remark", message=message)

    def _list(self, planned: Plan, journal: Journal) -> None:
        """Say which stages are about to run, on which hosts, and what each waits for."""
        needs = {stage.name: [need.stage for need in stage.needs] for stage in self.stages}
        stages = {name: {"hosts": hosts, "needs": needs[name]} for name, hosts in planned.work.items()}
        journal.emit("planned", stages=stages)

    def _refuse_harm(self, draft: Draft) -> None:
        harmful = [affected for affected in draft.impacts if affected.harmful]
        if harmful and not self.options.yes:
            raise PlatformError(
                "this plan would end work of users, so nothing was done",
                next="drain those hosts and wait, or repeat the command with --yes",
                code=ExitCode.REFUSED,
                details=[f"{affected.host}: {affected.running}: {affected.effect}" for affected in harmful],
            )


@asynccontextmanager
async def _lock(fleet: Fleet) -> AsyncIterator[None]:
    """The site's lock: on one of its hosts, or in the existing cluster if it has no hosts."""
    if fleet.hosts:
        async with host_lock.hold(fleet, tuple(fleet.hosts), "install"):
            yield
    else:
        from platformctl.engine.cluster import cluster_lock  # late: loads an HTTP client

        async with cluster_lock.hold(fleet, "install"):
            yield


def _fine(results: Mapping[str, StageResult]) -> bool:
    return all(end.status.fine for result in results.values() for end in result.hosts.values())
