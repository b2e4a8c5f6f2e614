"""The table of back ends that a Job can go to. All code that lists or distinguishes back ends reads it.

A new back end needs a member of Target, a column in the table of fields, a row here, and a row in
platformctl/router/backends.py for the router's part. `platformctl docs backends` has the whole list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from platformctl.jobs import kubernetes, kubernetes_rules, slurm, slurm_rules
from platformctl.jobs.model import BACKENDS, JobSpec, Refusal, Target, User
from platformctl.jobs.reader import Reader


class OutputIn(StrEnum):
    """Where a back end writes the output of a Job."""

    FILE = "file"
    POD_LOG = "pod log"


def _nothing(*_: object) -> list[Refusal]:
    return []


def _no_name(*_: object) -> str:
    return ""


def _first_and_retries(job: JobSpec) -> int:
    return 1 + job.retries


@dataclass(frozen=True)
class BackEnd:
    """One row: the fixed facts about a back end.

    title: its name for people. whole_cores: it gives each task whole cores. output: where it writes the
    output. entrance: the command that enters an interactive job, from its id and the Job's spec.
    queue_options: names of its options in a Queue; read_queue returns them as fields of Queue. unsupported:
    what it supports for no Job; unsupported_for: what it does not support for this user.
    attempts: how many the router makes at most; 1 if the back end tries again itself. dropped: wishes in
    fields of the Job that have no effect there. named_output: the file that a submitted Job names for its
    output, from its user, its name and the back end's id; empty if the back end names it.
    """

    title: str
    whole_cores: bool
    output: OutputIn
    entrance: Callable[[str, Mapping[str, Any]], str]
    queue_options: Sequence[str]
    read_queue: Callable[[Reader, dict[str, Any], str], dict[str, Any]]
    unsupported: Callable[[JobSpec], list[Refusal]] = _nothing
    unsupported_for: Callable[[JobSpec, User], list[Refusal]] = _nothing
    attempts: Callable[[JobSpec], int] = _first_and_retries
    dropped: Callable[[JobSpec], list[Refusal]] = _nothing
    named_output: Callable[[JobSpec, User, str, str], str] = _no_name


BACK_ENDS: Mapping[Target, BackEnd] = {
    Target.SLURM: BackEnd(
        title="Slurm",
        whole_cores=True,
        output=OutputIn.FILE,
        entrance=slurm.entrance,
        queue_options=slurm_rules.QUEUE_OPTIONS,
        read_queue=slurm_rules.queue_options,
        unsupported=slurm_rules.unsupported,
        attempts=slurm_rules.attempts,
        dropped=slurm_rules.dropped,
        named_output=slurm.named_output,
    ),
    Target.KUBERNETES: BackEnd(
        title="Kubernetes",
        whole_cores=False,
        output=OutputIn.POD_LOG,
        entrance=kubernetes.entrance,
        queue_options=kubernetes_rules.QUEUE_OPTIONS,
        read_queue=kubernetes_rules.queue_options,
        unsupported=kubernetes_rules.unsupported,
        unsupported_for=kubernetes_rules.unsupported_for,
        attempts=kubernetes_rules.attempts,
        dropped=kubernetes_rules.dropped,
    ),
}


def may_give_whole_cores(job: JobSpec) -> bool:
    """Whether a back end that the job may go to gives its tasks whole cores."""
    possible = BACKENDS if job.target is Target.AUTO else (job.target,)
    return any(BACK_ENDS[target].whole_cores and target not in job.unsupported for target in possible)


def entrance(spec: Mapping[str, Any], backend: str | None, job_id: str) -> str:
    """The command line that enters an interactive job; empty if there is nothing to enter.

    spec: the Job's. job_id: the back end's id.
    """
    if spec.get("interactive") is not True or not job_id or backend not in BACKENDS:
        return ""
    return BACK_ENDS[Target(backend)].entrance(job_id, spec)
