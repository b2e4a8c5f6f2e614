"""How the user of an interactive job enters what is kept for them."""

from collections.abc import Mapping
from typing import Any

from platformctl.jobs import kubernetes, slurm
from platformctl.jobs.model import Target


def command(spec: Mapping[str, Any], backend: str | None, job_id: str) -> str:
    """One command line; empty where there is nothing to enter.

    spec: of the Job; job_id: its back end's. A container's image need not have bash.
    """
    if spec.get("interactive") is not True or not job_id:
        return ""
    if backend == Target.SLURM:
        return slurm.entrance(job_id)
    if backend == Target.KUBERNETES:
        return kubernetes.entrance(job_id, "bash" if spec.get("template") is None else "sh")
    return ""
