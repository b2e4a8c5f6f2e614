"""What a site looks like now: every host under both schedulers, and every service with its health.

Health is what the checks of the stages say (see proofs/): `status` asks the quick ones. The first host of
each control group is asked once, whatever the size of the fleet, and every host one script: Kubernetes and
Slurm notice only after a while that a host has no power, and never that a service address is dead on it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from platformctl.engine import releases
from platformctl.engine.checking import proofs
from platformctl.engine.checking.floors import REVISIONS
from platformctl.engine.checking.proofs import Wanted, asking, kubernetes, slurm
from platformctl.engine.checking.proofs.asking import Round, Said
from platformctl.engine.checking.proofs.health_check import GLOBAL, Place, failing
from platformctl.engine.cluster import membership
from platformctl.engine.cluster.membership import ClusterNode, Membership, Stray
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import ownership, record, vault_check
from platformctl.engine.stages import STAGES, Stage

NOT_INSTALLED = "not installed"
UNKNOWN = "unknown"
# Of a host that its scheduler was not there to be asked about.
_SILENT = "no answer"
# Of a host that belongs to the other scheduler now.
_AWAY = "away"
_DAMAGED = f"{record.DIGESTS} there is damaged; platformctl install applies all again and writes it anew"
# A host that is up answers in tens of milliseconds; one that is down must not delay the others.
_SECONDS = 12
# Groups whose hosts are nodes of a scheduler. An inventory may have these two without a common parent group.
_KUBERNETES_GROUPS = frozenset({"kubernetes_control_plane", "kubernetes_node"})
_SLURM_GROUPS = frozenset({"slurm_node"})
_NAMESPACES = {"kube-system", "kube-flannel", "local-path-storage", *releases.NAMESPACES}


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
    """Hosts in inventory order, services by scheduler. strays: nodes that the inventory lacks."""

    site: str
    hosts: tuple[HostStatus, ...]
    services: tuple[ServiceStatus, ...]
    strays: tuple[Stray, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether every host and service is healthy."""
        return all(host.healthy for host in self.hosts) and all(service.healthy for service in self.services)


async def gather(fleet: Fleet) -> SiteStatus:
    """Ask the quick checks; what does not answer is reported as such, never raised."""
    wanted = [each for each in proofs.all_of(fleet) if each.check.quick]
    wanted.append(
        Wanted(next(stage for stage in STAGES if stage.name == "base"), REVISIONS, tuple(fleet.hosts))
    )
    round_ = await asking.ask(fleet, wanted, hosts=fleet.hosts, at_most=_SECONDS)
    document = _document(round_.clusters.get(Place.KUBERNETES))
    nodes = {item["metadata"]["name"]: item for item in document["nodes"]["items"]} if document else {}
    in_kubernetes = {name: _node(node) for name, node in nodes.items()} if document else None
    in_slurm = _slurm_states(round_.clusters.get(Place.SLURM))
    slurm_nodes = in_slurm or {}
    hosts = [
        _host(
            host,
            round_,
            _part(host, round_, _KUBERNETES_GROUPS, in_kubernetes),
            _part(host, round_, _SLURM_GROUPS, in_slurm),
        )
        for host in fleet.hosts.values()
    ]
    if fleet.foreign_cluster:
        hosts += [_foreign(name, node) for name, node in nodes.items()]
    services = [*_rows(fleet, round_, document)]
    services += await _foreign_secrets(fleet, [name for name in round_.applied if name not in round_.down])
    strays = await membership.strays(fleet, _members(fleet, nodes, slurm_nodes))
    return SiteStatus(fleet.site, tuple(hosts), tuple(services), strays)


def _members(fleet: Fleet, nodes: Mapping[str, Mapping[str, Any]], in_slurm: Mapping[str, str]) -> Membership:
    """The nodes that the schedulers have. Those of a cluster that is not the site's are nobody's strays."""
    kubernetes_nodes = {} if fleet.foreign_cluster else {name: _node(node) for name, node in nodes.items()}
    return Membership(
        *(
            {
                name: ClusterNode(name, state, not state.startswith(("NotReady", "down")))
                for name, state in of.items()
            }
            for of in (kubernetes_nodes, in_slurm)
        )
    )


async def _foreign_secrets(fleet: Fleet, asked: Sequence[str]) -> list[ServiceStatus]:
    """One entry for each secret of which hosts use another than the vault has; none on a healthy site."""
    records = await record.read(fleet, vault_check.sample(fleet, asked))
    found = vault_check.differences(STAGES, fleet, records)
    return [ServiceStatus("secrets", "the vault", different.words, False) for different in found]


def _host(host: Host, round_: Round, in_kubernetes: str | None, in_slurm: str | None) -> HostStatus:
    """One host: what it says itself, what the schedulers say of it, and which of its checks failed."""
    down = round_.down.get(host.name)
    installed = bool(round_.applied.get(host.name))
    bad = [answer for answer in failing(round_.answers) if answer.subject == host.name]
    remarks = [f"{answer.check.name}: {answer.outcome.found}" for answer in bad]
    parts = {"kubernetes": in_kubernetes, "slurm": in_slurm}
    if down is not None:
        remarks.insert(0, down.refusal)
    elif installed:
        remarks += [f"not known to {name}" for name, state in parts.items() if state == ""]
    state = "up" if installed else NOT_INSTALLED
    if host.name in round_.damaged:
        state = UNKNOWN
        remarks.append(_DAMAGED)
    if down is not None:
        state = "no answer" if down.unreachable else "up"
    unknown = "not there" if installed else ""
    named = str(host.variables.get("node_owner", "shared"))
    return HostStatus(
        name=host.name,
        address=host.connection.address,
        owner=ownership.owner(round_.away.get(host.name, ()), named),
        state=state,
        kubernetes="" if in_kubernetes is None else in_kubernetes or unknown,
        slurm="" if in_slurm is None else in_slurm or unknown,
        healthy=installed and not remarks,
        remark="; ".join(dict.fromkeys(remarks)),
    )


