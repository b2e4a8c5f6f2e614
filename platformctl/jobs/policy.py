"""Applies the site's policy, the user's home and the Queue to a checked Job, before any back end is asked."""

from collections.abc import Mapping
from dataclasses import replace

from platformctl.jobs import staging
from platformctl.jobs.model import BACKENDS, JobSpec, Policy, Queue, Refusal, Target, User
from platformctl.jobs.targets import BACK_ENDS


def settle(job: JobSpec, user: User, policy: Policy) -> JobSpec | list[Refusal]:
    """The job with its priority class resolved and what the user's home does not allow, or the refusals."""
    refusals = staging.outside(job, user, policy.stage_paths)
    priority = policy.priorities.get(job.priority_class) if job.priority_class else None
    if job.priority_class and priority is None:
        there = ", ".join(sorted(policy.priorities)) or "none"
        refusals.append(
            Refusal("spec.priorityClassName", f"there is no class {job.priority_class}; there are {there}")
        )
    if refusals:
        return refusals
    return replace(job, priority=priority, unsupported=_more(job.unsupported, _unsupported_for(job, user)))


def in_queue(job: JobSpec, queue: Queue) -> JobSpec:
    """The job in a Queue: `queue` no longer means a partition, and only the queue's targets are possible."""
    kept = {
        target: tuple(refusal for refusal in refusals if refusal.path != "spec.queue")
        for target, refusals in job.unsupported.items()
    }
    why = Refusal("spec.queue", f"the queue {queue.name} does not lead there")
    return replace(
        job,
        unsupported=_more(kept, {target: (why,) for target in BACKENDS if target not in queue.targets}),
    )


def _unsupported_for(job: JobSpec, user: User) -> dict[Target, tuple[Refusal, ...]]:
    return {target: tuple(back_end.unsupported_for(job, user)) for target, back_end in BACK_ENDS.items()}


def _more(
    before: Mapping[Target, tuple[Refusal, ...]], new: Mapping[Target, tuple[Refusal, ...]]
) -> dict[Target, tuple[Refusal, ...]]:
    both = {target: (*before.get(target, ()), *new.get(target, ())) for target in BACKENDS}
    return {target: refusals for target, refusals in both.items() if refusals}
