"""Brings a site to what its inventory says: lock, plan, run what differs, record what ended well."""

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from platformctl import paths
from platformctl.console import Output
from platformctl.engine import graph, loading
from platformctl.engine.checking import check, leaving, needed
from platformctl.engine.checking.check import Verdict
from platformctl.engine.checking.findings import Level
from platformctl.engine.checking.leaving import Departures
from platformctl.engine.checking.needed import Away
from platformctl.engine.checking.proofs import drift
from platformctl.engine.checking.proofs.asking import Said
from platformctl.engine.checking.proofs.health_check import Place
from platformctl.engine.cluster import membership
from platformctl.engine.cluster.membership import Membership, Stray
from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.limit import hosts_of
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import identity, impact, plan, record, vault_check, words, work
from platformctl.engine.planning.impact import Impact
from platformctl.engine.planning.plan import Plan
from platformctl.engine.planning.record import Records
from platformctl.engine.running import departing, progress, protection, steps
from platformctl.engine.running.durations import Durations
from platformctl.engine.running.execution import Execution
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.outcome import StageResult
from platformctl.engine.running.protection import Drained, Drainer, Protection
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.stages import STAGES, Stage, StageRunner
from platformctl.errors import ExitCode, PlatformError


@dataclass(frozen=True)
class Options:
    """What the user asked for. limit: patterns of hosts; stages: names; empty means all.

    details: whether the stages of a first installation are named one by one. agreed: names of what may be
    taken over, beside those of the inventory. drainer, reservation: see Protection. command: the command line
    with what was chosen, if it is another one than `install`.
    """

    limit: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    full: bool = False
    yes: bool = False
    verbosity: int = 0
    details: bool = True
    agreed: tuple[str, ...] = ()
    reservation: str = ""
    drainer: Drainer | None = None
    command: str = ""

    def line(self, inventory: Path) -> str:
        """The command line with what was chosen, and without what was said about running work."""
        chosen = [*_each("--limit", self.limit), *_each("--stage", self.stages), *["--full"] * self.full]
        line = self.command or " ".join([f"platformctl install -i {inventory}", *chosen])
        return " ".join([line, *_each("--yes", self.agreed)])

    def repeated(self, inventory: Path) -> str:
        """The command line that continues the work. A yes must be said again."""
        said = [self.drainer.options] if self.drainer else []
        return " ".join([self.line(inventory), *said, *_each("--reservation", [self.reservation])])

    def protection(self, inventory: Path) -> Protection:
        """What was said about running work."""
        line = self.line(inventory)
        return Protection(self.yes, self.reservation, self.drainer, line, drains=not self.command)


