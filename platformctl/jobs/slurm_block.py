"""Reads `spec.slurm`, what only Slurm has, and says what of it Kubernetes refuses or ignores."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from platformctl.jobs.model import JobSpec, Refusal, Resources
from platformctl.jobs.reader import Reader
from platformctl.jobs.sbatch_options import BLOCKS, Elsewhere
from platformctl.jobs.slurm_kinds import mebibytes
from platformctl.vocabulary import GPU

PATH = "spec.slurm"
# Fields that say how much memory, and how many GPUs, in other terms than one task's resources.
MEMORY = ("mem", "memPerCpu", "memPerGpu")
GPUS = ("gpus", "gpusPerNode", "gpusPerSocket", "gpusPerTask", "gres", "tresPerTask")

# Fields of the whole job: a further component of a heterogeneous job does not have them.
WHOLE_JOB = frozenset(
    {
        *("begin", "chdir", "components", "deadline", "dependency", "environment", "error", "input"),
        *("jobName", "loginEnvironment", "openMode", "output", "plugins", "requeue"),
    }
)

_GPU = re.compile(r"(?:gres[/:])?gpu(?:[:=](?P<rest>.+))?", re.ASCII)
# Fields that on Kubernetes are for scripts, and what a container has instead.
_OF_SCRIPTS = {"chdir": "workingDir", "environment": "env"}
_OF_SLURM, _OF_HOST = ("SLURM_", "_SLURM_"), ("PATH", "LD_LIBRARY_PATH")
_CLASHES = (
    (("nodes",), "nodes", "a range of nodes"),
    (("timeUnlimited",), "walltime", "no wall time"),
    (("timeUnlimited",), "activeDeadlineSeconds", "no wall time"),
    (("timeUnlimited",), "template.spec.activeDeadlineSeconds", "no wall time"),
    (("partitions",), "queue", "partitions"),
)


def read_block(reader: Reader, value: Any) -> Mapping[str, Any]:
    """The checked fields. Every mistake is recorded with its path."""
    fields = reader.only(reader.mapping(value, PATH), PATH, tuple(BLOCKS))
    read = {}
    for name, block in BLOCKS.items():
        if fields.get(name) is None:
            continue
        try:
            block.kind.check(fields[name])
        except ValueError as error:
            reader.refuse(f"{PATH}.{name}", str(error))
        else:
            read[name] = fields[name]
    return read


def clashes(reader: Reader, block: Mapping[str, Any], spec: Mapping[str, Any], needs: Resources) -> None:
    """Record fields that say the same as another field of the Job."""
    for names, other, what in _CLASHES:
        for name in names:
            if name in block and spec.get(other) is not None:
                reader.refuse(f"{PATH}.{name}", f"is {what}, and spec.{other} is given too: keep one of them")
    memory = [name for name in MEMORY if name in block]
    for name in memory[1:]:
        reader.refuse(f"{PATH}.{name}", f"cannot be given with {memory[0]}: keep one of them")
    for twice, given in ((memory, needs.memory), (gpu_fields(block), needs.gpus)):
        if twice and given:
            reader.refuse(f"{PATH}.{twice[0]}", "is given in resources too: keep one of them")


def gpu_fields(block: Mapping[str, Any]) -> list[str]:
    """The fields that ask for GPUs."""
    return [name for name in GPUS if name in block and gpus_in(name, block[name])]


def gpus_in(name: str, text: str) -> int:
    """GPUs in a field: `2` or `kind1:2,kind2:1`; `gpu:kind1:2,scratch:50G` in lists of devices."""
    if name in ("gres", "tresPerTask"):
        return _gpus_of(text)
    return sum(int(item.replace("=", ":").rpartition(":")[2]) for item in text.split(","))


def _gpus_of(text: str) -> int:
    """GPUs in a list of devices: `gpu:kind1:2,scratch:50G`."""
    total = 0
    for item in text.split(","):
        match = _GPU.fullmatch(item)
        if match:
            rest = match["rest"] or "1"
            number = re.search(r"(?:^|[:=])(\d+)(?:\(.*\))?$", rest)
            total += int(number[1]) if number else 1
    return total


def total_gpus(job: JobSpec) -> int:
    """The most GPUs that a job (one element of an array) gets.

    An amount for each node counts for as many nodes as there may be: as many as tasks if nodes are not given.
    """
    block, nodes = job.slurm, job.nodes or _most_nodes(job.slurm) or job.tasks
    factors = {
        "gpus": 1,
        "gpusPerNode": nodes,
        "gpusPerSocket": nodes * int(block.get("socketsPerNode", 1)),
        "gpusPerTask": job.tasks,
        "gres": nodes,
        "tresPerTask": job.tasks,
    }
    of_fields = (gpus_in(name, block[name]) * factors[name] for name in gpu_fields(block))
    return max(job.resources.gpus * job.tasks, *of_fields, 0)


def of_a_node(block: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of memory and GPUs that each node must have by fields for each node; 0 if none says."""
    memory = mebibytes(block["mem"]) * 2**20 if "mem" in block else 0
    gpus = max(
        gpus_in("gpusPerNode", block["gpusPerNode"]) if "gpusPerNode" in block else 0,
        _gpus_of(block["gres"]) if "gres" in block else 0,
    )
    return memory, gpus


