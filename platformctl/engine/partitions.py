"""The nodes, partitions and generic resources of slurm.conf, as role slurm_controller makes them."""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from platformctl.engine.fleet import Fleet
from platformctl.site import devices
from platformctl.site.role_defaults import default
from platformctl.vocabulary import GPU


def nodes(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The names of the nodes. Nothing belongs to a node, so it is added or removed but never changes."""
    return dict.fromkeys(fleet.members("slurm_node"), ())


def partitions(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Names of the nodes by partition, in the order of slurm.conf; ALL for every node.

    Jinja is not evaluated: a name made by it counts as no node, and slurm_partitions made by it as none.
    """
    given = fleet.variables.get("slurm_partitions", default("slurm_partitions", list))
    if isinstance(given, str):
        return {}
    known = nodes(fleet)
    return {str(one.get("name")): tuple(dict.fromkeys(_nodes(one, fleet, known))) for one in given}


def resources(fleet: Fleet) -> dict[str, str]:
    """The generic resources of Slurm by the name that their devices have in Kubernetes.

    Without GPUs of NVIDIA, which every site knows. Rows of tables that are made by Jinja are left out.
    """
    hosts = (fleet.hosts[name] for name in nodes(fleet))
    tables = (devices.on_host(host.variables, host.groups) for host in hosts)
    rows = (row for table in tables for row in devices.owned(table, devices.SLURM))
    return {
        row.resource: row.name for row in sorted(rows, key=lambda row: row.resource) if row.resource != GPU
    }


def _nodes(partition: Mapping[str, Any], fleet: Fleet, known: Container[str]) -> Iterable[str]:
    wanted = partition.get("nodes", "all")
    for name in [wanted] if isinstance(wanted, str) else wanted:
        if name == "all":
            yield "ALL"
        else:
            yield from (host for host in fleet.members(name) or (name,) if host in known)
