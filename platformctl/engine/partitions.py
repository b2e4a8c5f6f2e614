"""The nodes, partitions and generic resources of slurm.conf, and the hosts of runtime classes.

As roles make them.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from platformctl.engine.fleet import Fleet
from platformctl.site import devices, processors, runtimes
from platformctl.site.role_defaults import default
from platformctl.vocabulary import GPU

ALL = "all"
_SHAPE = ("cpus", "sockets", "cores_per_socket", "threads_per_core")


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


def cores(fleet: Fleet) -> dict[str, str]:
    """The cores of each node, as far as the inventory alone says how many they are."""
    found = {name: _cores(fleet.hosts[name].variables) for name in nodes(fleet)}
    return {name: number for name, number in found.items() if number}


def shares(fleet: Fleet) -> dict[str, str]:
    """The CPUs that Slurm has of each node as the kernel lists them; `all` if it is not divided."""
    hosts = {name: fleet.hosts[name].variables for name in nodes(fleet)}
    return {
        name: str(variables["node_slurm_cpus"]) if processors.is_split(variables) else ALL
        for name, variables in hosts.items()
    }


def logins(fleet: Fleet) -> dict[str, str]:
    """Whether a node lets in users with a job there: then jobs need their control group from the start."""
    ways = {str(fleet.hosts[name].variables.get("users_login")) for name in nodes(fleet)}
    return {"with_job": "Contain"} if "with_job" in ways else {}


def kept(fleet: Fleet) -> dict[str, str]:
    """The CPUs that no scheduler gives away, of nodes that keep some: a list of CPUs, or `2 cores`."""
    hosts = {name: fleet.hosts[name].variables for name in nodes(fleet)}
    found = {
        name: str(variables.get("node_system_cpus") or "")
        or (f"{count} cores" if (count := variables.get("slurm_node_core_spec_count")) else "")
        for name, variables in hosts.items()
    }
    return {name: words for name, words in found.items() if words}


def counted_devices(fleet: Fleet) -> dict[str, str]:
    """How many device files of each generic resource a node has, as NODE/RESOURCE.

    Resources that are only counted, without files, are left out.
    """
    return {name: str(len(files)) for name, files in device_files(fleet).items()}


def device_files(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The devices of each generic resource of a node in the order of gres.conf, as NODE/RESOURCE."""
    found: dict[str, tuple[str, ...]] = {}
    for name in nodes(fleet):
        host = fleet.hosts[name]
        by_hand = _by_hand(host.variables)
        for row in devices.owned(devices.on_host(host.variables, host.groups), devices.SLURM):
            if row.files:
                files = tuple(",".join(files) for files in row.devices)
                by_hand[row.name] = (*by_hand.get(row.name, ()), *files)
        found |= {f"{name}/{resource}": files for resource, files in by_hand.items()}
    return found


def runtime_hosts(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The hosts that are to run each runtime class."""
    hosts = [fleet.hosts[name] for name in fleet.members(runtimes.NODE_GROUP)]
    return {
        row.name: tuple(host.name for host in hosts if row.on(host.name, frozenset(host.groups)))
        for row in runtimes.table(fleet.variables)
    }


def _cores(variables: Mapping[str, Any]) -> str:
    """A number, `divided` if the host is asked, or nothing if it is measured."""
    known = {key: variables.get(f"slurm_node_{key}") for key in _SHAPE}
    if known["sockets"] and known["cores_per_socket"]:
        return str(_number(known["sockets"]) * _number(known["cores_per_socket"]))
    if processors.is_split(variables) or variables.get("node_system_cpus"):
        return "divided"
    return str(_number(known["cpus"]) // max(1, _number(known["threads_per_core"]))) if known["cpus"] else ""


def _number(value: Any) -> int:
    return int(value) if str(value).isdigit() else 1


def _by_hand(variables: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The devices of slurm_node_gres: the files that are given, or those that simulate them."""
    given, files = variables.get("slurm_node_gres"), variables.get("slurm_node_gres_devices")
    found: dict[str, tuple[str, ...]] = {}
    for words in given if isinstance(given, list) else ():
        name, *model, count = f"{words}".split(":") if ":" in f"{words}" else (f"{words}", "1")
        if isinstance(files, Mapping) and name in files:
            found[name] = tuple(",".join(each) for each in devices.expand(str(files[name])))
        elif variables.get("slurm_node_config_overrides"):
            kind = ":".join((name, *model))
            found[name] = (*found.get(name, ()), *(f"{kind}:{number}" for number in range(_number(count))))
    return found


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
