"""What a site and a user's home make of a checked Job, before any back end is asked."""

from collections.abc import Mapping
from dataclasses import replace

from platformctl.jobs import staging
from platformctl.jobs.model import BACKENDS, JobSpec, Policy, Queue, Refusal, Target, User


def settle(job: JobSpec, user: User, policy: Policy) -> JobSpec | list[Refusal]:
    """The job with its priority looked up and what its user's home does not allow, or why it is refused."""
    refusals = staging.outside(job, user, policy.stage_paths)
    priority = policy.priorities.get(job.priority_class) if job.priority_class else None
    if job.priority_class and priority is None:
        there = ", ".join(sorted(policy.priorities)) or "none"
        refusals.append(
            Refusal("spec.priorityClassName", f"there is no class {job.priority_class}; there are {there}")
        )
    if refusals:
        return refusals
    return replace(job, priority=priority, unsupported=_more(job.unsupported, _without_home(job, user)))


def in_queue(job: JobSpec, queue: Queue) -> JobSpec:
    """A job that goes through a Queue: it is no partition any more, and goes where the queue goes."""
    kept = {
        target: tuple(refusal for refusal in refusals if refusal.path != "spec.queue")
        for target, refusals in job.unsupported.items()
    }
    why = Refusal("spec.queue", f"the queue {queue.name} does not lead there")
    return replace(
        job,
        unsupported=_more(kept, {target: (why,) for target in BACKENDS if target not in queue.targets}),
    )


def _without_home(job: JobSpec, user: User) -> dict[Target, tuple[Refusal, ...]]:
    """On Kubernetes only the home is there, and only where the site gives it a volume."""
    if user.home_claim is None:
        why = f"is not supported on kubernetes, where the home of {user.name} is not mounted"
        given = (("stageIn", job.stage_in), ("stageOut", job.stage_out))
        found = tuple(Refusal(f"spec.{name}", why) for name, transfers in given if transfers)
    else:
        found = tuple(
            Refusal(
                refusal.path,
                f"is not supported on kubernetes, where only the home is mounted: {refusal.message}",
            )
            for refusal in staging.outside(job, user, ())
        )
    return {Target.KUBERNETES: found}


def _more(
    before: Mapping[Target, tuple[Refusal, ...]], new: Mapping[Target, tuple[Refusal, ...]]
) -> dict[Target, tuple[Refusal, ...]]:
    both = {target: (*before.get(target, ()), *new.get(target, ())) for target in BACKENDS}
    return {target: refusals for target, refusals in both.items() if refusals}
