"""Runs a plan: each stage by Ansible or by the engine itself, with the hosts' records kept true.

Before a stage runs, its digest is removed from its hosts. It is written again only if the stage ended well
and its health checks pass. So if a run is killed at any moment, the next run sees which hosts are unfinished.
Of hosts in service, one is tried before the others (see waves.py).
"""

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platformctl.engine.planning import digest, sizes
from platformctl.engine.planning.plan import Plan
from platformctl.engine.planning.record import Records
from platformctl.engine.remote import Reply, together
from platformctl.engine.running import proving, scheduler, steps
from platformctl.engine.running.failure import with_hint
from platformctl.engine.running.journal import private
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.report import CONNECT, Reporter
from platformctl.engine.running.session import Session
from platformctl.engine.running.waves import waves
from platformctl.engine.stages import Stage, StageRunner

ByHost = Mapping[str, Mapping[str, str]]


class Execution:
    """One plan being run."""

    def __init__(
        self,
        context: steps.Context,
        records: Records,
        reporter: Reporter,
        verbosity: int,
    ) -> None:
        fleet, data, journal = context.fleet, context.data, context.journal
        self._fleet = fleet
        self._data = data
        self._records = records
        self._journal = journal
        self._reporter = reporter
        self._session = Session(fleet, data, journal, verbosity)
        self._context = context
        # Variables that playbooks get beside those of the inventory.
        self._variables = context.variables
        # Hosts that did not answer, or on which some stage did not end well.
        self._unfit: set[str] = set()
        # Hosts that a stage has not been applied to yet, by stage.
        self._fresh: dict[str, set[str]] = {}
        # By host, the stages that were planned, that have begun, and that have ended well.
        self._planned: dict[str, set[str]] = {}
        self._begun: dict[str, set[str]] = {}
        self._done: dict[str, set[str]] = {}

    @property
    def halfway(self) -> set[str]:
        """The hosts on which a stage has begun and not all planned ones have ended well."""
        return {host for host in self._begun if self._planned[host] - self._done.get(host, set())}

    async def run(self, stages: Sequence[Stage], plan: Plan) -> dict[str, StageResult]:
        """Run all of it; returns the results by stage. stages: in graph order."""
        down = {host: HostResult(Status.UNREACHABLE, CONNECT, why) for host, why in plan.down.items()}
        self._unfit = set(down)
        for step in plan.steps:
            self._fresh.setdefault(step.stage, set()).update({step.host} if step.fresh else ())
            self._planned.setdefault(step.host, set()).add(step.stage)
        targets = {stage.name: stage.targets(self._fleet) for stage in stages}
        results = await scheduler.run(stages, plan.work, self._stage, down, targets)
        self._reporter.untried(results)
        return results

    async def _stage(self, stage: Stage, hosts: tuple[str, ...]) -> StageResult:
        self._journal.emit("stage_started", stage=stage.name, hosts=list(hosts))
        try:
            result = await self._apply(stage, hosts)
        except Exception as error:
            # A defect in one stage must not end stages that run at the same time.
            result = self._defect(stage, hosts, error)
        self._unfit.update(host for host, end in result.hosts.items() if not end.status.fine)
        self._reporter.stage(result)
        return result

    async def _apply(self, stage: Stage, hosts: tuple[str, ...]) -> StageResult:
        """Run a stage in waves; after the first failure of a host in service, the others are left alone."""
        fresh = self._fresh.get(stage.name, set())
        # Before anything is recorded, since what is measured is compared with the record of the first host.
        recorded = self._records.shared(stage, self._fleet)
        measured = sizes.applied(stage, self._fleet, self._records.sizes, recorded)
        index = steps.index(self._fleet)
        known, salt = sizes.parts(measured), self._records.salt
        present = digest.StageDigest(stage, self._fleet, self._data, index, known, salt)
        parts = {host: present.parts(host) for host in hosts}
        prints = {host: present.prints(host) for host in hosts}
        shown = {host: present.shown(host) for host in hosts}
        variables = {**self._variables, **sizes.passed(stage, measured)}
        groups = waves(stage, hosts, fresh)
        ends: dict[str, HostResult] = {}
        seconds = 0.0
        for number, group in enumerate(groups, start=1):
            if broken := next((host for host, end in ends.items() if host not in fresh and _broken(end)), ""):
                untried = HostResult(Status.BLOCKED, message=f"not tried, since {broken} failed")
                ends |= dict.fromkeys(group, untried)
                continue
            if len(groups) > 1:
                names = ", ".join(group[:3]) + (" ..." if len(group) > 3 else "")
                message = f"{stage.name}: group {number} of {len(groups)}, {names}; the others wait for it"
                self._journal.emit("remark", message=message)
            result = await self._wave(stage, group, (parts, prints, shown), variables)
            ends |= result.hosts
            seconds += result.seconds
        return StageResult(stage.name, ends, seconds)

    async def _wave(
        self,
        stage: Stage,
        hosts: tuple[str, ...],
        remembered: tuple[ByHost, ByHost, ByHost],
        variables: Mapping[str, Any],
    ) -> StageResult:
        """Run a stage on some of its hosts, prove it and record it.

        remembered: parts of the digest, fingerprints of secrets, and values that a plan may show, by host.
        """
        _, prints, _ = remembered
        if stage.runner is not StageRunner.PREFLIGHT:
            _note(self._begun, stage, hosts)
        refused = await self._begin(stage, {host: prints[host] for host in hosts})
        ready = tuple(host for host in hosts if host not in refused)
        if not ready:
            return StageResult(stage.name, refused)
        if stage.runner is StageRunner.PLAYBOOK:
            result = await self._session.run(stage.name, ready, variables)
        else:
            result = await steps.run(stage, ready, self._context)
        result = await self._prove(stage, result)
        result = await self._keep(stage, result, *remembered)
        _note(self._done, stage, (host for host, end in result.hosts.items() if end.status.fine))
        return StageResult(stage.name, {**refused, **result.hosts}, result.seconds)

    async def _prove(self, stage: Stage, result: StageResult) -> StageResult:
        """The result after the health checks of the stage, on the hosts where it ended well."""
        hosts = [host for host, end in result.hosts.items() if end.status.fine]
        in_service = set(hosts) - self._fresh.get(stage.name, set())
        started = time.monotonic()
        bad = await proving.prove(self._fleet, stage, hosts, self._records, in_service, self._journal)
        seconds = result.seconds + time.monotonic() - started
        return StageResult(stage.name, {**result.hosts, **bad}, seconds)

    def _defect(self, stage: Stage, hosts: Sequence[str], error: Exception) -> StageResult:
        """An unexpected error as the result of a stage; the traceback goes to the stage's log."""
        log_name = f"{stage.name}.log"
        with private(self._journal.folder / log_name) as log:
            log.write(self._journal.redactor.text("".join(traceback.format_exception(error))))
        message = f"{type(error).__name__}: {error} (see {log_name})"
        return StageResult(
            stage.name, dict.fromkeys(hosts, HostResult(Status.FAILED, "platformctl", message))
        )

    async def _begin(self, stage: Stage, prints: Mapping[str, Mapping[str, str]]) -> dict[str, HostResult]:
        """Remove the digests before anything changes; returns the hosts where that failed.

        prints: by host, the fingerprints of the secrets that it is about to get.
        The stage does not run on such a host: it would keep the old digest although its state is unknown.
        """
        if stage.runner is StageRunner.PREFLIGHT:
            return {}
        keepers = {host: stage.recorded_on(self._fleet, host) for host in prints}
        names = [host for host, keeper in keepers.items() if keeper]
        replies = await together(
            self._records.begin(self._fleet.hosts[keepers[host]], stage.name, prints[host]) for host in names
        )
        task = "record that the stage begins"
        return {
            host: _not_recorded(task, reply)
            for host, reply in zip(names, replies, strict=True)
            if reply.code != 0
        }

    async def _keep(
        self,
        stage: Stage,
        result: StageResult,
        parts: ByHost,
        prints: ByHost,
        shown: ByHost,
    ) -> StageResult:
        """Record all this on every host where the stage ended well."""
        if stage.runner is StageRunner.PREFLIGHT:
            return result
        if stage.runner is StageRunner.VERIFY and self._unfit:
            # The digest lists all hosts: if it were recorded now, the missing hosts would never be proven.
            return result

        async def one(host: str, end: HostResult) -> HostResult:
            keeper = stage.recorded_on(self._fleet, host)
            if not end.status.fine or not keeper:
                return end
            reply = await self._records.store(
                self._fleet.hosts[keeper], stage.name, parts[host], prints[host], shown[host]
            )
            return end if reply.code == 0 else _not_recorded("record the digest", reply)

        ends = await together(one(host, end) for host, end in result.hosts.items())
        return StageResult(result.stage, dict(zip(result.hosts, ends, strict=True)), result.seconds)


def _note(noted: dict[str, set[str]], stage: Stage, hosts: Iterable[str]) -> None:
    for host in hosts:
        noted.setdefault(host, set()).add(stage.name)


def _broken(end: HostResult) -> bool:
    return end.status is Status.FAILED


def _not_recorded(task: str, reply: Reply) -> HostResult:
    status = Status.UNREACHABLE if reply.unreachable else Status.FAILED
    return HostResult(status, task, with_hint(reply.message))
