"""Which back end a Job goes to, and why: one line for each target, for its status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from platformctl.jobs.model import BACKENDS, Refusal, Target
from platformctl.router.backend import Backend, Load, NoNodes, Ticket, Unavailable
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule, measured


@dataclass(frozen=True)
class Route:
    """The chosen target.

    why: one line for each target that was considered, the chosen one first, then one for each field that has
    no effect there.
    """

    target: Target
    why: str


async def choose(
    ticket: Ticket, backends: Mapping[Target, Backend], rules: Sequence[Rule] = DEFAULT_RULES
) -> Route | list[Refusal]:
    """A route, or for each target why the job cannot run there. Raises Unavailable if it is unknown now."""
    loads = await _loads(backends, measured(rules))
    matching = [rule for rule in rules if rule.when.holds(ticket, loads)]
    barred: dict[Target, str] = {
        target: rule.because for rule in reversed(matching) for target in rule.refuse
    }
    if ticket.job.target is not Target.AUTO:
        route = await _named(ticket, backends, barred)
    else:
        route = await _best(ticket, matching, backends, barred)
    if not isinstance(route, Route):
        return route
    lines = [str(wish) for wish in ticket.job.dropped.get(route.target, ())]
    return Route(route.target, "\n".join([route.why, *lines]))


async def _best(
    ticket: Ticket,
    matching: Sequence[Rule],
    backends: Mapping[Target, Backend],
    barred: Mapping[Target, str],
) -> Route | list[Refusal]:
    """The first target that can run the job, in the order of the rules."""
    order, because = _order(ticket, matching)
    passed: list[Refusal] = []
    bare: NoNodes | None = None
    for number, target in enumerate(order):
        try:
            reasons = await _against(ticket, target, backends, barred)
        except NoNodes as error:
            # Others may run the job meanwhile. If none can, it waits until there are nodes.
            bare, reasons = error, [Refusal("spec", str(error))]
        if not reasons:
            return Route(target, _told(target, because, passed, order[number + 1 :]))
        passed += [Refusal(refusal.path, f"{target}: {refusal.message}") for refusal in reasons]
    if bare is not None:
        raise bare
    return passed


def _order(ticket: Ticket, matching: Sequence[Rule]) -> tuple[list[Target], str]:
    """The targets in the order in which they are tried, and why in this order."""
    allowed = ticket.queue.targets if ticket.queue else BACKENDS
    rule = next((rule for rule in matching if rule.prefer), None)
    preferred = [target for target in rule.prefer if target in allowed] if rule else []
    order = list(dict.fromkeys([*preferred, *allowed, *BACKENDS]))
    if rule and preferred:
        return order, rule.because
    return (
        order,
        f"the queue {ticket.queue.name} names it first" if ticket.queue else "no rule prefers another",
    )


def _told(target: Target, because: str, passed: Sequence[Refusal], later: Sequence[Target]) -> str:
    why = f"because {because}" if not passed else "because no earlier target can run the job"
    lines = [f"{target}: chosen {why}"]
    lines += [refusal.message for refusal in passed]
    lines += [f"{one}: comes after {target}" for one in later]
    return "\n".join(lines)


async def _named(
    ticket: Ticket, backends: Mapping[Target, Backend], barred: Mapping[Target, str]
) -> Route | list[Refusal]:
    """The target that the Job names. If it does not answer now, it is chosen anyway: the Job waits for it."""
    target = ticket.job.target
    refusals = _form(ticket, target, backends, barred)
    if refusals:
        return refusals
    try:
        unfit = await backends[target].unfit(ticket)
    except Unavailable:
        unfit = ""
    if unfit:
        return [Refusal("spec", unfit)]
    return Route(target, f"{target}: asked for by spec.target")


async def _against(
    ticket: Ticket, target: Target, backends: Mapping[Target, Backend], barred: Mapping[Target, str]
) -> list[Refusal]:
    """Why a back end cannot run the job; empty if it can."""
    refusals = _form(ticket, target, backends, barred)
    if refusals:
        return refusals
    unfit = await backends[target].unfit(ticket)
    return [Refusal("spec", unfit)] if unfit else []


def _form(
    ticket: Ticket, target: Target, backends: Mapping[Target, Backend], barred: Mapping[Target, str]
) -> list[Refusal]:
    """Why the site, a rule, the queue or the translation does not allow the job on a target."""
    if target not in backends:
        return [Refusal("spec.target", f"this site has no {target}")]
    if target in barred:
        return [Refusal("spec", f"the site's rules forbid it: {barred[target]}")]
    if ticket.queue and target not in ticket.queue.targets:
        return [Refusal("spec.queue", f"the queue {ticket.queue.name} does not go to {target}")]
    return list(ticket.job.unsupported.get(target, ()))


async def _loads(backends: Mapping[Target, Backend], targets: frozenset[Target]) -> dict[Target, Load]:
    """The loads that the rules need, of the back ends that answer."""
    loads = {}
    for target in targets & backends.keys():
        try:
            loads[target] = await backends[target].load()
        except Unavailable:
            continue
    return loads
