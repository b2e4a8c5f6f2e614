"""What a site looks like now: every host under both schedulers, and every service with its health.

Asks the first host of each control group once, whatever the size of the fleet, and every host one short
question: Kubernetes and Slurm notice only after a while that a host has no power.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.engine import remote
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import record
from platformctl.engine.remote import Reply
from platformctl.engine.stages import STAGES

_KUBERNETES = """
echo '{"nodes":'; kubectl get nodes -o json || exit 1
echo ', "deployments":'; kubectl get deployments,daemonsets -A -o json || exit 1
echo ', "version":'; kubectl version -o json || exit 1
echo '}'
"""
# %T state, %v slurmd's version, %E reason: one line for each node and partition, `|` between.
_SLURM = "scontrol ping && echo -- && sinfo --noheader --Node --format='%N|%T|%v|%P|%E'"
# For these services it is not enough that systemd runs them.
_QUESTIONS = {
    "slurmctld": _SLURM,
    "slurmdbd": "sacctmgr --noheader --parsable2 show cluster format=cluster",
}
# A host with only slurmdbd has neither sacctmgr nor a slurm.conf.
_ASKED_FROM = {"slurmdbd": "slurm_controller"}
# What a host reports: whether anything of a site is applied there, and which units do not run.
_SELF = f"""
grep -qs '"digest"' {record.FOLDER}/digests.json && echo installed || echo nothing
for unit in UNITS; do state=$(systemctl is-active $unit); [ "$state" = active ] || echo "$unit $state"; done
"""
# A host that is up answers in tens of milliseconds; one that is down must not delay the others.
_SELF_SECONDS = 8
_KNOCK_SECONDS = 3
# With more hosts, opening all ssh connections would take minutes.
_ASKED_EACH = 200
_UNITS = {
    "kubernetes_control_plane": ("containerd", "kubelet"),
    "kubernetes_node": ("containerd", "kubelet"),
    "slurm_node": ("munge", "slurmd"),
}
NOT_INSTALLED = "not installed"
# Groups whose hosts are nodes of a scheduler. An inventory may have these two without a common parent group.
_KUBERNETES_GROUPS = frozenset({"kubernetes_control_plane", "kubernetes_node"})
_SLURM_GROUPS = frozenset({"slurm_node"})
# States by node_state_string of Slurm 24.11 of nodes that run jobs or were taken out of service on purpose.
# All others (down, fail, failing, future, inval, unknown) are unhealthy.
_GOOD_SLURM_STATES = {
    *("allocated", "blocked", "completing", "idle", "mixed", "planned", "reserved"),
    *("drained", "draining", "maint", "reboot"),
}
# A flag may follow the state. `*` is left out on purpose: it says that the node does not answer.
_SLURM_FLAGS = "$^@#%~!+-"


@dataclass(frozen=True)
class HostStatus:
    """One host. kubernetes and slurm: state and version under that scheduler; empty if it is not its node.

    state: what the host itself says: up, not installed, or no answer.
    """

    name: str
    address: str
    owner: str
    state: str
    kubernetes: str
    slurm: str
    healthy: bool
    remark: str = ""


@dataclass(frozen=True)
class ServiceStatus:
    """One service of the site: where it runs, its state, and whether it is healthy."""

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
        """Whether every host and service is healthy."""
        return all(host.healthy for host in self.hosts) and all(service.healthy for service in self.services)


@dataclass(frozen=True)
class _NodeState:
    state: str
    healthy: bool
    remark: str = ""


@dataclass(frozen=True)
class _Service:
    """A service of a stage: the host that runs it, and the host that is asked about it."""

    name: str
    host: Host
    asked: Host

    async def ask(self) -> Reply:
        question = _QUESTIONS.get(self.name, f"systemctl is-active {self.name}")
        return await remote.run(self.asked.connection, question, seconds=30)

    def status(self, reply: Reply) -> ServiceStatus:
        up = reply.code == 0
        said = reply.message if self.asked == self.host else f"asked from {self.asked.name}: {reply.message}"
        return ServiceStatus(self.name, self.host.name, "up" if up else said, up)


async def gather(fleet: Fleet) -> SiteStatus:
    """Ask both schedulers; what does not answer is reported as such, never raised."""
    expected = _services(fleet)
    themselves, kubernetes, replies = await asyncio.gather(
        _ask_themselves(fleet),
        _ask_kubernetes(fleet),
        asyncio.gather(*(service.ask() for service in expected)),
    )
    nodes, services = _kubernetes(fleet, kubernetes)
    answers = {service.name: reply for service, reply in zip(expected, replies, strict=True) if reply}
    slurm_nodes = _slurm_nodes(answers.get("slurmctld"))
    services += [service.status(answers[service.name]) for service in expected]
    services = [_in_words(service, themselves) for service in services]
    hosts = tuple(_host(host, themselves[host.name], nodes, slurm_nodes) for host in fleet.hosts.values())
    if fleet.foreign_cluster:
        hosts += tuple(
            HostStatus(name, "", "others", "", node.state, "", node.healthy, node.remark)
            for name, node in nodes.items()
        )
    return SiteStatus(fleet.site, hosts, tuple(services))


async def _ask_themselves(fleet: Fleet) -> dict[str, _NodeState]:
    """The state that each host reports, by name.

    On a large site, a host that shows an ssh server is up: only the others, and one of each group, are asked.
    """
    hosts = list(fleet.hosts.values())
    open_ports: set[str] = set()
    if len(hosts) > _ASKED_EACH:
        samples = {host.name for group in fleet.groups if (host := fleet.first(group))}
        rest = [host for host in hosts if host.name not in samples]
        answers = await remote.together(remote.knock(host.connection, _KNOCK_SECONDS) for host in rest)
        open_ports = {host.name for host, answer in zip(rest, answers, strict=True) if answer}

    async def one(host: Host) -> _NodeState:
        units = dict.fromkeys(unit for group in sorted(_UNITS.keys() & host.groups) for unit in _UNITS[group])
        script = _SELF.replace("UNITS", " ".join(units))
        return _self(await remote.run(host.connection, script, seconds=_SELF_SECONDS))

    asked = [host for host in hosts if host.name not in open_ports]
    states = await remote.together(map(one, asked))
    by_name = {host.name: state for host, state in zip(asked, states, strict=True)}
    # If none of the hosts that were asked has anything, the others have nothing either.
    fresh = bool(states) and all(state.state == NOT_INSTALLED for state in states)
    knocked = _NodeState(NOT_INSTALLED, False) if fresh else _NodeState("up", True)
    return {host.name: by_name.get(host.name, knocked) for host in hosts}


def _self(reply: Reply) -> _NodeState:
    if reply.unreachable:
        return _NodeState("no answer", False, reply.refusal)
    if reply.code != 0:
        return _NodeState("up", False, reply.refusal)
    first, *idle = reply.out.split("\n")
    if first != "installed":
        return _NodeState(NOT_INSTALLED, False)
    remarks = [f"{unit} is {state}" for unit, _, state in (line.partition(" ") for line in idle if line)]
    return _NodeState("up", not remarks, ", ".join(remarks))


def _in_words(service: ServiceStatus, themselves: Mapping[str, _NodeState]) -> ServiceStatus:
    """A service on a host to which nothing was applied is not installed, whatever its shell prints."""
    host = themselves.get(service.where)
    if service.healthy or host is None or host.state != NOT_INSTALLED:
        return service
    return ServiceStatus(service.name, service.where, NOT_INSTALLED, False)


async def _ask_kubernetes(fleet: Fleet) -> Reply | None:
    async with access.kubectl(fleet) as kubectl:
        if kubectl is None:
            return None
        return await remote.run(kubectl.connection, kubectl.function(seconds=10) + _KUBERNETES, seconds=30)


def _services(fleet: Fleet) -> list[_Service]:
    """The services of all stages that the site has, in the order of the table."""
    services = []
    for stage in STAGES:
        for name in stage.services:
            host, asked = fleet.first(stage.group), fleet.first(_ASKED_FROM.get(name, stage.group))
            if host and asked:
                services.append(_Service(name, host, asked))
    return services


def _host(
    host: Host, itself: _NodeState, nodes: Mapping[str, _NodeState], slurm: Mapping[str, _NodeState]
) -> HostStatus:
    installed = itself.state != NOT_INSTALLED
    kubernetes = _part(host, "kubernetes", _KUBERNETES_GROUPS, nodes, installed)
    batch = _part(host, "slurm", _SLURM_GROUPS, slurm, installed)
    parts = [itself, *(part for part in (kubernetes, batch) if part)]
    return HostStatus(
        name=host.name,
        address=host.connection.address,
        owner=str(host.variables.get("node_owner", "shared")),
        state=itself.state,
        kubernetes=kubernetes.state if kubernetes else "",
        slurm=batch.state if batch else "",
        healthy=all(part.healthy for part in parts),
        remark="; ".join(dict.fromkeys(part.remark for part in parts if part.remark)),
    )


def _part(
    host: Host,
    scheduler: str,
    groups: frozenset[str],
    states: Mapping[str, _NodeState],
    installed: bool,
) -> _NodeState | None:
    if not groups & host.groups:
        return None
    remark = f"not known to {scheduler}" if installed else ""
    return states.get(host.name, _NodeState("not there" if installed else "", False, remark))


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


def _slurm_nodes(reply: Reply | None) -> dict[str, _NodeState]:
    """The nodes by name, as slurmctld's host lists them; none if it does not answer."""
    if reply is None or reply.code != 0:
        return {}
    nodes: dict[str, _NodeState] = {}
    for line in reply.out.partition("--\n")[2].splitlines():
        name, state, version, _partition, reason = line.split("|", 4)
        good = state.rstrip(_SLURM_FLAGS) in _GOOD_SLURM_STATES
        nodes[name] = _NodeState(f"{state} {version}", good, "" if reason == "none" else reason)
    return nodes
