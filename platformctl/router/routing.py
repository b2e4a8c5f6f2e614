"""Which back end a Job goes to, and why: the first that can run it, in the order of the table."""

from collections.abc import Mapping
from dataclasses import dataclass

from platformctl.jobs.model import JobSpec, Refusal, Target
from platformctl.router.backend import Backend, Ticket

# For `target: auto`: scripts are written for Slurm, containers for Kubernetes.
_SCRIPT_ORDER = (Target.SLURM, Target.KUBERNETES)
_CONTAINER_ORDER = (Target.KUBERNETES, Target.SLURM)


@dataclass(frozen=True)
class Route:
    """The choice and its reason, in plain words."""

    target: Target
    why: str


async def choose(ticket: Ticket, backends: Mapping[Target, Backend]) -> Route | list[Refusal]:
    """A route, or why the job can run nowhere. Raises Unavailable when that cannot be told now."""
    job = ticket.job
    if job.target is not Target.AUTO:
        return _named(job, backends)
    passed: list[Refusal] = []
    order = _SCRIPT_ORDER if job.script is not None else _CONTAINER_ORDER
    for target in order:
        reasons = await _against(ticket, target, backends)
        if not reasons:
            kind = "a script" if job.script is not None else "a container"
            others = f"; not {'; '.join(refusal.message for refusal in passed)}" if passed else ""
            return Route(target, f"{kind} goes to {target}{others}")
        passed += [Refusal(refusal.path, f"{target}: {refusal.message}") for refusal in reasons]
    return passed


def _named(job: JobSpec, backends: Mapping[Target, Backend]) -> Route | list[Refusal]:
    if job.target not in backends:
        return [Refusal("spec.target", f"this site has no {job.target}")]
    unsupported = list(job.unsupported.get(job.target, ()))
    return unsupported or Route(job.target, "asked for by spec.target")


async def _against(ticket: Ticket, target: Target, backends: Mapping[Target, Backend]) -> list[Refusal]:
    """Why a back end cannot take the job; empty when it can."""
    backend = backends.get(target)
    if backend is None:
        return [Refusal("spec.target", "this site does not have it")]
    unsupported = list(ticket.job.unsupported.get(target, ()))
    if unsupported:
        return unsupported
    unfit = await backend.unfit(ticket)
    return [Refusal("spec", unfit)] if unfit else []
