"""What each task of a job has, and how it is bound to devices, as sbatch 24.11 writes both.

Slurm has these texts twice: in the job, and as variables for srun in the script.
"""

import re

from platformctl.jobs.model import JobSpec
from platformctl.jobs.slurm_block import gpus_in


def per_task(job: JobSpec) -> str:
    """Cores and devices of a task, such as `cpu=2,gres/gpu=1`; empty if none were asked for."""
    block, given = job.slurm, job.slurm.get("tresPerTask", "")
    parts = []
    if cores(job) and "cpu" not in given:
        parts.append(f"cpu={cores(job)}")
    for item in filter(None, block.get("gpusPerTask", "").split(",")):
        kind, _, number = item.rpartition(":")
        parts.append(f"gres/gpu{kind and f':{kind}'}={number}")
    return ",".join([*parts, *filter(None, [given])])


def binding(job: JobSpec) -> str:
    """How tasks are bound to devices: those of each task to that task, unless an option says otherwise."""
    block = job.slurm
    if "gpuBind" in block:
        return f"gres/gpu:{block['gpuBind']}"
    if "tresBind" in block:
        return str(block["tresBind"])
    of_a_task = devices_of_a_task(job)
    return f"gres/gpu:per_task:{of_a_task}" if of_a_task else ""


def devices_of_a_task(job: JobSpec) -> int:
    """GPUs that are asked for each task, in Slurm's own terms."""
    block = job.slurm
    return sum(gpus_in(name, block[name]) for name in ("gpusPerTask", "tresPerTask") if name in block)


def cores(job: JobSpec) -> int:
    """Cores of a task; 0 if none were asked for, or Slurm counts them by GPU."""
    if "cpusPerGpu" in job.slurm:
        return 0
    named = re.search(r"(?:^|,)cpu[=:](\d+)", job.slurm.get("tresPerTask", ""))
    return int(named[1]) if named else -(-job.resources.millicores // 1000)
