"""Rules on who offers devices in Kubernetes: one for the GPUs of a node, and only what it can offer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.site import devices
from platformctl.site.devices import DRA, GPU, KUBERNETES, NVIDIA_PLUGIN, PLATFORMCTL, RDMA, RDMA_PLUGIN, Row
from platformctl.site.mistakes import Key

Found = Iterator[tuple[tuple[Key, ...], str, str]]
_NVIDIA = "nvidia"


def row(index: int, row: Mapping[str, Any]) -> Found:
    """What one row asks of a plugin or driver that it cannot do."""
    who = row.get("offered_by") or PLATFORMCTL
    place: tuple[Key, ...] = (index, "offered_by")
    if row.get("dra_driver") and who != DRA:
        yield (index, "dra_driver"), "counts with offered_by: dra only", "set offered_by, or remove it"
    if row.get("interfaces") and who != RDMA_PLUGIN:
        remedy = "set offered_by, or remove it"
        yield (index, "interfaces"), f"counts with offered_by: {RDMA_PLUGIN} only", remedy
    if row.get("cdi") and who != PLATFORMCTL:
        remedy = "remove it: plugins of vendors and DRA drivers write CDI files of their own"
        yield (index, "cdi"), "counts with offered_by: platformctl only", remedy
    if who == DRA and (row.get("sharing") or row.get("slices")):
        what = "sharing" if row.get("sharing") else "slices"
        remedy = "remove it: the driver's configuration and the ResourceClaim say how devices are shared"
        yield (index, what), "does not count with offered_by: dra", remedy
    if who == NVIDIA_PLUGIN:
        if row.get("kind") != GPU or row.get("vendor") != _NVIDIA:
            yield place, "offers GPUs of nvidia only", "use platformctl, or set kind and vendor"
        elif row.get("resource"):
            problem = f"does not count: {NVIDIA_PLUGIN} names its resources itself"
            yield (index, "resource"), problem, "remove it"
    if who == RDMA_PLUGIN and row.get("kind") != RDMA:
        yield place, "offers RDMA only", "use platformctl, or set kind to rdma"
    elif who == RDMA_PLUGIN and not row.get("interfaces"):
        problem = f"has no interfaces, and {RDMA_PLUGIN} finds its devices by them"
        yield (index,), problem, "write the network interfaces of its devices, such as interfaces: [ib0]"


def host(variables: Mapping[str, Any], table: Sequence[Row]) -> Found:
    """Who would offer a node's GPUs twice, or GPUs that are another's."""
    rows = [one for one in table if one.kind == GPU]
    of_kubernetes = {one.index for one in devices.owned(variables, KUBERNETES) if one.kind == GPU}
    offered = [one for one in rows if one.index in of_kubernetes]
    offering = {one.plugin for one in offered}
    if len(offering) > 1 and DRA in offering:
        late = next(one for one in offered if one.plugin != offered[0].plugin)
        problem = "a device plugin and a DRA driver would both offer GPUs of one node"
        yield (late.index,), problem, "set offered_by alike for all GPUs of the host"
        return
    if NVIDIA_PLUGIN not in offering:
        return
    for one in rows:
        if one.vendor != _NVIDIA or (one.plugin == NVIDIA_PLUGIN and one.index in of_kubernetes):
            continue
        problem = f"{NVIDIA_PLUGIN} offers all GPUs of a host, so also this one"
        remedy = (
            f"give all GPUs of the host to kubernetes with offered_by: {NVIDIA_PLUGIN}, or use platformctl"
        )
        yield (one.index,), problem, remedy


def drivers(table: Sequence[Row], known: dict[str, str]) -> Found:
    """Resources that two DRA drivers would stand for. known: the driver of each, of the hosts before."""
    for one in table:
        if one.driver and known.setdefault(one.resource, one.driver) != one.driver:
            problem = f"would offer {one.resource}, which {known[one.resource]} offers elsewhere in the site"
            yield (one.index, "dra_driver"), problem, "give one of both another resource"
