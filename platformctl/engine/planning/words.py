"""What a plan does, in lines for people."""

from collections.abc import Iterable, Sequence

from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.planning.impact import Impact
from platformctl.engine.planning.plan import Plan, Step

_HOSTS, _REASONS, _HURT = 6, 3, 20


def summary(plan: Plan, details: bool = False) -> list[str]:
    """One line for each stage. Without details, hosts to which nothing was ever applied share one line.

    What a host lacks is not known if it does not answer: without details only its name is in a line.
    """
    fresh = set() if details else newcomers(plan)
    left_out = fresh if details else fresh | set(plan.down)
    lines = [f"{host} {why}" for host, why in plan.down.items()]
    lines += first_installation(plan) if fresh else []
    by_stage: dict[str, list[Step]] = {}
    for step in plan.steps:
        if step.host not in left_out:
            by_stage.setdefault(step.stage, []).append(step)
    return [*lines, *(_line(stage, steps) for stage, steps in by_stage.items())] or [
        "nothing to do: every host has what the inventory says"
    ]


def _line(stage: str, steps: list[Step]) -> str:
    reasons = list(dict.fromkeys(reason for step in steps for reason in step.reasons))
    more = f" and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return f"plan: {stage} on {_some(step.host for step in steps)} ({'; '.join(reasons[:_REASONS])}{more})"


def newcomers(plan: Plan) -> set[str]:
    """Hosts to which nothing was ever applied; also this machine, if no other host has been installed."""
    fresh: dict[str, bool] = {}
    for step in plan.steps:
        if step.host not in plan.down:
            fresh[step.host] = fresh.get(step.host, True) and step.fresh
    hosts = {host for host, new in fresh.items() if new}
    # A step on this machine is as new as the site.
    others = {host for host, new in fresh.items() if not new}
    return hosts - {LOCALHOST} if others or hosts == {LOCALHOST} else hosts


def first_installation(plan: Plan) -> list[str]:
    """The line about hosts to which nothing was ever applied. It names them if others are installed."""
    fresh = newcomers(plan)
    hosts = [host for host in dict.fromkeys(step.host for step in plan.steps) if host in fresh - {LOCALHOST}]
    if not hosts:
        return []
    stages = len({step.stage for step in plan.steps if step.host in fresh})
    installed = {step.host for step in plan.steps} - fresh - set(plan.down)
    which = f" ({_some(hosts)})" if installed else ""
    return [f"first installation: {_counted(stages, 'stage')} on {_counted(len(hosts), 'host')}{which}"]


def left_over(plan: Plan, fleet: Fleet) -> list[str]:
    """Services that still run although the host left their group, and how to remove them.

    Hosts that left the same groups share a line.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for host, names in plan.left.items():
        alike.setdefault(names, []).append(host)
    return [
        f"{', '.join(hosts)}: services of {', '.join(names)} still run, but the inventory no longer asks for"
        f" them; to remove them: platformctl reset -i {fleet.inventory} --limit {','.join(hosts)} (removes"
        " everything that install put there),"
        f" then platformctl install -i {fleet.inventory}"
        for names, hosts in alike.items()
    ]


def disturbances(impacts: Sequence[Impact]) -> list[str]:
    """What a plan does to running work, a line for each stage and host; then the work that it harms."""
    lines = [
        f"{one.running} on {one.host} while {one.stage} runs: {one.effect}" for one in impacts if one.running
    ]
    hurt = list(dict.fromkeys(str(hurt) for one in impacts for hurt in one.hurt))
    more = [f"and {len(hurt) - _HURT} more"] if len(hurt) > _HURT else []
    return [*lines, *hurt[:_HURT], *more]


def _some(hosts: Iterable[str]) -> str:
    names = list(hosts)
    return ", ".join(names[:_HOSTS]) + (" ..." if len(names) > _HOSTS else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
