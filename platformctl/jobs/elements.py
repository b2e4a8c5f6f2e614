"""What is left of an array after an attempt, and whether it has succeeded early.

Kubernetes does both itself. For other back ends the router does: a further attempt has only the elements that
failed, and an array whose successPolicy is met is ended.
"""

from collections.abc import Collection
from dataclasses import replace

from platformctl.jobs.array import array_text
from platformctl.jobs.model import Array, JobSpec, Refusal, Target


def left_of(job: JobSpec, failed: Collection[int]) -> str:
    """The elements for the next attempt, as text for the status; empty if it repeats the whole Job.

    A Job with `array` repeats all; one with completions only what failed.
    """
    repeats = job.batch.completions or job.batch.per_index is not None
    if not (repeats and job.array and failed):
        return ""
    return array_text(Array(tuple(sorted(failed))))


def only(job: JobSpec, left: str) -> JobSpec:
    """The job with only these elements. left: what `left_of` gave; empty for all."""
    if not left or job.array is None:
        return job
    array = Array(_indices(left), job.array.limit)
    done = frozenset(job.array.indices) - frozenset(array.indices)
    unsupported = dict(job.unsupported)
    if not array.from_zero or job.batch.success:
        why = Refusal("spec.completions", "is not supported on kubernetes once only some indices are left")
        unsupported[Target.KUBERNETES] = (*unsupported.get(Target.KUBERNETES, ()), why)
    return replace(job, array=array, batch=replace(job.batch, done=done), unsupported=unsupported)


def succeeded_early(job: JobSpec, succeeded: Collection[int]) -> bool:
    """Whether a rule of successPolicy is met. succeeded: of the elements of the current attempt."""
    if job.array is None:
        return False
    there = job.batch.done | frozenset(succeeded)
    for rule in job.batch.success:
        counting = there if rule.indices is None else there & rule.indices
        needed = rule.count or len(rule.indices or ())
        if needed and len(counting) >= needed:
            return True
    return False


def _indices(text: str) -> tuple[int, ...]:
    """The indices in a text of `array_text`. It may be longer than a user's, which are bounded."""
    indices: list[int] = []
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        indices += range(int(first), int(last or first) + 1, int(step or 1))
    return tuple(indices)
