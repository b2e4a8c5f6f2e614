"""The back ends that a Job can go to, as one table. Whatever lists them or tells them apart reads it here.

A new back end is a member of Target, a column in the table of fields, and a row here; the router's own part
of it is a row in platformctl/router/backends.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from platformctl.jobs import kubernetes, kubernetes_rules, slurm, slurm_rules
from platformctl.jobs.model import BACKENDS, JobSpec, Refusal, Target, User
from platformctl.jobs.reader import Reader


class OutputIn(StrEnum):
    """Where a back end leaves what a Job prints."""

    FILE = "file"
    POD_LOG = "pod log"


def _nothing(*_: object) -> list[Refusal]:
    return []


@dataclass(frozen=True)
class BackEnd:
    """One row: what is known of a back end without asking it.

    title: its name for people. whole_cores: it gives each task whole cores. output: where its Jobs print to.
    entrance: the command that enters an interactive job, from its id and the Job's spec. queue_options: names
    of what a Queue may say of it; read_queue gives them as fields of Queue. unsupported: what no Job can have
    there; unsupported_for: what a user's Job cannot have.
    """

    title: str
    whole_cores: bool
    output: OutputIn
    entrance: Callable[[str, Mapping[str, Any]], str]
    queue_options: Sequence[str]
    read_queue: Callable[[Reader, dict[str, Any], str], dict[str, Any]]
    unsupported: Callable[[JobSpec], list[Refusal]] = _nothing
    unsupported_for: Callable[[JobSpec, User], list[Refusal]] = _nothing


BACK_ENDS: Mapping[Target, BackEnd] = {
    Target.SLURM: BackEnd(
        title="Slurm",
        whole_cores=True,
        output=OutputIn.FILE,
        entrance=slurm.entrance,
        queue_options=slurm_rules.QUEUE_OPTIONS,
        read_queue=slurm_rules.queue_options,
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
    ),
}


def may_give_whole_cores(job: JobSpec) -> bool:
    """Whether a back end that the job may go to gives its tasks whole cores."""
    possible = BACKENDS if job.target is Target.AUTO else (job.target,)
    return any(BACK_ENDS[target].whole_cores and target not in job.unsupported for target in possible)


def entrance(spec: Mapping[str, Any], backend: str | None, job_id: str) -> str:
    """The command line that enters an interactive job; empty where there is nothing to enter.

    spec: of the Job; job_id: its back end's.
    """
    if spec.get("interactive") is not True or not job_id or backend not in BACKENDS:
        return ""
    return BACK_ENDS[Target(backend)].entrance(job_id, spec)
