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
from platformctl.engine.disturbances import (
    Daemon,
    Harm,
    Scope,
    Workload,
    given_to,
    gone,
    keeps_back,
    keeps_more,
    known_before,
    no_number,
    other_cpus,
    other_number,
    static_cpus,
    takes_cpus,
    variables,
)
from platformctl.engine.fleet import LOCALHOST, Fleet, Host
from platformctl.site.devices import KUBERNETES, SLURM
from platformctl.site.node_classes import CLASS
from platformctl.site.port_rules import ADDRESSES
from platformctl.site.ports import PORTS, Port

_ADDRESS = ("ansible_host", "base_address")
_NUMBERS = tuple(
    dict.fromkeys(port.number for ports in PORTS.values() for port in ports if isinstance(port.number, str))
)
"""Variables that say at which port something listens."""


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
class Sized:
    """Hosts whose measured size ends up in this stage's result, where the inventory does not give it.

    given: variables of a host that make measuring it needless. margin: variable with the part of the memory,
    in per cent, that is kept back. passed: variable by which the playbook gets the sizes.
    """

    group: str
    given: tuple[str, ...]
    margin: str
    passed: str


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    group: hosts it runs on; LOCALHOST for a step on the operator's machine. roles: applied in this order.
    artifacts: patterns over names of the artefact index. folders: further files it is made of, relative to
    the data folder. modules: of platformctl, that filters of the roles use.
    variables: read though no role declares them (a role's argument_specs name its own).
    listed: further things of the site that its result contains, by kind; for each name, what belongs to it.
    sized: hosts whose measured size it contains. inhabited: groups that count only as empty or not empty.
    record: for LOCALHOST, the group whose first host keeps the digest, so that every operator sees it; where
    that group is empty, the first host of the site does. cluster: it needs a Kubernetes.
    certificates: it signs certificates with the site's authority, so it must run again before they expire.
    services: systemd units of its hosts that `status` shows, as the first of them says. units: further units
    that must run. ports: what its hosts listen on; preflight tries whether these ports are free and can be
    reached from the hosts that need them.
    proofs: the health checks (engine/checking/proofs) that must pass before it is done on a host.
    unproven: why it has none. one_by_one: its hosts vote, so only one of them at a time may be changed.
    fleetwide: it disturbs that workload on all hosts, not only on its own.
    accounts: it knows the site's users, so users who leave the site leave here.
    effect: what users notice when it runs on a host in service. daemons: what it restarts there. harms: the
    changes that end work of users, and whose.
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
    modules: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    listed: Mapping[str, Callable[[Fleet], Mapping[str, Any]]] = field(default_factory=dict)
    sized: Sized | None = None
    inhabited: tuple[str, ...] = ()
    record: str = ""
    cluster: bool = False
    certificates: bool = False
    services: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()
    unproven: str = ""
    one_by_one: bool = False
    ports: tuple[Port, ...] = ()
    workload: Workload = Workload.NONE
    fleetwide: bool = False
    accounts: bool = False
    effect: str = ""
    daemons: tuple[Daemon, ...] = ()
    harms: tuple[Harm, ...] = ()

    def targets(self, fleet: Fleet) -> tuple[str, ...]:
        """Hosts of the site that this stage runs on, in inventory order."""
        if self.group == LOCALHOST:
            return (LOCALHOST,) if fleet.has_cluster or not self.cluster else ()
        members = fleet.members(self.group)
        return members[:1] if self.first else members

    def abandoned(self, host: Host) -> bool:
        """Whether the host has left the stage's group. Staying in it, but no longer first, is not leaving."""
        return self.group != LOCALHOST and self.group not in host.groups

    @property
    def restarts(self) -> bool:
        """Whether it may restart something on hosts in service, so that one is tried before the others."""
        return self.runner is StageRunner.PLAYBOOK and bool(self.effect)

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


_NETWORKS_HARM = "loses its network, which cannot change under running pods"
_DOMAIN_HARM = "loses its kubelet, which knows the API by its old name alone"
_PORT_HARM = "is lost, as what runs on the nodes reports to the old port"
_KEY_HARM = "loses its Slurm daemons, which refuse the old key"
_CLUSTER_HARM = "is lost, as Slurm refuses the state of a cluster with another name"
_STATE_HARM = "is ended, as slurmctld finds no jobs in the new directory"
_API = Daemon(
    "API server, etcd and controllers",
    (
        *variables("kubernetes_control_plane_*", "kubernetes_pod_network", "kubernetes_service_network"),
        *variables("site_domain", "secret_kubernetes_encryption_key*", "base_address"),
        "peers:kubernetes_control_plane",
    ),
    "the Kubernetes API",
    60,
)
_KUBELET_PARTS = (
    *variables("kubernetes_kubelet_overrides", "kubernetes_kubelet_address", "base_address", "node_owner"),
    *variables("node_slurm_cpus", "node_slurm_memory_mib", "node_system_memory_mib", *CLASS),
    "artifact:kubelet",
)
_SHARES = variables("node_slurm_cpus", "node_slurm_memory_mib", "node_system_memory_mib", "node_owner")
_PODS_GIVEN_AWAY = "ends with all pods of the host, which goes to Slurm; nothing is evicted before"
_JOBS_GIVEN_AWAY = "is lost, as slurmd stops on the host, which goes to Kubernetes"
_OTHER_CLASS = (
    "is admitted anew by its kubelet, which forgets what pods have: it gets other CPUs and memory, "
    "or is ended"
)
_NO_ROOM = "is ended by the kubelet, as too little of the host is left for Kubernetes"
_CORES_HARM = "is ended by Slurm, as the number of cores of its node changes"
_CORES_MAYBE = "is ended by Slurm if its node has another number of cores now, which only the host knows"
_DEVICES_HARM = "is ended by Slurm, as the number of these devices on its node changes"
_CPUS_SHARED = "goes on, also on CPUs that are given to Kubernetes"
_CPUS_KEPT = "goes on, also on CPUs that are kept for the system"
_OTHER_SOCKETS = "may be ended by Slurm, as CPUs have other numbers and sockets now"
_DEVICE_SHARED = "goes on with a device that is given to the other scheduler too"

_CLASS_HARMS = (
    Harm(
        variables("node_cpu_manager", "node_topology_manager", "node_memory_manager", "node_hugepages"),
        Scope.HOST_PODS,
        _OTHER_CLASS,
    ),
    Harm(variables("node_system_cpus"), Scope.HOST_PODS, _OTHER_CLASS, when=static_cpus),
    Harm((*_SHARES, *variables("node_system_cpus")), Scope.HOST_UNFIT, _NO_ROOM, when=keeps_back),
)

_PARTS = (
    *("node_owner", "node_slurm_cpus", "node_slurm_memory_mib", "node_devices"),
    *("node_system_cpus", "node_system_memory_mib", "node_hugepages"),
)
_OFFERING = ("*/k8s-rdma-shared-dev-plugin", "*/dra-example-driver")
"""Images of those who offer devices beside the device plugins."""
_NODE_PARTS = tuple(f"platformctl.site.{name}" for name in ("devices", "processors", "node_classes"))
_RUNTIMES = ("platformctl.site.runtimes",)
_NODE_BINARIES = ("kubeadm", "kubelet", "kubectl", "flannel-cni")

STAGES: tuple[Stage, ...] = (
    Stage(
        "preflight",
        "all",
        ("preflight",),
        runner=StageRunner.PREFLIGHT,
        unproven="it brings nothing up: its findings are the result",
    ),
    Stage(
        "artifacts",
        LOCALHOST,
        runner=StageRunner.ARTIFACTS,
        unproven="it brings nothing up: every artefact is compared with its digest",
    ),
    Stage(
        "base",
        "all",
        ("base", "users", "shared_home", "firewall"),
        # A corrupted artefact is refused before any host is touched.
        each("preflight") + every("artifacts"),
        modules=("platformctl.site.ports", "platformctl.site.port_rules"),
        peers=(
            Peers("all", ADDRESSES),
            *(Peers(group, _NUMBERS) for group in PORTS),
            Peers("kubernetes_control_plane", first=True),
            Peers("registry", first=True),
            Peers("slurm_rest", first=True),
        ),
        units=("platformctl-firewall", "platformctl-package-floors.timer"),
        proofs=("names", "home", "firewall"),
        accounts=True,
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
        daemons=(
            Daemon(
                "docker-registry",
                variables("registry_port", "registry_data_path"),
                "the registry, so pulls of images",
                5,
            ),
        ),
        proofs=("registry",),
        ports=PORTS["registry"],
    ),
    Stage(
        "containerd",
        "containerd",
        ("containerd",),
        each("base"),
        modules=_RUNTIMES,
        listed={"runtime": partitions.runtime_hosts},
        units=("containerd",),
        proofs=("containerd",),
        workload=Workload.PODS,
        effect="containerd may restart; containers keep running",
        daemons=(
            Daemon(
                "containerd",
                variables(
                    "containerd_restrict_oom_score_adj",
                    "containerd_systemd_cgroup",
                    "containerd_service_limits",
                ),
                "starts of containers, and open logs and shells of pods",
                5,
            ),
        ),
    ),
    Stage(
        "kubernetes_control_plane",
        "kubernetes_control_plane",
        ("kubernetes_control_plane",),
        each("containerd") + every("registry"),
        modules=(*_NODE_PARTS, *_RUNTIMES),
        artifacts=(*_NODE_BINARIES, "etcdctl", "*/kube-*", "*/etcd", "*/coredns", "*/pause"),
        peers=(Peers("kubernetes_control_plane"),),
        units=(
            "kubelet",
            "platformctl-kubelet-certificates.timer",
            "platformctl-kubernetes-certificates.timer",
            "platformctl-etcd-defragment.timer",
        ),
        proofs=("api", "etcd", "etcd_space", "kubelet", "pull"),
        one_by_one=True,
        ports=PORTS["kubernetes_control_plane"],
        workload=Workload.PODS,
        fleetwide=True,
        effect="the Kubernetes API may be away for seconds; pods keep running",
        daemons=(_API, Daemon("kubelet", _KUBELET_PARTS)),
        harms=(
            Harm(
                variables("kubernetes_pod_network", "kubernetes_service_network"),
                Scope.ALL_PODS,
                _NETWORKS_HARM,
            ),
            Harm(variables("site_domain"), Scope.ALL_PODS, _DOMAIN_HARM),
            *_CLASS_HARMS,
        ),
    ),
    Stage(
        "kubernetes_node",
        "kubernetes_node",
        ("kubernetes_node",),
        each("containerd") + every("kubernetes_control_plane"),
        modules=(*_NODE_PARTS, *_RUNTIMES),
        listed={"runtime": partitions.runtime_hosts},
        artifacts=(*_NODE_BINARIES, "*/kube-proxy", "*/pause"),
        variables=("ansible_host",),  # the kubelet's own address
        units=("kubelet",),
        proofs=(
            *("kubelet", "pull", "node", "node_class", "service_address", "pod_network"),
            *("device_health", "cdi"),
        ),
        ports=PORTS["kubernetes_node"],
        workload=Workload.PODS,
        effect="kubelet may restart; pods keep running",
        daemons=(Daemon("kubelet", (*_KUBELET_PARTS, *variables("ansible_host"))),),
        harms=(
            Harm(variables("node_owner"), Scope.HOST_PODS, _PODS_GIVEN_AWAY, when=given_to(SLURM)),
            *_CLASS_HARMS,
            Harm(variables("node_devices"), Scope.HOST_HOLDERS, _DEVICE_SHARED),
        ),
    ),
    Stage(
        "kubernetes_network",
        "kubernetes_control_plane",
        ("kubernetes_network",),
        every("kubernetes_control_plane"),
        first=True,
        artifacts=("*/flannel", "*/kube-router"),
        proofs=("node", "flannel", "service_address", "pod_network"),
    ),
    Stage(
        "kubernetes_addons",
        "kubernetes_control_plane",
        ("kubernetes_addons",),
        every("kubernetes_network"),
        first=True,
        artifacts=(
            "*/metrics-server",
            "*/local-path-provisioner",
            "*/busybox",
            "*/*device-plugin",
            *_OFFERING,
        ),
        modules=(*_NODE_PARTS, *_RUNTIMES),
        listed={"runtime": partitions.runtime_hosts},
        peers=(Peers("kubernetes_node", ("node_devices", "node_owner")),),
        proofs=("addons", "devices", "cluster_names"),
        certificates=True,
    ),
    Stage(
        "munge",
        "munge",
        ("munge",),
        each("base"),
        units=("munge",),
        proofs=("munge",),
        workload=Workload.JOBS,
        effect="munged may restart; Slurm retries for seconds",
        daemons=(Daemon("munge", variables("secret_munge_key"), "Slurm's commands", 5),),
        harms=(Harm(variables("secret_munge_key"), Scope.HOST_JOBS, _KEY_HARM),),
    ),
    Stage(
        "slurm_accounting",
        "slurm_accounting",
        ("slurm_accounting",),
        each("munge"),
        services=("slurmdbd",),
        units=("mariadb",),
        proofs=("slurmdbd", "accounting"),
        ports=PORTS["slurm_accounting"],
        effect="slurmdbd may restart; slurmctld keeps records until it is back",
        daemons=(
            Daemon(
                "slurmdbd",
                variables(
                    *("slurm_accounting_options", "slurm_accounting_port", "slurm_accounting_database*"),
                    *("secret_slurm_accounting_password", "secret_slurm_jwt_key"),
                ),
                "sacct and sacctmgr",
                10,
            ),
            Daemon("mariadb", variables("slurm_accounting_buffer_pool"), "sacct and sacctmgr", 10),
        ),
    ),
    Stage(
        "slurm_controller",
        "slurm_controller",
        ("slurm_controller",),
        each("munge") + every("slurm_accounting"),
        modules=_NODE_PARTS,
        peers=(
            Peers("slurm_node", (*_ADDRESS, "slurm_node_*", *_PARTS)),
            Peers("slurm_controller"),
            Peers("slurm_accounting"),
        ),
        services=("slurmctld",),
        proofs=("slurmctld", "drains", "accounting"),
        ports=PORTS["slurm_controller"],
        listed={
            "node": partitions.nodes,
            "partition": partitions.partitions,
            "cores": partitions.cores,
            "share": partitions.shares,
            "kept": partitions.kept,
            "devices": partitions.counted_devices,
            "devicefiles": partitions.device_files,
            "logins": partitions.logins,
        },
        sized=Sized(
            "slurm_node",
            ("slurm_node_cpus", "slurm_node_memory_mib"),
            "slurm_node_memory_margin_percent",
            "_slurm_controller_measured",
        ),
        workload=Workload.JOBS,
        fleetwide=True,
        accounts=True,
        effect="slurmctld reads its configuration again; jobs keep running",
        daemons=(Daemon("slurmctld", variables("slurm_controller_port"), "Slurm's queue", 10),),
        harms=(
            Harm(variables("slurm_cluster_name"), Scope.QUEUE, _CLUSTER_HARM),
            Harm(variables("slurm_controller_state_directory"), Scope.QUEUE, _STATE_HARM),
            Harm(variables("slurm_controller_port", "slurm_node_port"), Scope.ALL_JOBS, _PORT_HARM),
            # A node that only leaves its partitions keeps its jobs.
            Harm(("node:*",), Scope.NODE_JOBS, "fails, as Slurm has no such node any more", gone),
            Harm(
                ("partition:*",), Scope.PARTITION_JOBS, "fails, as Slurm has no such partition any more", gone
            ),
            Harm(("cores:*",), Scope.NODE_JOBS, _CORES_HARM, other_number),
            # A node that is divided, or whose size is measured, has as many cores as its host says.
            Harm(("cores:*",), Scope.NODE_JOBS, _CORES_MAYBE, no_number),
            Harm(("size:*",), Scope.NODE_JOBS, _CORES_HARM, other_cpus),
            Harm(("devices:*",), Scope.NODE_HOLDERS, _DEVICES_HARM, known_before),
            Harm(("devicefiles:*",), Scope.NODE_HOLDERS, _DEVICE_SHARED, known_before),
            Harm(("share:*",), Scope.NODE_JOBS, _CPUS_SHARED, takes_cpus),
            Harm(("kept:*",), Scope.NODE_JOBS, _CPUS_KEPT, keeps_more),
            Harm(variables("slurm_controller_socket"), Scope.ALL_JOBS, _OTHER_SOCKETS),
        ),
    ),
    Stage(
        "slurm_node",
        "slurm_node",
        ("slurm_node",),
        each("munge") + some("slurm_controller"),  # a backup serves the configuration as well
        modules=_NODE_PARTS,
        peers=(Peers("slurm_controller"),),
        units=("slurmd", "platform-images.timer"),
        proofs=("slurm_node", "job_step", "container_command", "device_health"),
        ports=PORTS["slurm_node"],
        workload=Workload.JOBS,
        effect="slurmd may restart; jobs keep running",
        daemons=(
            Daemon(
                "slurmd",
                (
                    *variables("slurm_node_service_limits", "slurm_node_port", "slurm_controller_port"),
                    "peers:slurm_controller",
                ),
            ),
        ),
        harms=(Harm(variables("node_owner"), Scope.HOST_JOBS, _JOBS_GIVEN_AWAY, when=given_to(KUBERNETES)),),
    ),
    Stage(
        "slurm_rest",
        "slurm_rest",
        ("slurm_rest",),
        each("munge") + some("slurm_controller"),
        variables=("ansible_host",),  # in its certificate
        certificates=True,
        services=("slurmrestd", "slurm-rest-tls"),
        proofs=("slurmrestd",),
        ports=PORTS["slurm_rest"],
        effect="the Slurm REST service may be away for seconds",
        daemons=(
            Daemon(
                "slurm-rest-tls",
                variables("slurm_rest_port", "slurm_rest_max_connections"),
                "the Slurm REST service, so Jobs to Slurm",
                5,
            ),
        ),
    ),
    Stage(
        "charts",
        LOCALHOST,
        runner=StageRunner.CHARTS,
        needs=every("artifacts", "kubernetes_addons") + some("slurm_rest", "kubernetes_node"),
        artifacts=releases.ARTIFACTS,
        peers=(
            # Pods of users must not connect to any of them.
            Peers("all", ADDRESSES),
            Peers("kubernetes_control_plane", ADDRESSES),
            Peers("slurm_rest", (*_ADDRESS, "slurm_rest_port"), first=True),
        ),
        folders=("charts",),
        modules=(*_NODE_PARTS, "platformctl.site.port_rules"),
        listed={"resource": partitions.resources},
        inhabited=("kubernetes_node",),
        variables=(
            *releases.VARIABLES,
            "slurm_partitions",  # become queues
            "kubernetes_provider",
            "kubernetes_kubeconfig",
            "kubernetes_context",
            "kubernetes_image_registry",
        ),
        proofs=("platform", "admission"),
        record="kubernetes_control_plane",
        cluster=True,
        accounts=True,
    ),
    # Its digest is the list of hosts: a fresh site or a new host is proven; `platformctl verify` any time.
    Stage(
        "verify",
        LOCALHOST,
        runner=StageRunner.VERIFY,
        needs=every("charts") + some("slurm_node"),
        peers=(Peers("all"),),
        unproven="it is itself the proof of all others",
        record="kubernetes_control_plane",
        cluster=True,
    ),
)
