"""The environment of a job on Slurm, with what only the sbatch program sets: slurmrestd sets none of it.

SLURM_ variables of the allocation itself (nodes, ids, partition) are Slurm's. Those here repeat options,
because srun inside the script reads them. They are those of sbatch 24.11 (opt.c, env.c).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from platformctl.jobs import slurm_tres, transport
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.slurm_kinds import mebibytes

# slurmd replaces this variable by the user's login environment, and keeps what else it is given.
LOGIN = "SLURM_GET_USER_ENV"
SUBMIT_DIR = "SLURM_SUBMIT_DIR"
# slurmrestd refuses a job without an environment; the router does not know the user's login settings.
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# Programs that start MPI call srun, which must know that the allocation is theirs. srun of Slurm 23.02 and
# earlier does not know the option.
_MPI = {
    "OMPI_MCA_plm_slurm_args": "--external-launcher",
    "PRTE_MCA_plm_slurm_args": "--external-launcher",
    "HYDRA_BOOTSTRAP": "slurm",
    "HYDRA_LAUNCHER_EXTRA_ARGS": "--external-launcher",
    "I_MPI_HYDRA_BOOTSTRAP": "slurm",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "--external-launcher",
}
_BEFORE_EXTERNAL_LAUNCHER = frozenset({"v0.0.38", "v0.0.39"})

_VARIABLES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cpusPerGpu": ("SLURM_CPUS_PER_GPU", str),
    "dependency": ("SLURM_JOB_DEPENDENCY", str),
    "gpus": ("SLURM_GPUS", str),
    "gpusPerNode": ("SLURM_GPUS_PER_NODE", str),
    "gpusPerSocket": ("SLURM_GPUS_PER_SOCKET", str),
    "gpuFreq": ("SLURM_GPU_FREQ", str),
    "hint": ("SLURM_HINT", str),
    "memPerGpu": ("SLURM_MEM_PER_GPU", mebibytes),
    "ntasksPerCore": ("SLURM_NTASKS_PER_CORE", str),
    "ntasksPerGpu": ("SLURM_NTASKS_PER_GPU", str),
    "ntasksPerSocket": ("SLURM_NTASKS_PER_SOCKET", str),
    "ntasksPerTres": ("SLURM_NTASKS_PER_TRES", str),
    "threadsPerCore": ("SLURM_THREADS_PER_CORE", str),
}


def environment(job: JobSpec, user: User, folder: str, dialect: str) -> dict[str, str]:
    """All variables of a submission. folder: where the job starts.

    They are the variables of a login or a plain set, those of the options and of the transport, and those of
    `spec.slurm`, which take precedence. `slurm_container` has those of a container, which take precedence
    over all of these.
    """
    own = job.slurm.get("environment", {})
    login = bool(job.slurm.get("loginEnvironment"))
    plain = {"PATH": _PATH, "HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": "/bin/bash"}
    if str(own.get("SLURM_EXPORT_ENV", "")).upper() == "NIL":
        plain = {}
    return {
        **({LOGIN: "1"} if login else plain),
        SUBMIT_DIR: folder,
        **_of_options(job),
        **_of_components(job),
        **({} if dialect in _BEFORE_EXTERNAL_LAUNCHER else _MPI),
        **transport.variables(job),
        **own,
    }


def plugin_variable(plugin: str, option: str) -> str:
    """The variable in which slurmd looks for the value of an option of a plugin."""
    return "_SLURM_SPANK_OPTION_" + re.sub(r"[^A-Za-z0-9]", "_", f"{plugin}_{option}")


def _of_components(job: JobSpec) -> dict[str, str]:
    """The variables of each component of a heterogeneous job, for srun --het-group; by an older name too."""
    parts = (job, *job.components) if job.components else ()
    return {
        f"{name}_{group}_GROUP_{number}": text
        for number, part in enumerate(parts)
        for name, text in (_of_number(part) | _of_options(part)).items()
        for group in ("HET", "PACK")
    }


def _of_number(part: JobSpec) -> dict[str, str]:
    """How many tasks a component has; one for each node if it does not say."""
    told = part.tasks > 1 or (part.nodes or 1) == 1
    return dict.fromkeys(("SLURM_NTASKS", "SLURM_NPROCS"), str(part.tasks)) if told else {}


def _of_options(job: JobSpec) -> dict[str, str]:
    variables = {}
    if slurm_tres.cores(job):
        variables["SLURM_CPUS_PER_TASK"] = str(slurm_tres.cores(job))
    for name, text in (
        ("SLURM_TRES_PER_TASK", slurm_tres.per_task(job)),
        ("SLURM_TRES_BIND", slurm_tres.binding(job)),
    ):
        if text:
            variables[name] = text
    if job.tasks_per_node:
        variables["SLURM_NTASKS_PER_NODE"] = str(job.tasks_per_node)
    if "hint" in job.slurm:
        variables |= _OF_HINT.get(job.slurm["hint"], {"SLURM_THREADS_PER_CORE": "1"})
    if "memBind" in job.slurm:
        variables |= _memory_binding(job.slurm["memBind"])
    for name, value in job.slurm.items():
        if name in _VARIABLES:
            variable, written = _VARIABLES[name]
            variables[variable] = str(written(value))
    return variables


# Without a limit, as Slurm writes it.
_OF_HINT = {"multithread": {"SLURM_NTASKS_PER_CORE": "65535"}}
_FLAGS = ("verbose", "prefer", "sort")


def _memory_binding(text: str) -> dict[str, str]:
    """How memory is bound, for srun: flags first."""
    words = text.split(",")
    flags = [flag for flag in _FLAGS if flag in words]
    rest = [word for word in words if word not in (*_FLAGS, "quiet")]
    return {
        "SLURM_MEM_BIND": ",".join([*flags, *rest]),
        "SLURM_MEM_BIND_VERBOSE": "verbose" if "verbose" in flags else "quiet",
        **({"SLURM_MEM_BIND_SORT": "sort"} if "sort" in flags else {}),
    }
