"""Translates a JobSpec to a Slurm batch job, for slurmrestd's API versions (dialects) v0.0.38 to v0.0.44.

Field names and shapes are those of the OpenAPI documents that slurmrestd serves at /openapi/v3 (schema
job_desc_msg; v0.0.38: job_properties). A later dialect is treated like the last known one.

A job starts in the submitter's home and writes both outputs to `<home>/<job name>-<Slurm job id>.out`, an
element of an array to `<home>/<job name>-<Slurm job id>_<index>.out`. Its batch script is in `batch_script`.
"""

from collections.abc import Mapping
from typing import Any

from platformctl.jobs.array import array_text
from platformctl.jobs.batch_script import batch_script
from platformctl.jobs.model import Container, JobSpec, Queue, User
from platformctl.jobs.quoting import expand_environment
from platformctl.jobs.tokens import Token

DIALECTS = (
    "v0.0.42", "v0.0.43", "v0.0.44", "v0.0.41", "v0.0.40", "v0.0.39", "v0.0.38",
)  # fmt: skip

_SCRIPT_BESIDE_JOB = frozenset({"v0.0.38", "v0.0.39", "v0.0.40"})
_PLAIN = "v0.0.38"
# slurmrestd refuses a job without an environment; the router does not know the user's login settings.
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_MAX_NAME = 200


def submission(
    job: JobSpec, user: User, name: str, token: Token, dialect: str, queue: Queue | None = None
) -> dict[str, Any]:
    """The body of POST /slurm/<dialect>/job/submit: a held job that carries the token as its comment.

    name: metadata.name of the Job. The caller has checked that Slurm supports the job.
    """
    label = name[:_MAX_NAME]
    variables = environment(job, user)
    description: dict[str, Any] = {
        "name": label,
        "comment": str(token),
        "hold": True,
        # After a node failure Slurm must not restart the job by itself.
        "requeue": False,
        "current_working_directory": user.home,
        "standard_output": output_path(label, user, "%A_%a" if job.array else "%j"),
        "environment": [f"{key}={value}" for key, value in variables.items()],
        **_place(job, user, queue),
        **_size(job),
        **_resources(job),
    }
    if dialect == _PLAIN:
        description = _plain(description) | {"environment": variables}
    script = batch_script(job, user, container_environment(job.container, user) if job.container else {})
    if dialect in _SCRIPT_BESIDE_JOB:
        return {"script": script, "job": description}
    return {"job": description | {"script": script}}


def output_path(name: str, user: User, job_id: str) -> str:
    """The file that holds both outputs of a job; job_id may be Slurm's pattern %j, or %A_%a for an array."""
    return f"{user.home}/{name[:_MAX_NAME]}-{job_id}.out"


def entrance(job_id: str, _spec: Mapping[str, Any]) -> str:
    """The command with which the user enters an interactive job, on a host that has Slurm's commands."""
    return f"srun --jobid={job_id} --overlap --pty bash"


def environment(job: JobSpec, user: User) -> dict[str, str]:
    """The job's environment: the variables of a login, then the container's own."""
    values = {"PATH": _PATH, "HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": "/bin/bash"}
    return values | container_environment(job.container, user) if job.container else values


def container_environment(container: Container, user: User) -> dict[str, str]:
    """HOME and env, with `$(NAME)` expanded from the entries before, as the kubelet does."""
    return expand_environment([("HOME", user.home), *container.env])


def _place(job: JobSpec, user: User, queue: Queue | None) -> dict[str, Any]:
    """Partition, account, QoS, and nice. The QoS of a priority class is used before that of the queue."""
    priority = job.priority
    chosen = {
        "partition": queue.partition if queue else job.queue,
        "account": job.account or user.account,
        "qos": (priority.qos if priority else None) or (queue.qos if queue else None),
        "nice": priority.nice if priority else 0,
    }
    return {key: value for key, value in chosen.items() if value}


def _size(job: JobSpec) -> dict[str, Any]:
    fields: dict[str, Any] = {"tasks": job.tasks}
    nodes = job.nodes or (1 if job.tasks == 1 else None)
    if nodes:
        fields["nodes"] = str(nodes)
    each = _tasks_on_a_node(job)
    if each and (job.tasks_per_node or (job.nodes or 1) > 1):
        # Otherwise Slurm may put all tasks on the first node, except one for each other node.
        fields["tasks_per_node"] = each
    if job.array:
        fields["array"] = array_text(job.array)
    if job.walltime:
        fields["time_limit"] = _number(-(-job.walltime // 60))
    return fields


def _resources(job: JobSpec) -> dict[str, Any]:
    """Slurm's fields for one task's resources: memory by node or core, devices by node or task.

    By node if it is known how many tasks a node has; otherwise memory by core, rounded up.
    """
    resources, fields = job.resources, dict[str, Any]()
    cores = -(-resources.millicores // 1000)
    each = _tasks_on_a_node(job)
    if cores:
        fields["cpus_per_task"] = cores
    if resources.memory and each:
        fields["memory_per_node"] = _number(-(-resources.memory * each // 2**20))
    elif resources.memory:
        fields["memory_per_cpu"] = _number(-(-resources.memory // ((cores or 1) * 2**20)))
    if resources.gpus and each:
        fields["tres_per_node"] = f"gres/gpu:{resources.gpus * each}"
    elif resources.gpus:
        fields["tres_per_task"] = f"gres/gpu:{resources.gpus}"
    return fields


def _tasks_on_a_node(job: JobSpec) -> int | None:
    """The most tasks that a node gets; None if Slurm decides how to spread them."""
    if job.tasks_per_node:
        return job.tasks_per_node
    if job.nodes:
        return -(-job.tasks // job.nodes)
    return 1 if job.tasks == 1 else None


def _plain(description: dict[str, Any]) -> dict[str, Any]:
    """For v0.0.38: numbers are plain, nodes are a range, and devices are called gres."""
    fields = {
        key: value["number"] if isinstance(value, dict) else value for key, value in description.items()
    }
    if "nodes" in fields:
        fields["nodes"] = [int(fields["nodes"])] * 2
    if "tres_per_node" in fields:
        fields["gres"] = fields.pop("tres_per_node").removeprefix("gres/")
    if "tres_per_task" in fields:
        fields["gpus_per_task"] = fields.pop("tres_per_task").removeprefix("gres/gpu:")
    return fields


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "number": value}
