"""Which stages would run on which hosts, and why.

A stage runs on a host when its digest differs from the one the host recorded. A pure comparison: reading the
hosts and asking the schedulers is done by others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.planning import digest, identity, record, sizes
from platformctl.engine.planning.digest import Change
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import Stage, StageRunner

# Long before certificates expire, so that an occasional installation renews them in time.
SIGNED_AGAIN_AFTER = timedelta(days=90)

_NEW = "not applied yet"
_UNFINISHED = "did not end well last time"
_DAMAGED = f"its record {record.DIGESTS} is damaged, so what it has is unknown: all is applied again"
FULL = "--full"
_DUE = "its certificates are signed again from time to time"
_NO_RECORD = "compared every time, since no host of the site could remember it"


@dataclass(frozen=True)
class Step:
    """One stage on one host. reasons: in words.

    fresh: the stage was never applied there, so it disturbs nothing. changed: the parts of its digest that
    differ from what was applied last, and how. away: stages of the host that are out of service.
    """

    stage: str
    host: str
    reasons: tuple[str, ...]
    fresh: bool
    changed: Mapping[str, Change] = field(default_factory=dict)
    away: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunSelection:
    """What the user asked for: hosts by --limit, stages by --stage, everything by --full."""

    hosts: frozenset[str]
    stages: frozenset[str]
    full: bool = False


@dataclass(frozen=True)
class Plan:
    """Steps in graph order. down: hosts that could not be asked, and why.

    left: stages by host that are applied there although the host has left their group. renamed: by host the
    other name under which it was installed; nothing may be done to it.
    """

    steps: tuple[Step, ...]
    down: Mapping[str, str]
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def work(self) -> dict[str, tuple[str, ...]]:
        """Hosts by stage."""
        hosts_by_stage: dict[str, list[str]] = {}
        for step in self.steps:
            hosts_by_stage.setdefault(step.stage, []).append(step.host)
        return {stage: tuple(hosts) for stage, hosts in hosts_by_stage.items()}


def make(
    stages: Sequence[Stage],
    fleet: Fleet,
    records: Records,
    selection: RunSelection,
    data: Path,
    index: Mapping[str, Any],
    drift: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
) -> Plan:
    """Compare the site with what its hosts recorded. A host that is down is planned for all its stages.

    drift: what went wrong since, in words, by stage and host; it is a reason to run the stage there again.
    """
    steps: list[Step] = []
    for stage in stages:
        if (
            stage.runner in (StageRunner.PREFLIGHT, StageRunner.ARTIFACTS)
            or stage.name not in selection.stages
        ):
            continue
        expected = sizes.expected(stage, fleet, records.sizes, records.shared(stage, fleet))
        present = digest.StageDigest(stage, fleet, data, index, sizes.parts(expected), records.salt)
        for host in stage.targets(fleet):
            if host in selection.hosts or host == LOCALHOST:
                found = (drift or {}).get((stage.name, host), ())
                step = _step(stage, host, fleet, records, selection, present, found)
                steps += [step] if step else []
    down = {name: reply.refusal for name, reply in records.down.items() if name in selection.hosts}
    groundwork = _groundwork(stages, fleet, selection, steps, records)
    renamed = identity.renamed(fleet, records, selection.hosts)
    return Plan((*groundwork, *steps), down, _left(stages, fleet, records, selection), renamed)


def _left(
    stages: Sequence[Stage], fleet: Fleet, records: Records, selection: RunSelection
) -> dict[str, tuple[str, ...]]:
    """Stages that were begun on a host that has left their group."""
    left: dict[str, tuple[str, ...]] = {}
    for host in (name for name in fleet.hosts if name in selection.hosts):
        begun = records.stages.get(host, {})
        names = [stage.name for stage in stages if stage.name in begun and stage.abandoned(fleet.hosts[host])]
        left |= {host: tuple(names)} if names else {}
    return left


def _step(
    stage: Stage,
    host: str,
    fleet: Fleet,
    records: Records,
    selection: RunSelection,
    present: digest.StageDigest,
    drift: tuple[str, ...],
) -> Step | None:
    keeper = stage.recorded_on(fleet, host)
    if host == LOCALHOST and not keeper:
        return Step(stage.name, host, (_NO_RECORD,), fresh=False)
    if host == LOCALHOST and keeper not in selection.hosts:
        return None
    old = records.parts(keeper, stage.name)
    if keeper in records.down:
        return Step(stage.name, host, ("the host cannot be asked",), fresh=False)
    if keeper in records.damaged:
        return Step(stage.name, host, (_DAMAGED,), fresh=False)
    away = records.away.get(keeper, frozenset())
    if old is None:
        begun = records.begun(keeper, stage.name)
        before = records.before(keeper, stage.name)
        # What changed before it was begun may have its effect only now.
        changed = digest.changes(present.renewed(before, host), present.parts(host)) if before else {}
        return Step(stage.name, host, (_UNFINISHED if begun else _NEW,), not begun, changed, away)
    earlier, parts = present.renewed(old, host), present.parts(host)
    # Without a difference no value is read: on most hosts nothing changed.
    now = present.shown(host) if earlier != parts else {}
    reasons = digest.differences(earlier, parts, records.shown(keeper, stage.name), now)
    if stage.certificates and records.age(keeper, stage.name) > SIGNED_AGAIN_AFTER:
        reasons = (*reasons, _DUE)
    reasons = (*reasons, *drift)
    if selection.full:
        reasons = (*reasons, FULL)
    changed = digest.changes(earlier, parts)
    return Step(stage.name, host, reasons, fresh=False, changed=changed, away=away) if reasons else None


def _groundwork(
    stages: Sequence[Stage], fleet: Fleet, selection: RunSelection, steps: Sequence[Step], records: Records
) -> list[Step]:
    """Hosts are checked before something is done to them."""
    busy = {step.host for step in steps}
    checks: list[Step] = []
    for stage in stages:
        if stage.runner is StageRunner.PREFLIGHT and stage.name in selection.stages:
            hosts = [
                host for host in stage.targets(fleet) if host in (selection.hosts if selection.full else busy)
            ]
            reason = "before anything is done to the host"
            checks += [
                Step(stage.name, host, (reason,), fresh=not records.stages.get(host)) for host in hosts
            ]
    return checks
