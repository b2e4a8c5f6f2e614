"""A JobSpec as a Slurm batch job, in the dialects v0.0.40 to v0.0.42 of slurmrestd.

Field names and shapes are those of the OpenAPI document that slurmrestd 24.11 serves at /openapi/v3
(schema job_desc_msg). Nothing of the user's is executed by the translation: the batch script is
either the user's own, or one command line of quoted words.

A job starts in the submitter's home and writes both outputs to `<home>/<job name>-<Slurm job id>.out`.
A container is run by RUNNER on the node, which the Slurm roles install: `RUNNER IMAGE -- COMMAND...`;
it passes the job's environment on.
"""

from typing import Any

from platformctl.jobs.model import Container, JobSpec, Resources, User
from platformctl.jobs.quoting import bash_word, expand_references
from platformctl.jobs.tokens import Token

RUNNER = "/usr/local/bin/platform-run-image"
DIALECTS = ("v0.0.42", "v0.0.41", "v0.0.40")

# slurmrestd refuses a job without an environment; login settings are not the router's to guess.
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_MAX_NAME = 200


def submission(job: JobSpec, user: User, name: str, token: Token, dialect: str) -> dict[str, Any]:
    """The body of POST /slurm/<dialect>/job/submit: a held job that carries the token as its comment.

    name: metadata.name of the Job. The caller has checked that Slurm supports the job.
    """
    label = name[:_MAX_NAME]
    description: dict[str, Any] = {
        "name": label,
        "comment": str(token),
        "hold": True,
        # A job that a node failure stopped must not start a second time by itself.
        "requeue": False,
        "current_working_directory": user.home,
        "standard_output": output_path(label, user, "%j"),
        "environment": [f"{key}={value}" for key, value in environment(job, user).items()],
        "tasks": job.tasks,
        "nodes": str(job.nodes),
    }
    if job.queue:
        description["partition"] = job.queue
    if job.account or user.account:
        description["account"] = job.account or user.account
    if job.walltime:
        description["time_limit"] = _number(-(-job.walltime // 60))
    if job.container:
        description |= _resources(job.container.resources, -(-job.tasks // job.nodes))
    script = job.script if job.script is not None else container_script(job)
    if dialect == "v0.0.40":
        return {"script": script, "job": description}
    return {"job": description | {"script": script}}


def output_path(name: str, user: User, job_id: str) -> str:
    """The file that holds both outputs of a job; job_id may be Slurm's pattern %j."""
    return f"{user.home}/{name[:_MAX_NAME]}-{job_id}.out"


def environment(job: JobSpec, user: User) -> dict[str, str]:
    """The job's environment: what a login gives, then the container's own."""
    values = {"PATH": _PATH, "HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": "/bin/bash"}
    return values | container_environment(job.container) if job.container else values


def container_environment(container: Container) -> dict[str, str]:
    """env with `$(NAME)` expanded from the entries before, as the kubelet does."""
    values: dict[str, str] = {}
    for name, value in container.env:
        values[name] = expand_references(value, values)
    return values


def container_script(job: JobSpec) -> str:
    """The batch script that runs the container once for each task."""
    if job.container is None:
        raise ValueError("the job has no container")
    values = container_environment(job.container)
    words = [expand_references(word, values) for word in (*job.container.command, *job.container.args)]
    start = ["srun"] if job.tasks > 1 else []
    line = [*start, RUNNER, full_image_name(job.container.image), "--", *words]
    return "#!/bin/bash\nexec " + " ".join(bash_word(word) for word in line) + "\n"


def full_image_name(image: str) -> str:
    """The name with its registry, completed as containerd does: perl:5 is docker.io/library/perl:5."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    if "." in first or ":" in first or first == "localhost":
        return image
    return f"docker.io/{image}"


def _resources(resources: Resources, tasks_per_node: int) -> dict[str, Any]:
    """A container's resources are one task's; Slurm takes memory and devices by node."""
    found: dict[str, Any] = {}
    if resources.millicores:
        found["cpus_per_task"] = -(-resources.millicores // 1000)
    if resources.memory:
        found["memory_per_node"] = _number(-(-resources.memory * tasks_per_node // 2**20))
    if resources.gpus:
        found["tres_per_node"] = f"gres/gpu:{resources.gpus * tasks_per_node}"
    return found


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "number": value}