def _part(host: Host, round_: Round, groups: frozenset[str], states: Mapping[str, str] | None) -> str | None:
    """The state under a scheduler: None if it is not its node, empty if the scheduler does not know it.

    states: None if the scheduler did not answer, so that nobody knows.
    """
    if not groups & host.groups:
        return None
    if states is None:
        return _SILENT if round_.applied.get(host.name) else ""
    away = groups & set(round_.away.get(host.name, ()))
    return states.get(host.name, "") or (_AWAY if away else "")


def _foreign(name: str, node: Mapping[str, Any]) -> HostStatus:
    """A node of a cluster that is not the site's."""
    conditions = {item["type"]: item for item in node["status"].get("conditions", ())}
    ready = conditions.get("Ready", {})
    up = ready.get("status") == "True"
    return HostStatus(
        name, "", "others", "", _node(node), "", up, "" if up else str(ready.get("message", ""))
    )


def _node(node: Mapping[str, Any]) -> str:
    """State and version of a node, in words."""
    ready = any(
        item["type"] == "Ready" and item["status"] == "True" for item in node["status"].get("conditions", ())
    )
    words = ["Ready" if ready else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("cordoned")
    return f"{', '.join(words)} {node['status']['nodeInfo']['kubeletVersion']}"


def _document(said: Said | None) -> Mapping[str, Any] | None:
    """What the API knows; None if it did not answer."""
    code, output = said.answers.get(kubernetes.CLUSTER, (1, "")) if said else (1, "")
    try:
        document = json.loads(output) if code == 0 else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _slurm_states(said: Said | None) -> dict[str, str] | None:
    """State and version by node; None if Slurm did not answer."""
    code, output = said.answers.get(slurm.CLUSTER, (1, "")) if said else (1, "")
    if code != 0:
        return None
    found = slurm.states(output)
    return {name: f"{state} {version}" for name, (state, version, _) in found.items()}


def _rows(fleet: Fleet, round_: Round, document: Mapping[str, Any] | None) -> list[ServiceStatus]:
    """All services: in the cluster, those of the stages, and what failed for the whole site."""
    rows = _kubernetes_rows(fleet, round_, document)
    for stage in STAGES:
        first = fleet.first(stage.group) if stage.services else None
        rows += [_unit(stage, name, first, round_) for name in stage.services] if first else []
    told = {row.state for row in rows}
    for answer in failing(round_.answers):
        if answer.subject != GLOBAL or answer.outcome.found in told:
            continue
        told.add(answer.outcome.found)
        said = round_.clusters.get(answer.check.place)
        row = ServiceStatus(answer.check.name, said.where if said else "", answer.outcome.found, False)
        same = next((index for index, other in enumerate(rows) if other.name == row.name), None)
        if same is None:
            rows.append(row)
        else:
            rows[same] = replace(row, where=rows[same].where)
    return rows


def _kubernetes_rows(fleet: Fleet, round_: Round, document: Mapping[str, Any] | None) -> list[ServiceStatus]:
    said = round_.clusters.get(Place.KUBERNETES)
    if said is None:
        return []
    host = fleet.first("kubernetes_control_plane")
    where = host.name if host else str(fleet.variables.get("kubernetes_kubeconfig"))
    if document is None:
        code, output = said.answers.get(kubernetes.CLUSTER, (0, NOT_INSTALLED))
        words = " / ".join(output.strip().splitlines()[-2:]) or f"exit status {code}"
        return [ServiceStatus("kube-apiserver", where, said.down.message if said.down else words, False)]
    version = document["version"]["serverVersion"]["gitVersion"]
    rows = [ServiceStatus("kube-apiserver", where, f"up, {version}", True)]
    away = kubernetes.absent(document)
    for item in document["deployments"]["items"]:
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        if namespace in _NAMESPACES:
            outcome = kubernetes.workload(item, away)
            rows.append(ServiceStatus(name, f"namespace {namespace}", outcome.found, outcome.fine))
    for name, namespace, item in kubernetes.aggregated(document):
        if namespace in _NAMESPACES:
            outcome = kubernetes.service_outcome(item)
            rows.append(ServiceStatus(name, f"namespace {namespace}", outcome.found, outcome.fine))
    return rows


def _unit(stage: Stage, name: str, host: Host, round_: Round) -> ServiceStatus:
    """A service of a stage, as the first of its hosts has it."""
    if down := round_.down.get(host.name):
        return ServiceStatus(name, host.name, down.message, False)
    if stage.name not in round_.applied.get(host.name, ()):
        return ServiceStatus(name, host.name, NOT_INSTALLED, False)
    bad: Sequence[str] = [
        answer.outcome.found
        for answer in failing(round_.answers)
        if answer.stage == stage.name
        and answer.subject == host.name
        # One check looks at all units of the stage; the others are about what it is for.
        and (answer.check.name != proofs.UNITS or f"{name} is " in answer.outcome.found)
    ]
    return ServiceStatus(name, host.name, "; ".join(bad) or "up", not bad)
