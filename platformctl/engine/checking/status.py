"""What a site looks like now: every host under both schedulers, and every service with its health.

Asks the first host of each control group once, whatever the size of the fleet, so the cost does not grow
with the number of hosts.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.engine import remote
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.remote import Reply

_KUBERNETES = """
echo '{"nodes":'; kubectl get nodes -o json || exit 1
echo ', "deployments":'; kubectl get deployments,daemonsets -A -o json || exit 1
echo ', "version":'; kubectl version -o json || exit 1
echo '}'
"""
# %T state, %v slurmd's version, %E reason: one line for each node and partition, `|` between.
_SLURM = "scontrol ping && echo -- && sinfo --noheader --Node --format='%N|%T|%v|%P|%E'"
_ACCOUNTING = "sacctmgr --noheader --parsable2 show cluster format=cluster"
_REST = "systemctl is-active slurmrestd"
# Groups whose hosts are nodes of a scheduler. Parents of them are the inventory's own choice.
_KUBERNETES_GROUPS = frozenset({"kubernetes_control_plane", "kubernetes_node"})
_SLURM_GROUPS = frozenset({"slurm_node"})
# What node_state_string of Slurm 24.11 calls a node that runs jobs, or that somebody took out of service for
# a while; all else (down, fail, failing, future, inval, unknown) is not well.
_GOOD_SLURM_STATES = {
    *("allocated", "blocked", "completing", "idle", "mixed", "planned", "reserved"),
    *("drained", "draining", "maint", "reboot"),
}
# A flag may follow, and says what the node is up to. `*` is none of these: the node does not answer.
_SLURM_FLAGS = "$^@#%~!+-"


@dataclass(frozen=True)
class HostStatus:
    """One host. kubernetes and slurm: state and version under that scheduler, empty where it has no part."""

    name: str
    address: str
    owner: str
    kubernetes: str
    slurm: str
    healthy: bool
    remark: str = ""


@dataclass(frozen=True)
class ServiceStatus:
    """One service of the site: where it runs, what it says, whether that is as it should be."""

    name: str
    where: str
    state: str
    healthy: bool


@dataclass(frozen=True)
class SiteStatus:
    """Hosts in inventory order, services by scheduler."""

    site: str
    hosts: tuple[HostStatus, ...]
    services: tuple[ServiceStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether every host and service is as it should be."""
        return all(host.healthy for host in self.hosts) and all(service.healthy for service in self.services)


@dataclass(frozen=True)
class _NodeState:
    state: str
    healthy: bool
    remark: str = ""


async def gather(fleet: Fleet) -> SiteStatus:
    """Ask both schedulers; what does not answer is reported as such, never raised."""
    controller, rest_host = fleet.first("slurm_controller"), fleet.first("slurm_rest")
    kubernetes, slurm, accounting, rest = await asyncio.gather(
        _ask_kubernetes(fleet),
        _ask(controller, _SLURM),
        # slurmdbd's own host has neither sacctmgr nor a slurm.conf where it is none of Slurm's other hosts.
        _ask(controller if fleet.members("slurm_accounting") else None, _ACCOUNTING),
        _ask(rest_host, _REST),
    )
    nodes, services = _kubernetes(fleet, kubernetes)
    slurm_nodes, slurm_services = _slurm(fleet, slurm)
    services += slurm_services
    services += _simple("slurmdbd", fleet.first("slurm_accounting"), controller, accounting)
    services += _simple("slurmrestd", rest_host, rest_host, rest)
    hosts = tuple(_host(host, nodes, slurm_nodes) for host in fleet.hosts.values())
    if fleet.foreign_cluster:
        hosts += tuple(
            HostStatus(name, "", "others", node.state, "", node.healthy, node.remark)
            for name, node in nodes.items()
        )
    return SiteStatus(fleet.site, hosts, tuple(services))


async def _ask(host: Host | None, script: str) -> Reply | None:
    return await remote.run(host.connection, script, seconds=30) if host else None


