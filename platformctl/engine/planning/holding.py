"""Pods that a node of Kubernetes has no room or no device for any more, by what the inventory says of it.

A kubelet that starts admits the pods again that run there, the oldest first, and ends those that do not fit.
"""

from collections.abc import Iterator
from fractions import Fraction

from platformctl.engine.fleet import Host
from platformctl.engine.planning.work import Node, Pod, Work
from platformctl.site import devices, node_classes

_MIB = 2**20
# What the kubelet keeps back before it evicts, unless the site says otherwise.
_EVICTION_MIB = 100


def unfit(work: Work, host: Host) -> Iterator[Pod]:
    """The pods of users that a kubelet with the host's new shares or class ends."""
    node = work.nodes.get(host.name)
    if node is None:
        return
    left = dict(_shares(host, node))
    for pod in sorted(
        work.pods_on.get(host.name, ()), key=lambda pod: (pod.created, pod.namespace, pod.name)
    ):
        wanted = {name: pod.requests.get(name, Fraction(0)) for name in left}
        if all(wanted[name] <= left[name] for name in left):
            left = {name: left[name] - wanted[name] for name in left}
        elif pod.users:
            yield pod


def _shares(host: Host, node: Node) -> Iterator[tuple[str, Fraction]]:
    """The CPUs and the memory that pods may ask for."""
    variables = host.variables
    yield "cpu", node.capacity["cpu"] - len(node_classes.kept_from_pods(variables))
    reserved = node_classes.reserved_mib(variables) + node_classes.hugepages_mib(variables)
    yield "memory", node.capacity["memory"] - (reserved + _EVICTION_MIB) * _MIB


def holders(work: Work, host: Host) -> list[Pod]:
    """The pods of users that hold devices of which Kubernetes gets fewer than it has.

    Which of several equal devices a pod holds is the kubelet's to know, so all that hold one are meant.
    """
    node = work.nodes.get(host.name)
    if node is None:
        return []
    variables = devices.on_host(host.variables, host.groups)
    offered = devices.allocatable(variables)
    ours = {row.resource for row in devices.table(variables)} | {
        name for name in node.capacity if name.startswith(f"{devices.OWN_DOMAIN}/")
    }
    fewer = {name for name in ours if node.capacity.get(name, 0) > offered.get(name, 0)}
    return [pod for pod in work.pods_on.get(host.name, ()) if pod.users and fewer.intersection(pod.requests)]
