"""The health checks that prove stages, as one table. Stages name them by these keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from platformctl.engine.checking.proofs import devices, hosts, kubernetes, node_class, slurm
from platformctl.engine.checking.proofs.health_check import HealthCheck
from platformctl.engine.fleet import Fleet
from platformctl.engine.stages import STAGES, Stage

TABLE: Mapping[str, HealthCheck] = {
    "names": hosts.NAMES,
    "home": hosts.HOME,
    "firewall": hosts.FIREWALL,
    "registry": hosts.REGISTRY,
    "containerd": hosts.RUNTIME,
    "pull": hosts.PULL,
    "api": kubernetes.API,
    "etcd": kubernetes.ETCD,
    "etcd_space": kubernetes.ETCD_SPACE,
    "kubelet": kubernetes.KUBELET,
    "node": kubernetes.NODES,
    "node_class": node_class.NODE_CLASS,
    "service_address": kubernetes.SERVICE_ADDRESS,
    "pod_network": kubernetes.POD_NETWORK,
    "flannel": kubernetes.NETWORK,
    "addons": kubernetes.ADDONS,
    "devices": devices.DEVICES,
    "cluster_names": kubernetes.CLUSTER_NAMES,
    "munge": slurm.MUNGE,
    "slurmdbd": slurm.ACCOUNTING_PORT,
    "accounting": slurm.ACCOUNTING,
    "slurmctld": slurm.CONTROLLER,
    "drains": slurm.OWN_DRAINS,
    "slurm_node": slurm.NODES,
    "device_health": devices.HEALTH,
    "cdi": devices.CDI,
    "job_step": slurm.STEP,
    "container_command": slurm.WRAPPER,
    "slurmrestd": slurm.REST,
    "platform": kubernetes.PLATFORM,
    "admission": kubernetes.ADMISSION,
}


UNITS = "services"
"""The name of the check of a stage's units."""


@dataclass(frozen=True)
class Wanted:
    """A check of a stage, and the hosts that it is asked on or about."""

    stage: Stage
    check: HealthCheck
    hosts: tuple[str, ...]


def of(stage: Stage) -> tuple[HealthCheck, ...]:
    """The checks of a stage: its units, then those that it names."""
    units = (*stage.services, *stage.units)
    own = (hosts.units(UNITS, units),) if units else ()
    return (*own, *(TABLE[name] for name in stage.proofs))


def wanted(fleet: Fleet, stage: Stage, hosts: tuple[str, ...]) -> list[Wanted]:
    """The checks of a stage on these hosts, as far as they concern the site."""
    concerned = (check for check in of(stage) if check.of_group == "all" or fleet.members(check.of_group))
    return [Wanted(stage, check, hosts) for check in concerned]


def all_of(fleet: Fleet, stages: Iterable[Stage] = STAGES) -> list[Wanted]:
    """All checks of the site, on all hosts that they concern."""
    found = []
    for stage in stages:
        members = stage.targets(fleet) if stage.group not in fleet.groups else fleet.members(stage.group)
        for each in wanted(fleet, stage, members) if members else ():
            more = [name for group in each.check.groups for name in fleet.members(group)]
            found.append(replace(each, hosts=tuple(dict.fromkeys((*members, *more)))))
    return found