async def _ask_kubernetes(fleet: Fleet) -> Reply | None:
    async with access.kubectl(fleet) as kubectl:
        if kubectl is None:
            return None
        return await remote.run(kubectl.connection, kubectl.function(seconds=10) + _KUBERNETES, seconds=30)


def _host(host: Host, nodes: Mapping[str, _NodeState], slurm: Mapping[str, _NodeState]) -> HostStatus:
    kubernetes = _part(host, "kubernetes", _KUBERNETES_GROUPS, nodes)
    batch = _part(host, "slurm", _SLURM_GROUPS, slurm)
    parts = [part for part in (kubernetes, batch) if part]
    return HostStatus(
        name=host.name,
        address=host.connection.address,
        owner=str(host.variables.get("node_owner", "shared")),
        kubernetes=kubernetes.state if kubernetes else "",
        slurm=batch.state if batch else "",
        healthy=all(part.healthy for part in parts),
        remark="; ".join(part.remark for part in parts if part.remark),
    )


def _part(
    host: Host, scheduler: str, groups: frozenset[str], states: Mapping[str, _NodeState]
) -> _NodeState | None:
    if not groups & host.groups:
        return None
    return states.get(host.name, _NodeState("not there", False, f"not known to {scheduler}"))


def _simple(service: str, host: Host | None, asked: Host | None, reply: Reply | None) -> list[ServiceStatus]:
    """A service on `host` of which the host `asked` gave this reply."""
    if host is None or asked is None or reply is None:
        return []
    said = reply.message if asked == host else f"asked from {asked.name}: {reply.message}"
    return [ServiceStatus(service, host.name, "up" if reply.code == 0 else said, reply.code == 0)]


def _kubernetes(fleet: Fleet, reply: Reply | None) -> tuple[dict[str, _NodeState], list[ServiceStatus]]:
    if reply is None:
        return {}, []
    host = fleet.first("kubernetes_control_plane")
    where = host.name if host else str(fleet.variables.get("kubernetes_kubeconfig"))
    if reply.code != 0:
        return {}, [ServiceStatus("kube-apiserver", where, reply.message, False)]
    answer = json.loads(reply.out)
    version = answer["version"]["serverVersion"]["gitVersion"]
    services = [ServiceStatus("kube-apiserver", where, f"up, {version}", True)]
    services += [_workload(item) for item in answer["deployments"]["items"]]
    nodes = {item["metadata"]["name"]: _kubernetes_node(item) for item in answer["nodes"]["items"]}
    return nodes, services


def _kubernetes_node(node: Mapping[str, Any]) -> _NodeState:
    conditions = {item["type"]: item for item in node["status"].get("conditions", ())}
    ready = conditions.get("Ready", {})
    up = ready.get("status") == "True"
    words = ["Ready" if up else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("cordoned")
    version = node["status"]["nodeInfo"]["kubeletVersion"]
    return _NodeState(f"{', '.join(words)} {version}", up, "" if up else str(ready.get("message", "")))


def _workload(item: Mapping[str, Any]) -> ServiceStatus:
    status = item["status"]
    if item["kind"] == "DaemonSet":
        ready, wanted = status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
    else:
        ready, wanted = status.get("readyReplicas", 0), item["spec"].get("replicas", 1)
    name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
    return ServiceStatus(name, f"namespace {namespace}", f"{ready} of {wanted} ready", ready >= wanted)


def _slurm(fleet: Fleet, reply: Reply | None) -> tuple[dict[str, _NodeState], list[ServiceStatus]]:
    host = fleet.first("slurm_controller")
    if host is None or reply is None:
        return {}, []
    if reply.code != 0:
        return {}, [ServiceStatus("slurmctld", host.name, reply.message, False)]
    nodes: dict[str, _NodeState] = {}
    for line in reply.out.partition("--\n")[2].splitlines():
        name, state, version, _partition, reason = line.split("|", 4)
        good = state.rstrip(_SLURM_FLAGS) in _GOOD_SLURM_STATES
        nodes[name] = _NodeState(f"{state} {version}", good, "" if reason == "none" else reason)
    return nodes, [ServiceStatus("slurmctld", host.name, "up", True)]
