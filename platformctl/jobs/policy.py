"""Applies the site's policy, the user's home and the Queue to a checked Job, before any back end is asked."""

from collections.abc import Mapping
from dataclasses import replace

from platformctl.jobs import site_rules, slurm_place, slurm_policy, staging, transport
from platformctl.jobs.model import BACKENDS, JobSpec, Policy, Queue, Refusal, Target, User
from platformctl.jobs.targets import BACK_ENDS


def settle(job: JobSpec, user: User, policy: Policy, namespace: str = "default") -> JobSpec | list[Refusal]:
    """The job with what the site's policy makes of it, or the refusals. namespace: the Job's.

    Its priority class is resolved, and what the user's home or the site does not allow is unsupported.
    """
    refusals = [
        *staging.outside(job, user, policy.stage_paths),
        *site_rules.refusals(job, user, policy, namespace),
        *slurm_policy.refused(job, user, policy.slurm),
    ]
    priority = policy.priorities.get(job.priority_class) if job.priority_class else None
    if job.priority_class and priority is None:
        there = ", ".join(sorted(policy.priorities)) or "none"
        refusals.append(
            Refusal("spec.priorityClassName", f"there is no class {job.priority_class}; there are {there}")
        )
    if refusals:
        return refusals
    job = slurm_policy.applied(job, policy.slurm)
    place, not_there = slurm_place.place(job, policy, namespace)
    unsupported = _more(_more(job.unsupported, _unsupported_for(job, user)), {Target.SLURM: tuple(not_there)})
    dropped = _more(job.dropped, dict.fromkeys(BACKENDS, tuple(site_rules.dropped(job, user))))
    rdma = transport.asked(job.resources, policy.devices)
    return replace(
        job, priority=priority, unsupported=unsupported, dropped=dropped, on_slurm=place, rdma=rdma
    )


def in_queue(job: JobSpec, queue: Queue) -> JobSpec:
    """The job in a Queue: `queue` no longer means a partition, and only the queue's targets are possible."""
    kept = {
        target: tuple(refusal for refusal in refusals if refusal.path != "spec.queue")
        for target, refusals in job.unsupported.items()
    }
    why = Refusal("spec.queue", f"the queue {queue.name} does not lead there")
    others = [part.queue for part in job.components if part.queue not in (None, queue.name, queue.partition)]
    if others:
        whole = f"a Job has one Queue, {queue.name}, for all components: leave out the queue {others[0]}"
        kept[Target.SLURM] = (*kept.get(Target.SLURM, ()), Refusal("spec.slurm.components", whole))
    if "partitions" in job.slurm:
        # A Queue's partition would not count, and with it its limits.
        names = " or ".join(f"spec.queue: {name}" for name in job.slurm["partitions"])
        chosen = Refusal("spec.slurm.partitions", f"is not for a site with Queues: name one, such as {names}")
        kept[Target.SLURM] = (*kept.get(Target.SLURM, ()), chosen)
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
