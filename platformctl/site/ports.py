"""The ports of a site's hosts as one table: what listens, who connects to it, and who must not.

Three things are made of it, so that they cannot differ: what preflight tries between hosts, the packet
rules of role firewall, and what `platformctl network` prints for a site with a firewall of its own. Pure,
and it imports only the standard library, because a filter of a role uses it too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Pods(StrEnum):
    """Whether pods may connect to a port of a host."""

    NEVER = "never"
    BY_POLICY = "by policy"
    """The network policies of the pod's namespace decide."""
    ALWAYS = "always"


@dataclass(frozen=True)
class Port:
    """A port that the hosts of a group listen on.

    number: or the name of the variable that says which, or a function of the host's variables (0: none).
    use: what listens there, for people. reached_from: groups whose hosts connect to it; without any, only the
    host itself does. also: groups whose hosts may connect, though the site works without; `all` is each host.
    guarded: packets from elsewhere are dropped. users: people who are logged in to a host, and their jobs,
    may connect from the hosts that may; otherwise only services may. pods: whether pods may. clients_at_most:
    connections at a time from one address; 0 for any number.
    warning: some sites do without it. remedy: instead of the usual one.
    """

    number: int | str | Callable[[Mapping[str, Any]], int]
    use: str
    reached_from: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    udp: bool = False
    guarded: bool = True
    users: bool = False
    pods: Pods = Pods.NEVER
    clients_at_most: int = 0
    warning: bool = False
    remedy: str = ""

    @property
    def protocol(self) -> str:
        """As packet rules write it."""
        return "udp" if self.udp else "tcp"

    @property
    def open_to(self) -> tuple[str, ...]:
        """Groups whose hosts may connect."""
        return tuple(dict.fromkeys((*self.reached_from, *self.also)))


def srun_port(variables: Mapping[str, Any]) -> int:
    """The first port of SrunPortRange, at which srun listens for the nodes of its job."""
    options = variables.get("slurm_controller_options")
    given = str(options.get("SrunPortRange", "")) if isinstance(options, Mapping) else ""
    first = given.partition("-")[0]
    return int(first) if first.isdigit() else 0


def any_port(variables: Mapping[str, Any]) -> int:
    """One of the ports that srun takes where the site sets no range."""
    return 0 if srun_port(variables) else 60001


_CONTROL_PLANE, _KUBERNETES = ("kubernetes_control_plane",), ("kubernetes_control_plane", "kubernetes_node")
_SLURM = ("slurm_controller", "slurm_accounting", "slurm_node", "slurm_rest")
_KUBELET = Port(10250, "the kubelet", _KUBERNETES, pods=Pods.BY_POLICY)
# Whoever can send to it can write into the network of the pods.
_POD_NETWORK = Port(8472, "the network of the pods, flannel", _KUBERNETES, udp=True)
_OF_NODES = (
    _KUBELET,
    _POD_NETWORK,
    Port(20244, "kube-router's health"),
    Port(10248, "the kubelet's health"),
    Port(10249, "kube-proxy's metrics"),
)

PORTS: Mapping[str, tuple[Port, ...]] = {
    "registry": (
        Port("registry_port", "the registry", ("containerd", "slurm_node"), also=("all",), users=True),
    ),
    "kubernetes_control_plane": (
        Port(6443, "the Kubernetes API", _KUBERNETES, guarded=False, users=True, pods=Pods.ALWAYS),
        Port(2379, "etcd", _CONTROL_PLANE),
        Port(2380, "etcd's members", _CONTROL_PLANE),
        Port(2381, "etcd's metrics"),
        Port(10257, "the controller manager"),
        Port(10259, "the scheduler"),
        *_OF_NODES,
    ),
    "kubernetes_node": _OF_NODES,
    "slurm_accounting": (
        # sacct asks it from where it is typed.
        Port("slurm_accounting_port", "slurmdbd", ("slurm_controller",), also=_SLURM, users=True),
    ),
    "slurm_controller": (
        Port(
            "slurm_controller_port",
            "the Slurm controller",
            ("slurm_node", "slurm_rest", "slurm_accounting", "slurm_controller"),
            also=_SLURM,
            users=True,
        ),
    ),
    "slurm_node": (
        Port("slurm_node_port", "slurmd", ("slurm_controller", "slurm_node"), also=_SLURM, users=True),
        Port(srun_port, "srun, by SrunPortRange", ("slurm_node",), guarded=False, users=True),
        Port(
            any_port,
            "srun, which takes any port",
            ("slurm_node",),
            guarded=False,
            users=True,
            warning=True,
            remedy="for srun, set SrunPortRange in slurm_controller_options and open that range",
        ),
    ),
    "slurm_rest": (
        Port("slurm_rest_port", "slurmrestd", _KUBERNETES, pods=Pods.BY_POLICY, clients_at_most=128),
    ),
}
"""By the group of hosts that listen."""

DATABASE = Port(3306, "MariaDB")
"""What Debian's MariaDB may listen on beyond its socket. It may be another's: no stage claims it."""

GUARDED: Mapping[str, tuple[Port, ...]] = {
    group: tuple(
        port for port in (*ports, *((DATABASE,) if group == "slurm_accounting" else ())) if port.guarded
    )
    for group, ports in PORTS.items()
}
"""What packet rules protect, by the group of hosts that listen."""
