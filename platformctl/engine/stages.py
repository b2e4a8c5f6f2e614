"""The stages of an installation, as one table.

A stage is a playbook of the same name for the hosts of one group, or a step on the operator's machine.
What it needs, what it is made of (for its digest) and what it disturbs are data; nothing branches on a
stage's name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from platformctl.engine import partitions, releases
from platformctl.engine.fleet import LOCALHOST, Fleet, Host

_ADDRESS = ("ansible_host", "base_address")


class NeedScope(StrEnum):
    """On which hosts a needed stage must have ended well before a stage may run on a host."""

    SAME_HOST = "same host"
    ALL = "all hosts"
    ANY = "any host"


class StageRunner(StrEnum):
    """What runs a stage: Ansible, or a step of the engine itself."""

    PLAYBOOK = "playbook"
    PREFLIGHT = "preflight"
    ARTIFACTS = "artifacts"
    CHARTS = "charts"
    VERIFY = "verify"


class Workload(StrEnum):
    """What users run on a host and a stage may disturb."""

    NONE = ""
    JOBS = "slurm jobs"
    QUEUED = "slurm jobs by partition"
    PODS = "pods"


@dataclass(frozen=True)
class Need:
    """A stage that must run first. scope: on which of its hosts it must have ended well."""

    stage: str
    scope: NeedScope = NeedScope.SAME_HOST


@dataclass(frozen=True)
class Peers:
    """Data of other hosts that end up in this stage's result: their names and these variables.

    variables: names; a trailing * matches a prefix among what the stage's roles declare. first: only the
    group's first host matters.
    """

    group: str
    variables: tuple[str, ...] = _ADDRESS
    first: bool = False


@dataclass(frozen=True)
class Loss:
    """The work that ends if something that the stage lists is removed from the site.

    workload: what is counted, by the name of the thing. words: what happens to it; the count stands before.
    """

    workload: Workload
    words: str


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    group: hosts it runs on; LOCALHOST for a step on the operator's machine. roles: applied in this order.
    artifacts: patterns over names of the artefact index. folders: further files it is made of, relative to
    the data folder. variables: read though no role declares them (a role's argument_specs name its own).
    listed: further things of the site that its result contains, by kind; for each name, what belongs to it.
    inhabited: groups that count only as empty or not empty.
    record: for LOCALHOST, the group whose first host keeps the digest, so that every operator sees it; where
    that group is empty, the first host of the site does. cluster: it needs a Kubernetes.
    certificates: it signs certificates with the site's authority, so it must run again before they expire.
    services: systemd units of its hosts that `status` shows, as the first of them says. ports: TCP ports that
    must be free on its hosts; a name is that of the variable that says which.
    fleetwide: it disturbs that workload on all hosts, not only on its own.
    effect: what users notice when it runs on a host in service. harms: variables whose change ends running
    work, and how. losses: by kind of `listed`, the work that ends when one of these things is removed.
    """

    name: str
    group: str
    roles: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    runner: StageRunner = StageRunner.PLAYBOOK
    first: bool = False
    artifacts: tuple[str, ...] = ()
    peers: tuple[Peers, ...] = ()
    folders: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    listed: Mapping[str, Callable[[Fleet], Mapping[str, Any]]] = field(default_factory=dict)
    inhabited: tuple[str, ...] = ()
    record: str = ""
    cluster: bool = False
    certificates: bool = False
    services: tuple[str, ...] = ()
    ports: tuple[int | str, ...] = ()
    workload: Workload = Workload.NONE
    fleetwide: bool = False
    effect: str = ""
    harms: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, Loss] = field(default_factory=dict)

    def targets(self, fleet: Fleet) -> tuple[str, ...]:
        """Hosts of the site that this stage runs on, in inventory order."""
        if self.group == LOCALHOST:
            return (LOCALHOST,) if fleet.has_cluster or not self.cluster else ()
        members = fleet.members(self.group)
        return members[:1] if self.first else members

    def abandoned(self, host: Host) -> bool:
        """Whether the host has left the stage's group. Staying in it, but no longer first, is not leaving."""
        return self.group != LOCALHOST and self.group not in host.groups

    def recorded_on(self, fleet: Fleet, host: str) -> str:
        """The host that keeps the digest of this stage for `host`; empty when nothing is recorded."""
        if host != LOCALHOST:
            return host
        keeper = self.record and (fleet.first(self.record) or fleet.first("all"))
        return keeper.name if keeper else ""


def each(*names: str) -> tuple[Need, ...]:
    """Needs that must be fine on the same host."""
    return tuple(Need(name) for name in names)


def every(*names: str) -> tuple[Need, ...]:
    """Needs that must be fine on all their hosts."""
    return tuple(Need(name, NeedScope.ALL) for name in names)


def some(*names: str) -> tuple[Need, ...]:
    """Needs that must be fine on at least one of their hosts."""
    return tuple(Need(name, NeedScope.ANY) for name in names)


_NETWORKS_HARM = "the networks of pods and services cannot change under running pods"
_PORT_HARM = "what runs on the nodes reports to the old port, so running jobs are lost"
_KUBELET_PORT = 10250
_NODE_BINARIES = ("kubeadm", "kubelet", "kubectl", "flannel-cni")

