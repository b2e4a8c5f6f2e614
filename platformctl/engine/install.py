"""Brings a site to what its inventory says: lock, plan, run what differs, record what ended well."""

import asyncio
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformctl import paths
from platformctl.console import Output
from platformctl.engine import digest, graph, impact, lock, plan, progress, record, scheduler, steps
from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.journal import Journal, new_run, private
from platformctl.engine.outcome import HostResult, StageResult, Status
from platformctl.engine.plan import Impact, Plan
from platformctl.engine.record import Records
from platformctl.engine.redact import Redactor
from platformctl.engine.session import Session
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
    """A plan with what it would disturb."""

    plan: Plan
    impacts: tuple[Impact, ...]


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
        started = time.monotonic()
        durations = progress.Durations(self.fleet.state)
        view = progress.view(output, durations.load())
        folder = new_run(self.fleet.state / "runs")
        redactor = Redactor(self.fleet.secrets)
        with view, Journal(folder, redactor, view.show) as journal:
            journal.emit("started", site=self.fleet.site, hosts=len(self.scope.hosts), journal=str(folder))
            fetched = await self._fetch(journal)
            if not _fine(fetched):
                return _finish(fetched, time.monotonic() - started, journal)
            async with lock.hold(self.fleet, self._lock_candidates(), "install"):
                records = await self._read()
                draft = await self._draft(records)
                self._announce(draft, journal)
                self._refuse_harm(draft)
                results = fetched | await self._execute(draft.plan, records, journal)
            durations.save({name: result.seconds for name, result in results.items() if result.seconds})
            return _finish(results, time.monotonic() - started, journal)

    async def _fetch(self, journal: Journal) -> dict[str, StageResult]:
        """Fetch and check the artefacts before anything else: the plan compares hosts with them.

        A wrong byte ends the run here, before any host is touched.
        """
        results = {}
        for stage in self.stages:
            if stage.kind is Kind.ARTIFACTS and stage.name in self.scope.stages:
                journal.emit("stage_started", stage=stage.name, hosts=[LOCALHOST])
                context = steps.Context(self.fleet, self.data, journal)
                results[stage.name] = await steps.run(stage, (LOCALHOST,), context)
                self._report(results[stage.name], journal)
        return results

    async def _read(self) -> Records:
        keepers = {stage.recorded_on(self.fleet, LOCALHOST) for stage in self.stages} - {""}
        wanted = tuple(host for host in self.fleet.hosts if host in self.scope.hosts or host in keepers)
        return await record.read(self.fleet, wanted)

    async def _draft(self, records: Records) -> Draft:
        found = plan.make(self.stages, self.fleet, records, self.scope, self.data, steps.index(self.fleet))
        running = await impact.running(self.fleet, plan.workloads(self.stages, found))
        return Draft(found, plan.impacts(self.stages, found, running))

    def _lock_candidates(self) -> tuple[str, ...]:
        return tuple(self.fleet.hosts)

    def _announce(self, draft: Draft, journal: Journal) -> None:
        for line in summary(draft.plan):
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

    async def _execute(self, found: Plan, records: Records, journal: Journal) -> dict[str, StageResult]:
        session = Session(self.fleet, self.data, journal, self.options.verbosity)
        context = steps.Context(self.fleet, self.data, journal)
        down = {host: HostResult(Status.UNREACHABLE, "connect", why) for host, why in found.down.items()}

        async def execute(stage: Stage, hosts: tuple[str, ...]) -> StageResult:
            journal.emit("stage_started", stage=stage.name, hosts=list(hosts))
            parts = {host: self._parts(stage, host) for host in hosts}
            await self._begin(stage, hosts, records)
            if stage.kind is Kind.PLAYBOOK:
                result = await session.run(stage.name, hosts)
            else:
                result = await steps.run(stage, hosts, context)
            return await self._keep(stage, result, parts, records)

        async def reported(stage: Stage, hosts: tuple[str, ...]) -> StageResult:
            try:
                result = await execute(stage, hosts)
            except Exception as error:
                result = self._defect(stage, hosts, error, journal)
            self._report(result, journal)
            return result

        results = await scheduler.run(self.stages, found.work, reported, down)
        self._report_untried(results, journal)
        return results

    def _defect(self, stage: Stage, hosts: Sequence[str], error: Exception, journal: Journal) -> StageResult:
        """An error nobody expected, as the end of a stage; the traceback goes to the stage's log."""
        with private(journal.folder / f"{stage.name}.log") as log:
            log.write(journal.redactor.text("".join(traceback.format_exception(error))))
        end = HostResult(
            Status.FAILED, "platformctl", f"{type(error).__name__}: {error} (see {stage.name}.log)"
        )
        return StageResult(stage.name, dict.fromkeys(hosts, end))

    def _parts(self, stage: Stage, host: str) -> Mapping[str, str]:
        return digest.parts(stage, host, self.fleet, self.data, steps.index(self.fleet))

    async def _begin(self, stage: Stage, hosts: Sequence[str], records: Records) -> None:
        """Take back the digests before anything changes. A host that does not answer fails in the stage."""
        keepers = {stage.recorded_on(self.fleet, host) for host in hosts} - {""}
        if stage.kind is not Kind.PREFLIGHT:
            await asyncio.gather(*(records.begin(self.fleet.hosts[name], stage.name) for name in keepers))

    async def _keep(
        self, stage: Stage, result: StageResult, parts: Mapping[str, Mapping[str, str]], records: Records
    ) -> StageResult:
        """Record the digest on every host where the stage ended well."""
        if stage.kind is Kind.PREFLIGHT:
            return result

        async def one(host: str, end: HostResult) -> HostResult:
            keeper = stage.recorded_on(self.fleet, host)
            if not end.status.fine or not keeper:
                return end
            reply = await records.store(self.fleet.hosts[keeper], stage.name, parts[host])
            if reply.code == 0:
                return end
            status = Status.UNREACHABLE if reply.unreachable else Status.FAILED
            return HostResult(status, "record the digest", reply.message)

        ends = await asyncio.gather(*(one(host, end) for host, end in result.hosts.items()))
        return StageResult(result.stage, dict(zip(result.hosts, ends, strict=True)), result.seconds)

    def _report(self, result: StageResult, journal: Journal) -> None:
        counts = dict.fromkeys(Status, 0)
        for host, end in result.hosts.items():
            counts[end.status] += 1
            self._report_host(result.stage, host, end, journal)
        journal.emit(
            "stage_finished",
            stage=result.stage,
            seconds=round(result.seconds, 1),
            **{status.value: count for status, count in counts.items()},
        )

    def _report_host(self, stage: str, host: str, end: HostResult, journal: Journal) -> None:
        retry = "" if end.status.fine or end.status is Status.BLOCKED else self._retry(stage, host)
        journal.emit(
            "host",
            stage=stage,
            host=host,
            status=end.status.value,
            changes=list(end.changes),
            task=end.task,
            message=end.message,
            retry=retry,
        )

    def _retry(self, stage: str, host: str) -> str:
        choice = f"--stage {stage}" if host == LOCALHOST else f"--limit {host}"
        return f"platformctl install -i {self.fleet.inventory} {choice}"

    def _report_untried(self, results: Mapping[str, StageResult], journal: Journal) -> None:
        """Hosts that no stage was tried on: one line a host that is down, one for each that had to wait."""
        said: set[str] = set()
        for name, result in results.items():
            for host, end in result.hosts.items():
                tried = end.status is not Status.BLOCKED and not (
                    end.status is Status.UNREACHABLE and end.task == "connect"
                )
                if tried or (host in said and end.status is Status.UNREACHABLE):
                    continue
                said.add(host)
                self._report_host(name, host, end, journal)


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
    lines = [f"{host} does not answer: {why}" for host, why in found.down.items()]
    by_stage: dict[str, list[plan.Step]] = {}
    for step in found.steps:
        by_stage.setdefault(step.stage, []).append(step)
    for stage, entries in by_stage.items():
        reasons = list(dict.fromkeys(reason for step in entries for reason in step.reasons))
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        hosts = ", ".join(step.host for step in entries[:6]) + (" ..." if len(entries) > 6 else "")
        lines.append(f"plan: {stage} on {hosts} ({'; '.join(reasons[:3])}{more})")
    return lines or ["nothing to do: every host has what the inventory says"]


def _finish(results: Mapping[str, StageResult], seconds: float, journal: Journal) -> ExitCode:
    ends: dict[str, set[Status]] = {}
    for result in results.values():
        for host, end in result.hosts.items():
            ends.setdefault(host, set()).add(end.status)
    counts: dict[str, Any] = {
        status.value: sum(status in found for found in ends.values())
        for status in (Status.CHANGED, Status.FAILED, Status.UNREACHABLE)
    }
    ran = sum(
        any(end.status is not Status.BLOCKED for end in result.hosts.values()) for result in results.values()
    )
    journal.emit("finished", stages=ran, **counts, seconds=round(seconds, 1))
    # A host that may not be installed is left out like one that is down; the others went on.
    unfit = (
        {host for host, end in results["preflight"].hosts.items() if end.status is Status.FAILED}
        if "preflight" in results
        else set()
    )
    failed = {host for host, found in ends.items() if Status.FAILED in found}
    if failed - unfit:
        return ExitCode.FAILED
    return ExitCode.UNREACHABLE if failed or counts["unreachable"] else ExitCode.DONE


def _fine(results: Mapping[str, StageResult]) -> bool:
    return all(end.status.fine for result in results.values() for end in result.hosts.values())
