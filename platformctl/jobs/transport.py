"""The transport of a job that asks for RDMA: its programs fail where they would otherwise use TCP silently.

UCX, NCCL and Open MPI choose the fastest transport that works. Without RDMA that is TCP, and a job runs at a
tenth of its speed without a word. A job that asks for RDMA therefore has variables that leave no TCP to
choose. Values of the user's own take precedence.
"""

import re
from collections.abc import Iterable, Mapping

from platformctl.jobs.model import JobSpec, Resources, Target
from platformctl.jobs.quantity import parse_quantity

RESOURCES = "rdma/"
"""Domain of RDMA resources, as device plugins for RDMA name them."""
GRES = "rdma"
VARIABLES: Mapping[str, str] = {
    # Every transport but TCP: shared memory within a node, InfiniBand or RoCE between nodes.
    "UCX_TLS": "^tcp",
    "NCCL_NET": "IB",
    "NCCL_IB_DISABLE": "0",
    "OMPI_MCA_pml": "ucx",
}
"""What a job with RDMA gets, beside its own variables."""
# Fields of spec.slurm that ask for generic resources, such as `rdma:1` or `gres/rdma=1`.
_ASKING = ("gres", "tresPerTask")
_IN_SLURM = re.compile(rf"(?:^|[,/]){GRES}(?:[:=,]|$)", re.ASCII)


def asked(resources: Resources, devices: Mapping[str, str]) -> dict[str, str]:
    """The RDMA resources that one task asks for, with their amounts.

    devices: the generic resources of Slurm by the names of their devices in Kubernetes. A resource is RDMA by
    its domain, or because Slurm has it as RDMA.
    """
    both = {**resources.requests, **resources.limits}
    return {
        name: amount
        for name, amount in sorted(both.items())
        if (name.startswith(RESOURCES) or devices.get(name) == GRES) and parse_quantity(amount) > 0
    }


def wanted(job: JobSpec) -> bool:
    """Whether a job asks for RDMA, by its resources or in Slurm's words."""
    return bool(job.rdma) or any(_IN_SLURM.search(str(job.slurm.get(field, ""))) for field in _ASKING)


def variables(job: JobSpec) -> Mapping[str, str]:
    """The variables of a job with RDMA; none for other jobs."""
    return VARIABLES if wanted(job) else {}


def for_container(job: JobSpec, resources: Resources, given: Iterable[str]) -> list[dict[str, str]]:
    """The variables to add to a container that asks for RDMA. given: the names of those that it has."""
    if not job.rdma.keys() & {*resources.requests, *resources.limits}:
        return []
    names = frozenset(given)
    return [{"name": name, "value": text} for name, text in VARIABLES.items() if name not in names]


def told(job: JobSpec, target: Target) -> str:
    """Which transport a job uses there, for people; empty if it asks for none."""
    if not wanted(job):
        return ""
    there = job.rdma
    if target is Target.SLURM and GRES in job.on_slurm.devices:
        there = {f"gres/{GRES}": str(job.on_slurm.devices[GRES])}
    names = ", ".join(f"{name}: {amount}" for name, amount in there.items()) or f"{GRES} of spec.slurm"
    fixed = ", ".join(f"{name}={text}" for name, text in VARIABLES.items())
    return (
        f"RDMA ({names}); UCX, NCCL and Open MPI fail rather than use TCP: {fixed}, unless the Job sets them"
    )