@dataclass(frozen=True)
class Draft:
    """A plan with what it would disturb. fetched: whether there are artefacts to compare the hosts with.

    strays: nodes that the schedulers have and the inventory lacks. verdict: what preflight says of the hosts
    that have something to do. leaving: users who leave the site. away: services that the plan needs and that
    do not answer.
    """

    plan: Plan
    impacts: tuple[Impact, ...]
    fetched: bool
    strays: tuple[Stray, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    leaving: Departures = field(default_factory=Departures)
    away: tuple[Away, ...] = ()


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
        return await self._draft(*await self._look())

    async def run(self, output: Output) -> ExitCode:
        """Install; returns the exit code."""
        with ends_cleanly(self.options.repeated(self.fleet.inventory)):
            return await self._run(output, _lock(self.fleet))

    async def run_locked(self, output: Output) -> ExitCode:
        """Install for a caller that holds the site's lock and ends cleanly; returns the exit code."""
        return await self._run(output, nullcontext())

    async def _run(self, output: Output, lock: AbstractAsyncContextManager[None]) -> ExitCode:
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
                results, stuck = await self._carry_out(journal, reporter, lock)
            durations.save({name: result.seconds for name, result in results.items() if result.seconds})
            code = reporter.finish(results, time.monotonic() - started)
            if stuck:
                raise replace(stuck, code=max(code, stuck.code))
            return code

    async def _carry_out(
        self, journal: Journal, reporter: Reporter, lock: AbstractAsyncContextManager[None]
    ) -> tuple[dict[str, StageResult], PlatformError | None]:
        """Run all stages that differ; only the artefacts' stage, if fetching them failed.

        Returns also why a node that was drained for this could not be put back.
        """
        results = await self._fetch(journal, reporter)
        if not _fine(results):
            return results, None
        async with lock:
            records, members, clusters = await self._look()
            draft = await self._draft(records, members, clusters, fetch=True)
            self._announce(draft, journal)
            if draft.plan.renamed:
                raise identity.refusal(self.fleet, draft.plan.renamed)
            self._refuse_takeover(draft)
            self._refuse_departures(draft)
            if draft.away:
                raise needed.refusal(self.fleet, draft.away)
            async with self._protected(draft, journal) as drained:
                await self._end_work(draft, journal)
                self._list(draft.plan, journal)
                context = self._context(draft, journal)
                await self._take_on(context, draft)
                execution = Execution(context, records, reporter, self.options.verbosity)
                drained.unfit = lambda: execution.halfway
                results |= await execution.run(self.stages, draft.plan)
                drained.unfit = lambda: execution.halfway | _unfit(results)
            return results, drained.stuck

    @asynccontextmanager
    async def _protected(self, draft: Draft, journal: Journal) -> AsyncIterator[Drained]:
        """While work of users is safe from the plan. PlatformError: it would be harmed.

        Gives the nodes that were drained for it. They are put back afterwards, whatever has happened, but for
        those that are unfit.
        """

        def say(message: str) -> None:
            journal.emit("remark", message=message)

        async def look() -> tuple[Impact, ...]:
            return await self._impacts(draft.plan)

        chosen = self.options.protection(self.fleet.inventory)
        names = await protection.protect(self.fleet, chosen, draft.impacts, look, say)
        drained = Drained(names)
        try:
            yield drained
        finally:
            unfit = drained.unfit()
            if kept := [name for name in names if name in unfit]:
                again = f"platformctl node undrain -i {self.fleet.inventory} {' '.join(kept)}"
                say(f"{', '.join(kept)} stays drained, as not all ended well there; to end that: {again}")
            if chosen.drainer:
                back = [name for name in names if name not in unfit]
                drained.stuck = await protection.put_back(chosen.drainer, back, say)

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
        return [stage for stage in self._chosen if stage.runner is StageRunner.ARTIFACTS]

    @property
    def _chosen(self) -> list[Stage]:
        return [stage for stage in self.stages if stage.name in self.selection.stages]

    async def _look(self) -> tuple[Records, Membership, Mapping[Place, Said]]:
        """Ask hosts and clusters all that a plan needs, at the same time."""
        return await asyncio.gather(self._read(), membership.ask(self.fleet), drift.ask_clusters(self.fleet))

    async def _read(self) -> Records:
        keepers = {stage.recorded_on(self.fleet, LOCALHOST) for stage in self.stages} - {""}
        keepers |= {host for group in needed.GROUPS for host in self.fleet.members(group)}
        wanted = tuple(host for host in self.fleet.hosts if host in self.selection.hosts or host in keepers)
        return await record.read(self.fleet, wanted, drift.questions(self.fleet, wanted))

    async def _draft(
        self,
        records: Records,
        members: Membership,
        clusters: Mapping[Place, Said],
        *,
        fetch: bool = False,
    ) -> Draft:
        vault_check.refuse_foreign(self.stages, self.fleet, records)
        index = steps.index(self.fleet)
        found = drift.read(self.fleet, records, clusters)
        planned = plan.make(self.stages, self.fleet, records, self.selection, self.data, index, found)
        busy = tuple(host for host in self.fleet.hosts if host in _busy(planned))
        impacts, verdict, away, strays = await asyncio.gather(
            self._impacts(planned),
            check.check(self.fleet, busy, self.data, self.options.agreed, fetch=fetch),
            needed.away(self.fleet, needed.needed(self.stages, planned, records), records),
            membership.strays(self.fleet, members),
        )
        going = await self._leaving(planned, verdict)
        return Draft(planned, impacts, bool(index), strays, verdict, going, away)

    async def _impacts(self, planned: Plan) -> tuple[Impact, ...]:
        """Ask the schedulers what runs, and say what the plan does to it."""
        found = await work.ask(self.fleet, impact.workloads(self.stages, planned))
        return impact.impacts(self.stages, planned, found, loading.evaluated(self.fleet))

    async def _leaving(self, planned: Plan, verdict: Verdict) -> Departures:
        """The users who leave the site, if the plan has steps that remove them."""
        knowing = {stage.name for stage in self.stages if stage.accounts}
        if not any(step.stage in knowing and not step.fresh for step in planned.steps):
            return Departures()
        return await leaving.departures(self.fleet, verdict.surveys)

    def _announce(self, draft: Draft, journal: Journal) -> None:
        for line in [
            *words.summary(draft.plan, self.options.details),
            *words.left_over(draft.plan, self.fleet),
            *vault_check.unfinished(self.fleet),
            *(stray.words(self.fleet.inventory) for stray in draft.strays),
        ]:
            journal.emit("remark", message=line)
        for finding in draft.verdict.takeovers:
            if finding.level is not Level.ERROR:
                journal.emit("remark", message=f"{finding.host}: {finding.found} ({finding.remedy})")
        for message in words.disturbances(draft.impacts):
            journal.emit("remark", message=message)
        for user in draft.leaving.users:
            journal.emit("remark", message=user.words)

    def _list(self, planned: Plan, journal: Journal) -> None:
        """Say which stages are about to run, on which hosts, and what each waits for."""
        needs = {stage.name: [need.stage for need in stage.needs] for stage in self.stages}
        stages = {name: {"hosts": hosts, "needs": needs[name]} for name, hosts in planned.work.items()}
        journal.emit("planned", stages=stages)

    def _context(self, draft: Draft, journal: Journal) -> steps.Context:
        variables: dict[str, Any] = {"_users_agreed": self.options.agreed} if self.options.agreed else {}
        if self._ends_work:
            variables["users_leaving"] = leaving.END
        return steps.Context(self.fleet, self.data, journal, draft.verdict, self.options.agreed, variables)

    @property
    def _ends_work(self) -> bool:
        """Whether running work of users who leave is ended."""
        return self.options.yes or leaving.policy(self.fleet.variables) == leaving.END

    def _refuse_departures(self, draft: Draft) -> None:
        outside = [host for host in self.fleet.hosts if host not in self.selection.hosts]
        # A host that preflight leaves out would keep them.
        errors = {host: draft.verdict.errors(host) for host in self.fleet.hosts}
        unfit = {host: f"is left out: {found[0].found}" for host, found in errors.items() if found}
        down = unfit | dict(draft.plan.down)
        refused = leaving.refusal(self.fleet, draft.leaving, outside, down, self._ends_work)
        if refused:
            raise refused

    async def _end_work(self, draft: Draft, journal: Journal) -> None:
        """End the jobs of users who leave. It was agreed to; what was started since the plan ends as well."""
        if draft.leaving.users and self._ends_work:
            journal.emit("remark", message=f"ends the jobs of {', '.join(draft.leaving.names)}")
            await departing.end_work(self.fleet, draft.leaving.names)

    async def _take_on(self, context: steps.Context, draft: Draft) -> None:
        """Where preflight is not among the chosen stages, the state before is recorded all the same."""
        if not any(stage.runner is StageRunner.PREFLIGHT for stage in self._chosen):
            taken = await steps.take_on(context, tuple(_busy(draft.plan)), draft.verdict)
            failed = {host: end.message for host, end in taken.items() if not end.status.fine}
            if failed:
                raise PlatformError(
                    "the state of hosts before the installation could not be recorded, so nothing was done",
                    next="correct this, then repeat the command",
                    details=[f"{host}: {message}" for host, message in failed.items()],
                )

    def _refuse_takeover(self, draft: Draft) -> None:
        refused = [finding for finding in draft.verdict.takeovers if finding.level is Level.ERROR]
        if refused:
            names = sorted({finding.names[0] for finding in refused})
            raise PlatformError(
                "hosts have what the installation would take from others, so nothing was done",
                next="take it away yourself; or accept it, once by repeating the command with "
                f"{' '.join(f'--yes {name}' for name in names)}, or for good in the inventory: "
                f"takeover: [{', '.join(names)}]",
                code=ExitCode.REFUSED,
                details=[f"{finding.host}: {finding.found}" for finding in refused],
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


def _busy(planned: Plan) -> dict[str, None]:
    """The hosts that answer and have something to do, in the plan's order."""
    return {
        step.host: None for step in planned.steps if step.host != LOCALHOST and step.host not in planned.down
    }


def _each(option: str, values: Sequence[str]) -> list[str]:
    """The words of an option, once for each value that is not empty."""
    return [f"{option} {shlex.quote(value)}" for value in values if value]


def _fine(results: Mapping[str, StageResult]) -> bool:
    return all(end.status.fine for result in results.values() for end in result.hosts.values())


def _unfit(results: Mapping[str, StageResult]) -> set[str]:
    """The hosts on which a stage did not end well."""
    return {host for result in results.values() for host, end in result.hosts.items() if not end.status.fine}
