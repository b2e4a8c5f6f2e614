"""Translates a JobSpec to a Slurm batch job, for slurmrestd's API versions (dialects) v0.0.38 to v0.0.44.

Field names and shapes are those of the OpenAPI documents that slurmrestd serves at /openapi/v3 (schema
job_desc_msg; v0.0.38: job_properties). A later dialect is treated like the last known one.

A job starts in the submitter's home and writes both outputs to `<home>/<job name>-<Slurm job id>.out`, an
element of an array to `<home>/<job name>-<Slurm job id>_<index>.out`, unless `spec.slurm` says otherwise. Its
batch script is in `batch_script`, that of a template in `slurm_container`; its variables are in
`slurm_environment`, and the fields of `spec.slurm` are written as the table in `sbatch_options` says.
"""

from collections.abc import Mapping
from typing import Any

from platformctl.jobs import slurm_tres
from platformctl.jobs.array import array_text
from platformctl.jobs.batch_script import batch_script
from platformctl.jobs.contents import Contents
from platformctl.jobs.model import JobSpec, Queue, Refusal, User
from platformctl.jobs.sbatch_options import BLOCKS
from platformctl.jobs.slurm_block import MEMORY, PATH, gpu_fields
from platformctl.jobs.slurm_container import Program, program
from platformctl.jobs.slurm_environment import environment
from platformctl.jobs.slurm_files import of_job
from platformctl.jobs.slurm_place import asked
from platformctl.jobs.slurm_wire import merged
from platformctl.jobs.tokens import Token

DIALECTS = (
    "v0.0.42", "v0.0.43", "v0.0.44", "v0.0.41", "v0.0.40", "v0.0.39", "v0.0.38",
)  # fmt: skip

_SCRIPT_BESIDE_JOB = frozenset({"v0.0.38", "v0.0.39", "v0.0.40"})
_PLAIN = "v0.0.38"
_MAX_NAME = 200


def submission(
    job: JobSpec,
    user: User,
    name: str,
    token: Token,
    dialect: str,
    queue: Queue | None = None,
    contents: Contents | None = None,
    namespace: str = "default",
) -> dict[str, Any]:
    """The body of POST /slurm/<dialect>/job/submit: a held job that carries the token as its comment.

    name, namespace: metadata of the Job. contents: of the objects that `contents.named` lists. The caller has
    checked that Slurm supports the job. Raises UnusableError for a content that a job cannot have.
    """
    label = job.slurm.get("jobName", name)[:_MAX_NAME]
    folder = working_folder(job, user)
    made = program(job, user, contents, namespace) if job.container else Program(batch_script(job, user), {})
    variables = environment(job, user, folder, dialect) | made.environment
    description: dict[str, Any] = {
        "name": label,
        "comment": str(token),
        "hold": True,
        # After a node failure Slurm must not restart the job by itself, unless the Job asks for it.
        "requeue": False,
        "current_working_directory": folder,
        "environment": [f"{key}={value}" for key, value in variables.items()],
        **_place(job, user, queue),
        **_size(job),
        **_resources(job),
    }
    if job.args:
        # slurmstepd replaces the first word by the path of the script.
        description["argv"] = ["script", *job.args]
    if dialect == _PLAIN:
        description = _plain(description) | {"environment": variables}
    description |= _block(job, dialect)
    description |= _files(job, user, folder, output_path(name, user, "%A_%a" if job.array else "%j"))
    parts = [_component(part, description, user, queue, dialect) for part in job.components]
    if dialect in _SCRIPT_BESIDE_JOB:
        return {"script": made.script, **_one_or_more(description, parts)}
    return _one_or_more(description | {"script": made.script}, parts)


# What the components of a heterogeneous job have in common.
_COMMON = (
    "name",
    "comment",
    "hold",
    "requeue",
    "current_working_directory",
    "environment",
    "standard_output",
    # Of a component that does not have its own.
    "time_limit",
)


def _component(
    job: JobSpec, first: Mapping[str, Any], user: User, queue: Queue | None, dialect: str
) -> dict[str, Any]:
    """A further component of a heterogeneous job. Slurm runs the script in the first one."""
    common = {name: first[name] for name in _COMMON if name in first}
    of_tasks = _of_tasks(job) if dialect != _PLAIN else {}
    return common | _place(job, user, queue) | _size(job) | _resources(job) | _block(job, dialect) | of_tasks


