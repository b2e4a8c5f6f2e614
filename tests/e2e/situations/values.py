"""Values in the inventory that a service does not take: the program that reads them says so beforehand."""

from platformctl.lab.dirt import inventories
from tests.e2e.situations.situation import Result, Situation, When


def _refused(
    name: str, variable: str, value: dict[str, object], *words: str, tried: tuple[str, ...] = ()
) -> Situation:
    return Situation(
        name,
        When.INSTALLED,
        Result.REFUSED,
        lambda place: inventories.added(place.lab, variable, value),
        words,
        command=("install", "--yes"),
        tried=tried,
    )


SITUATIONS = (
    _refused(
        "an amount of memory for the kubelet is written in a way that it does not know",
        "kubernetes_kubelet_overrides",
        {"systemReserved": {"memory": "1GB"}},
        "memory",
        "1gb",
    ),
    _refused(
        "an option of the kubelet is misspelt",
        "kubernetes_kubelet_overrides",
        {"maxPod": 50},
        "maxpod",
    ),
    _refused(
        "the kubelet is to reserve more memory than the host has",
        "kubernetes_kubelet_overrides",
        {"systemReserved": {"memory": "9000Gi"}},
        "kubelet",
        tried=("kubelet.service",),
    ),
    _refused(
        "an option of kube-proxy is misspelt",
        "kubernetes_kube_proxy_overrides",
        {"modus": "nftables"},
        "modus",
    ),
    _refused(
        "a limit of containerd is not a number",
        "containerd_service_limits",
        {"LimitNOFILE": "abc"},
        "limitnofile",
    ),
    _refused(
        "a limit of slurmd is not a number",
        "slurm_node_service_limits",
        {"LimitNOFILE": "many"},
        "limitnofile",
    ),
    _refused(
        "an option of slurmctld is misspelt",
        "slurm_controller_options",
        {"MaxJobCuont": 5000},
        "maxjobcuont",
    ),
    Situation(
        "the time limit of a partition is written in words",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: inventories.variables(
            place.lab,
            slurm_partitions=[{"name": "main", "nodes": "all", "default": True, "max_time": "1 day"}],
        ),
        ("max_time", "1 day"),
        command=("install", "--yes"),
    ),
)