def _most_nodes(block: Mapping[str, Any]) -> int:
    numbers = re.findall(r"\d+", str(block.get("nodes", "")).partition(":")[0])
    return max(map(int, numbers), default=0)


def task_resources(block: Mapping[str, Any], given: Resources, tasks: int) -> Resources:
    """One task's resources, with the amounts of the block that are known for a task.

    Kubernetes gets these, and limits of Queues count them. Slurm gets the block as it is.
    """
    gpus = given.gpus or _gpus_of_a_task(block, tasks)
    millicores = 1000 * block["cpusPerGpu"] * (gpus or 1) if "cpusPerGpu" in block else given.millicores
    cores = -(-millicores // 1000) or 1
    of_a_task = {"memPerCpu": cores, "memPerGpu": gpus or 1, **({"mem": 1} if tasks == 1 else {})}
    factors = ((block[name], factor) for name, factor in of_a_task.items() if name in block)
    mebi = next((mebibytes(text) * factor for text, factor in factors), 0)
    added = {
        **({"cpu": str(cores)} if millicores != given.millicores else {}),
        **({"memory": f"{mebi}Mi"} if mebi else {}),
        **({GPU: str(gpus)} if gpus != given.gpus else {}),
    }
    return replace(
        given,
        millicores=millicores,
        memory=mebi * 2**20 or given.memory,
        gpus=gpus,
        requests={**given.requests, **added},
        limits={**given.limits, **added},
    )


def _gpus_of_a_task(block: Mapping[str, Any], tasks: int) -> int:
    """GPUs of one task; 0 if only Slurm knows, or there are none."""
    names = [name for name in gpu_fields(block) if tasks == 1 or name in ("gpusPerTask", "tresPerTask")]
    return max((gpus_in(name, block[name]) for name in names), default=0)


def needs(job: JobSpec) -> list[Refusal]:
    """What of the block Kubernetes cannot do."""
    block = job.slurm
    whys = {
        name: f"leave it out ({_lowered(BLOCKS[name].about)}), or write target: slurm"
        for name in block
        if BLOCKS[name].elsewhere is Elsewhere.NEED
    }
    for name, instead in _OF_SCRIPTS.items():
        if job.container and name in block:
            whys[name] = f"for a container use its {instead}"
    for name in GPUS:
        if name in block and _has_other_devices(name, block[name]):
            whys[name] = "its devices have no types there; ask for nvidia.com/gpu in spec.resources"
        elif name in block and job.tasks > 1 and name not in ("gpusPerTask", "tresPerTask"):
            whys[name] = "it knows only amounts of a task; ask for nvidia.com/gpu in spec.resources"
    if "mem" in block and (job.tasks > 1 or not mebibytes(block["mem"])):
        whys["mem"] = "it knows only amounts of a task; ask for memory in spec.resources"
    return [Refusal(f"{PATH}.{name}", f"is not supported on kubernetes: {why}") for name, why in whys.items()]


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _has_other_devices(name: str, text: str) -> bool:
    """Whether a field names a type of GPU, or devices that are not GPUs."""
    if name not in ("gres", "tresPerTask"):
        return bool(re.search("[A-Za-z]", text))
    plain = r"(gres[/:])?gpu([:=]\d+)?|none|(cpu|mem)=\w+"
    return any(not re.fullmatch(plain, item, re.IGNORECASE | re.ASCII) for item in text.split(","))


def without_effect(block: Mapping[str, Any]) -> list[str]:
    """Paths of the fields that have no effect on Kubernetes."""
    return [f"{PATH}.{name}" for name in block if BLOCKS[name].elsewhere is Elsewhere.WISH]


def kept_variables(block: Mapping[str, Any]) -> dict[str, str]:
    """The variables that a script gets on Kubernetes too.

    Not those that tell Slurm something, and not where programs of the submitting host are: the image has its
    own.
    """
    variables: Mapping[str, str] = block.get("environment", {})
    return {
        name: text
        for name, text in variables.items()
        if not name.startswith(_OF_SLURM) and name not in _OF_HOST
    }
