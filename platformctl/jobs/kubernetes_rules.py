"""What Kubernetes does not support, apart from template fields, and a Queue's options for Kubernetes."""

import re
from typing import Any

from platformctl.jobs import slurm_block, staging
from platformctl.jobs.model import JobSpec, Refusal, User
from platformctl.jobs.reader import Reader

QUEUE_OPTIONS = ("nodeSelector", "priorityClassName")

_ALONE = "is not supported on kubernetes"
_LABEL_KEY = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)


def unsupported(job: JobSpec) -> list[Refusal]:
    """Valid fields of a Job that Kubernetes does not support."""
    script, several = job.script is not None, job.tasks > 1
    rules = (
        (job.queue is not None, "queue", f"{_ALONE}, which has no partitions"),
        (job.account is not None, "account", f"{_ALONE}, which charges no accounts"),
        ((job.nodes or 1) > 1, "nodes", f"{_ALONE}: use tasks"),
        (job.nodes == 1 and several, "nodes", f"{_ALONE} for several tasks: its scheduler places them"),
        (job.tasks_per_node is not None, "tasksPerNode", f"{_ALONE}: its scheduler places the tasks"),
        (script and several, "tasks", f"{_ALONE} for a script, which starts its tasks with srun"),
        (bool(job.array) and not script and several, "tasks", f"{_ALONE} for the elements of an array"),
        (
            job.array is not None and not job.array.from_zero,
            "array",
            f"{_ALONE} unless it counts 0, 1, 2 without a gap",
        ),
        (
            bool(job.stage_out) and not script and (several or job.array is not None),
            "stageOut",
            f"{_ALONE} for the tasks of a container or the elements of an array of it, which end one by one",
        ),
    )
    return [*(Refusal(f"spec.{name}", why) for holds, name, why in rules if holds), *slurm_block.needs(job)]


def attempts(job: JobSpec) -> int:
    """Of several completions, Kubernetes itself runs those again that failed."""
    if job.batch.completions or job.batch.per_index is not None:
        return 1
    return 1 + job.retries


def unsupported_for(job: JobSpec, user: User) -> list[Refusal]:
    """What the job's user cannot use there: only the home is mounted, and only if it has a claim."""
    return [*_folder(job, user), *_transfers(job, user)]


def _folder(job: JobSpec, user: User) -> list[Refusal]:
    """Where a script starts must be mounted."""
    folder = staging.absolute(job.slurm.get("chdir", ""), user.home).rstrip("/")
    if folder == user.home or (user.home_claim and folder.startswith(f"{user.home}/")):
        return []
    if user.home_claim is None:
        return [Refusal("spec.slurm.chdir", f"{_ALONE}, where the home of {user.name} is not mounted")]
    return [Refusal("spec.slurm.chdir", f"{_ALONE}, where only the home is mounted: name a folder below it")]


def _transfers(job: JobSpec, user: User) -> list[Refusal]:
    """Files that are copied must be in the home."""
    if user.home_claim is None:
        why = f"{_ALONE}, where the home of {user.name} is not mounted"
        given = (("stageIn", job.stage_in), ("stageOut", job.stage_out))
        return [Refusal(f"spec.{name}", why) for name, transfers in given if transfers]
    return [
        Refusal(refusal.path, f"{_ALONE}, where only the home is mounted: {refusal.message}")
        for refusal in staging.outside(job, user, ())
    ]


def dropped(job: JobSpec) -> list[Refusal]:
    """Wishes in fields of a Job that have no effect on Kubernetes."""
    why = "has no effect on kubernetes: only Slurm has it"
    return [Refusal(path, why) for path in slurm_block.without_effect(job.slurm)]


def queue_options(reader: Reader, options: dict[str, Any], path: str) -> dict[str, Any]:
    """A Queue's fields for Kubernetes: node_selector and pod_priority_class."""
    labels = reader.text_map(options.get("nodeSelector"), f"{path}.nodeSelector", 64)
    for key, text in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(text):
            reader.refuse(f"{path}.nodeSelector[{key[:253]}]", "is not a label")
    priority = reader.name(options.get("priorityClassName"), f"{path}.priorityClassName")
    return {"node_selector": labels, "pod_priority_class": priority}
