"""A plan as tables for people, or as one JSON document."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from platformctl.console import Output

if TYPE_CHECKING:
    from platformctl.engine.checking.check import Verdict
    from platformctl.engine.fleet import Fleet
    from platformctl.engine.planning.impact import Hurt, Impact
    from platformctl.engine.running.install import Draft

_COLUMNS = ("host", "stage", "why", "impact")
# More jobs and pods than people read in a table are counted by their owners.
_MOST_WORK = 50


def show(output: Output, fleet: "Fleet", draft: "Draft") -> None:
    """Print what would run and why, and what it does to what runs on the site."""
    from platformctl.engine.planning import words

    if output.json:
        output.document(_documents(draft))
        return
    fresh = set() if output.verbose else words.newcomers(draft.plan)
    # What a host lacks is not known if it does not answer: it is named once, below the tables.
    left_out = fresh if output.verbose else fresh | set(draft.plan.down)
    rows = [row for row in _steps(draft) if row[0] not in left_out]
    rows += [*_left(draft), *_takeovers(draft.verdict)]
    if fresh:
        for line in words.first_installation(draft.plan):
            output.say(f"{line} (platformctl -v plan names them)")
    if rows:
        output.table("", _COLUMNS, [tuple(map(escape, row)) for row in rows])
    elif not fresh:
        which = "every host that answers" if draft.plan.down else "every host"
        output.say(f"nothing to do: {which} has what the inventory says")
    _show_impact(output, fleet, draft)


def _show_impact(output: Output, fleet: "Fleet", draft: "Draft") -> None:
    from platformctl.engine.planning import impact

    services = impact.services(draft.impacts)
    if services:
        output.say("")
        output.table("Services", ("host", "what happens"), [tuple(map(escape, row)) for row in services])
    hurt = {str(hurt): hurt for one in draft.impacts for hurt in one.hurt}
    unknown = list(dict.fromkeys(one.unknown for one in draft.impacts if one.unknown))
    if hurt or unknown:
        output.say("")
        many = len(hurt) > _MOST_WORK and not output.verbose
        named = _by_owner(hurt.values()) if many else ((str(one.work), one.words) for one in hurt.values())
        rows = [*named, *(("unknown", why) for why in unknown)]
        output.table(
            "Running work", ("whose", "what becomes of it"), [tuple(map(escape, row)) for row in rows]
        )
        if many:
            output.say(f"platformctl -v plan -i {fleet.inventory} names each of them")
        output.say("")
        output.say(
            "install refuses this unless you give --yes, --drain or --reservation NAME: "
            f"platformctl install -i {fleet.inventory} --drain"
        )
    elif services:
        output.say("no job and no pod is harmed")


def _by_owner(hurt: "Iterable[Hurt]") -> Iterator[tuple[str, str]]:
    """How many jobs of each user and pods of each namespace share a fate."""
    from platformctl.engine.planning.work import Job

    owners: dict[tuple[str, str], list[str]] = {}
    for one in hurt:
        work = one.work
        owner, name = (
            (f"jobs of {work.user}", work.id)
            if isinstance(work, Job)
            else (f"pods in {work.namespace}", work.name)
        )
        owners.setdefault((owner, one.words), []).append(name)
    for (owner, words), names in owners.items():
        yield f"{len(names)} {owner}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}", words


def _steps(draft: "Draft") -> Iterator[tuple[str, str, str, str]]:
    effects = {(impact.host, impact.stage): impact for impact in draft.impacts}
    for step in draft.plan.steps:
        yield step.host, step.stage, "; ".join(step.reasons), _effect(effects.get((step.host, step.stage)))


def _effect(impact: "Impact | None") -> str:
    return ": ".join(part for part in (impact.running, impact.effect) if part) if impact else ""


def _left(draft: "Draft") -> Iterator[tuple[str, str, str, str]]:
    """What is left of hosts and nodes that the inventory has no more."""
    for host, names in draft.plan.left.items():
        for name in names:
            yield host, name, "not run: the host left this group", "its services still run"
    for stray in draft.strays:
        load = f"still its node: {stray.state}, {stray.load}"
        yield stray.name, stray.scheduler, "not in the inventory", load


def _takeovers(verdict: "Verdict") -> list[tuple[str, str, str, str]]:
    """What the installation would take from others, as rows of a plan."""
    from platformctl.engine.checking.findings import Level

    refusal = {Level.ERROR: "install will refuse: "}
    return [
        (finding.host, finding.check, finding.found, refusal.get(finding.level, "") + finding.remedy)
        for finding in verdict.takeovers
    ]


def _documents(draft: "Draft") -> list[dict[str, Any]]:
    """One object for each row; a step also has its daemons, and the work that it harms."""
    effects = {(impact.host, impact.stage): impact for impact in draft.impacts}
    rows = [*_steps(draft), *_left(draft), *_takeovers(draft.verdict)]
    documents = []
    for row in rows:
        document: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        impact = effects.get((row[0], row[1]))
        documents.append(document | (_details(impact) if impact else {}))
    return documents


def _details(impact: "Impact") -> dict[str, Any]:
    return {
        "restarts": [
            {
                "daemon": restart.daemon.unit,
                "sure": restart.sure,
                "interrupts": restart.daemon.service,
                "seconds": restart.daemon.seconds,
            }
            for restart in impact.restarts
        ],
        "harms": [_hurt(hurt) for hurt in impact.hurt],
        "unknown": impact.unknown,
    }


def _hurt(hurt: "Hurt") -> dict[str, Any]:
    from platformctl.engine.planning.work import Job

    work = hurt.work
    if isinstance(work, Job):
        return {"kind": "job", **asdict(work), "devices": sorted(work.devices), "effect": hurt.words}
    return {
        "kind": "pod",
        "namespace": work.namespace,
        "name": work.name,
        "node": work.node,
        "controller": work.controller,
        "budgets": [asdict(budget) for budget in work.budgets],
        "effect": hurt.words,
    }