STAGES: tuple[Stage, ...] = (
    Stage("preflight", "all", ("preflight",), runner=StageRunner.PREFLIGHT),
    Stage("artifacts", LOCALHOST, runner=StageRunner.ARTIFACTS),
    Stage(
        "base",
        "all",
        ("base", "users", "shared_home"),
        # A corrupted artefact is refused before any host is touched.
        each("preflight") + every("artifacts"),
        peers=(
            Peers("all"),
            Peers("kubernetes_control_plane", first=True),
            Peers("registry", first=True),
            Peers("slurm_rest", first=True),
        ),
    ),
    Stage(
        "registry",
        "registry",
        ("registry",),
        each("base"),
        artifacts=("*",),
        variables=("ansible_host",),  # in its certificate
        certificates=True,
        services=("docker-registry",),
        ports=("registry_port",),
    ),
    Stage(
        "containerd",
        "containerd",
        ("containerd",),
        each("base"),
        workload=Workload.PODS,
        effect="containerd may restart; containers keep running",
    ),
    Stage(
        "kubernetes_control_plane",
        "kubernetes_control_plane",
        ("kubernetes_control_plane",),
        each("containerd") + every("registry"),
        artifacts=(*_NODE_BINARIES, "etcdctl", "*/kube-*", "*/etcd", "*/coredns", "*/pause"),
        peers=(Peers("kubernetes_control_plane"),),
        ports=(6443, 2379, 2380, _KUBELET_PORT, 10257, 10259),
        workload=Workload.PODS,
        fleetwide=True,
        effect="the Kubernetes API may be away for seconds; pods keep running",
        harms={
            "kubernetes_pod_network": _NETWORKS_HARM,
            "kubernetes_service_network": _NETWORKS_HARM,
            "site_domain": "kubelets that have joined know the API by its old name alone, and lose it",
        },
    ),
    Stage(
        "kubernetes_node",
        "kubernetes_node",
        ("kubernetes_node",),
        each("containerd") + every("kubernetes_control_plane"),
        artifacts=(*_NODE_BINARIES, "*/kube-proxy", "*/pause"),
        variables=("ansible_host",),  # the kubelet's own address
        ports=(_KUBELET_PORT,),
        workload=Workload.PODS,
        effect="kubelet may restart; pods keep running",
    ),
    Stage(
        "kubernetes_network",
        "kubernetes_control_plane",
        ("kubernetes_network",),
        every("kubernetes_control_plane"),
        first=True,
        artifacts=("*/flannel",),
    ),
    Stage(
        "kubernetes_addons",
        "kubernetes_control_plane",
        ("kubernetes_addons",),
        every("kubernetes_network"),
        first=True,
        artifacts=("*/metrics-server", "*/local-path-provisioner", "*/busybox"),
        certificates=True,
    ),
    Stage(
        "munge",
        "munge",
        ("munge",),
        each("base"),
        workload=Workload.JOBS,
        effect="munged may restart; Slurm retries for seconds",
        harms={"secret_munge_key": "jobs that run under the old key lose their Slurm daemons"},
    ),
    Stage(
        "slurm_accounting",
        "slurm_accounting",
        ("slurm_accounting",),
        each("munge"),
        services=("slurmdbd",),
        ports=("slurm_accounting_port",),
        effect="slurmdbd may restart; slurmctld keeps records until it is back",
    ),
    Stage(
        "slurm_controller",
        "slurm_controller",
        ("slurm_controller",),
        each("munge") + every("slurm_accounting"),
        peers=(
            Peers("slurm_node", (*_ADDRESS, "slurm_node_*", "node_owner")),
            Peers("slurm_controller"),
            Peers("slurm_accounting"),
        ),
        services=("slurmctld",),
        ports=("slurm_controller_port",),
        listed={"node": partitions.nodes, "partition": partitions.partitions},
        workload=Workload.JOBS,
        fleetwide=True,
        effect="slurmctld reads its configuration again; jobs keep running",
        harms={
            "slurm_cluster_name": "Slurm refuses the state of a cluster with another name",
            "slurm_controller_state_directory": "slurmctld finds no jobs in the new directory and ends all",
            "slurm_controller_port": _PORT_HARM,
            "slurm_node_port": _PORT_HARM,
        },
        # A node that only leaves its partitions keeps its jobs.
        losses={
            "node": Loss(Workload.JOBS, "jobs on it fail"),
            "partition": Loss(Workload.QUEUED, "jobs of it fail, waiting ones too"),
        },
    ),
    Stage(
        "slurm_node",
        "slurm_node",
        ("slurm_node",),
        each("munge") + some("slurm_controller"),  # a backup serves the configuration as well
        peers=(Peers("slurm_controller"),),
        ports=("slurm_node_port",),
        workload=Workload.JOBS,
        effect="slurmd may restart; jobs keep running",
    ),
    Stage(
        "slurm_rest",
        "slurm_rest",
        ("slurm_rest",),
        each("munge") + some("slurm_controller"),
        variables=("ansible_host",),  # in its certificate
        certificates=True,
        services=("slurmrestd", "slurm-rest-tls"),
        ports=("slurm_rest_port",),
        effect="the Slurm REST service may be away for seconds",
    ),
    Stage(
        "charts",
        LOCALHOST,
        runner=StageRunner.CHARTS,
        needs=every("artifacts", "kubernetes_addons") + some("slurm_rest", "kubernetes_node"),
        artifacts=releases.ARTIFACTS,
        peers=(Peers("slurm_rest", (*_ADDRESS, "slurm_rest_port"), first=True),),
        folders=("charts",),
        inhabited=("kubernetes_node",),
        variables=(
            *releases.VARIABLES,
            "slurm_partitions",  # become queues
            "secret_slurm_jwt_key",
            "kubernetes_provider",
            "kubernetes_kubeconfig",
            "kubernetes_context",
            "kubernetes_image_registry",
        ),
        record="kubernetes_control_plane",
        cluster=True,
    ),
    # Its digest is the list of hosts: a fresh site or a new host is proven; `platformctl verify` any time.
    Stage(
        "verify",
        LOCALHOST,
        runner=StageRunner.VERIFY,
        needs=every("charts") + some("slurm_node"),
        peers=(Peers("all"),),
        record="kubernetes_control_plane",
        cluster=True,
    ),
)
