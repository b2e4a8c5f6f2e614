"""What runs on the hosts of a plan right now: Slurm jobs and pods by host, and jobs by partition.

The first controller of each scheduler is asked once, and only when a step of the plan runs on hosts in
service.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from platformctl.engine import releases, remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.stages import Workload

# One line a job and node: %N is a host list, so scontrol takes it apart.
_JOBS = (
    "squeue --noheader --states=R,S,CG --format=%N"
    ' | while read -r list; do scontrol show hostnames "$list"; done'
)
# Pending jobs too: Slurm fails them when their partition is removed. A job that asks for several partitions
# counts in each.
_QUEUED = "squeue --noheader --states=PD,R,S,CG --format=%P | tr , '\\n'"
_PODS = (
    "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s get pods --all-namespaces"
    " --field-selector=status.phase=Running --no-headers"
    " --output=custom-columns=NODE:.spec.nodeName,NAMESPACE:.metadata.namespace"
)
_SOURCES = {
    Workload.JOBS: ("slurm_controller", _JOBS),
    Workload.QUEUED: ("slurm_controller", _QUEUED),
    Workload.PODS: ("kubernetes_control_plane", _PODS),
}
_OWN_NAMESPACES = ("kube-system", "kube-flannel", "local-path-storage", *releases.NAMESPACES)

Running = Mapping[Workload, Mapping[str, int]]


async def running(fleet: Fleet, wanted: Iterable[Workload]) -> Running:
    """Number of users' jobs and pods by host, and of jobs by partition.

    A scheduler that does not answer counts as one without jobs or pods.
    """
    kinds = [kind for kind in _SOURCES if kind in set(wanted)]
    counts = await asyncio.gather(*(_count(fleet, *_SOURCES[kind]) for kind in kinds))
    return dict(zip(kinds, counts, strict=True))


async def _count(fleet: Fleet, group: str, script: str) -> Mapping[str, int]:
    host = fleet.first(group)
    if host is None:
        return {}
    reply = await remote.run(host.connection, script, seconds=20)
    if reply.code != 0:
        return {}
    lines = [line.split() for line in reply.out.splitlines()]
    return Counter(words[0] for words in lines if words and words[-1] not in _OWN_NAMESPACES)