def _one_or_more(first: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    return {"jobs": [first, *others]} if others else {"job": first}


def lacking(job: JobSpec, dialect: str) -> list[Refusal]:
    """The fields of `spec.slurm` that slurmrestd of this dialect cannot take."""
    rows = [BLOCKS[name] for part in (job, *job.components) for name in part.slurm]
    missing = [row for row in rows if dialect in row.without or (dialect == _PLAIN and row.plain is None)]
    why = f"Slurm's REST API here ({dialect}) has no field for it: leave it out"
    return [Refusal(f"{PATH}.{row.name}", why) for row in missing]


def working_folder(job: JobSpec, user: User) -> str:
    """Where the job starts: absolute."""
    return below(user.home, job.slurm.get("chdir", ""))


def below(folder: str, path: str) -> str:
    """An absolute path unchanged, or a relative one below the folder."""
    return path if path.startswith("/") else f"{folder}/{path}".rstrip("/")


def output_path(name: str, user: User, job_id: str) -> str:
    """The file that holds both outputs of a job; job_id may be Slurm's pattern %j, or %A_%a for an array."""
    return f"{user.home}/{name[:_MAX_NAME]}-{job_id}.out"


def entrance(job_id: str, _spec: Mapping[str, Any]) -> str:
    """The command with which the user enters an interactive job, on a host that has Slurm's commands."""
    return f"srun --jobid={job_id} --overlap --pty bash"


def _block(job: JobSpec, dialect: str) -> dict[str, Any]:
    """What the fields of `spec.slurm` add to the submission, or replace in it."""
    parts = []
    for name, value in asked(job).items():
        wire = BLOCKS[name].plain if dialect == _PLAIN else BLOCKS[name].wire
        if wire is not None and name not in _FILES:
            parts.append(wire(value))
    return merged(parts) | (_of_tasks(job) if dialect != _PLAIN and _in_terms_of_slurm(job) else {})


def _of_tasks(job: JobSpec) -> dict[str, Any]:
    """What each task has, in Slurm's words."""
    of_resources = _resources(job).get("tres_per_task", "")
    per_task = ",".join(filter(None, [slurm_tres.per_task(job), of_resources]))
    fields = {"tres_per_task": per_task, "tres_bind": slurm_tres.binding(job)}
    return {name: text for name, text in fields.items() if text}


def named_output(job: JobSpec, user: User, name: str, job_id: str) -> str:
    """The file that the Job names for its output; empty if it names none. job_id: Slurm's."""
    if "output" not in job.slurm:
        return ""
    path = _files(job, user, working_folder(job, user), "")["standard_output"]
    label = job.slurm.get("jobName", name)[:_MAX_NAME]
    return of_job(path, label, user.name, job_id, array=job.array is not None)


_FILES = ("output", "error", "input")


def _files(job: JobSpec, user: User, folder: str, output: str) -> dict[str, str]:
    """The files of the streams; relative names are below the folder where the job starts."""
    fields = {"standard_output": output}
    for name in _FILES:
        if name in job.slurm:
            path = job.slurm[name]
            fields[f"standard_{name}"] = "/dev/null" if path.lower() == "none" else below(folder, path)
    return fields


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
    # sbatch without --ntasks leaves the number to Slurm, which differs with --exclusive.
    # What is for each task needs their number.
    left_out = job.tasks == 1 and _in_terms_of_slurm(job) and not slurm_tres.devices_of_a_task(job)
    fields: dict[str, Any] = {} if left_out else {"tasks": job.tasks}
    one = bool(job.on_slurm.hosts) or (job.tasks == 1 and _CHOOSES_NODES.isdisjoint(job.slurm))
    nodes = job.nodes or (1 if one else None)
    if nodes:
        fields["nodes"] = str(nodes)
    each = _tasks_on_a_node(job)
    if each and (job.tasks_per_node or ((job.nodes or 1) > 1 and not _is_of_sbatch(job))):
        # Otherwise Slurm may put all tasks on the first node, except one for each other node.
        fields["tasks_per_node"] = each
    if job.array:
        fields["array"] = array_text(job.array)
    if job.walltime:
        fields["time_limit"] = _number(-(-job.walltime // 60))
    return fields


# Fields with which Slurm may use several nodes for one task.
_CHOOSES_NODES = frozenset({"nodes", "nodelist", "gpus", "spreadJob"})


def _is_of_sbatch(job: JobSpec) -> bool:
    """Whether amounts are given as for sbatch, so that Slurm spreads the tasks as it does there."""
    of_a_task = job.resources.memory or job.resources.gpus
    return _in_terms_of_slurm(job) and (not of_a_task or _has_memory(job) or bool(gpu_fields(job.slurm)))


def _in_terms_of_slurm(job: JobSpec) -> bool:
    """Whether anything but variables is said in the terms of Slurm."""
    return not job.slurm.keys() <= {"environment"}


def _has_memory(job: JobSpec) -> bool:
    return not job.slurm.keys().isdisjoint(MEMORY)


def _resources(job: JobSpec) -> dict[str, Any]:
    """Slurm's fields for one task's resources: memory by node or core, devices by node or task.

    By node if it is known how many tasks a node has; otherwise memory by core, rounded up. What `spec.slurm`
    says in its own terms is left to it.
    """
    resources, fields = job.resources, dict[str, Any]()
    cores = 0 if "cpusPerGpu" in job.slurm else -(-resources.millicores // 1000)
    memory = 0 if _has_memory(job) else resources.memory
    gpus = 0 if gpu_fields(job.slurm) else resources.gpus
    each = _tasks_on_a_node(job)
    if cores:
        fields["cpus_per_task"] = cores
    if memory and each:
        fields["memory_per_node"] = _number(-(-memory * each // 2**20))
    elif memory:
        fields["memory_per_cpu"] = _number(-(-memory // ((cores or 1) * 2**20)))
    counts = dict(job.on_slurm.devices)
    if gpus:
        counts["gpu"] = counts.get("gpu", 0) + gpus
    if counts and each:
        fields["tres_per_node"] = _tres(job, counts, each)
    elif counts:
        fields["tres_per_task"] = _tres(job, counts, 1)
    return fields


def _tres(job: JobSpec, counts: Mapping[str, int], tasks: int) -> str:
    """Generic resources of so many tasks: `gres/gpu:a100:2,gres/fpga:1`. GPUs come first."""
    types = job.on_slurm.types
    names = sorted(counts, key=lambda name: (name != "gpu", name))
    words = ((name, types.get(name, ""), str(counts[name] * tasks)) for name in names)
    return ",".join(f"gres/{':'.join(filter(None, part))}" for part in words)


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
        fields["gres"] = fields.pop("tres_per_node").replace("gres/", "")
    if "tres_per_task" in fields:
        fields["gpus_per_task"] = fields.pop("tres_per_task").removeprefix("gres/gpu:")
    return fields


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "number": value}
