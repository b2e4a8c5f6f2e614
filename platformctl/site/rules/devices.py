"""Rules on the tables of devices: each device once and with one owner, whom both schedulers can obey."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from platformctl.site import devices
from platformctl.site.devices import GPU, KUBERNETES, OTHER, SHARED, SLURM, Row
from platformctl.site.inventory import Source
from platformctl.site.mistakes import Key, Mistake
from platformctl.site.rules import device_offers
from platformctl.site.rules.facts import Facts
from platformctl.site.values import templated

VARIABLE = "node_devices"


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of the tables. One that several hosts have from one place is told once."""
    told: set[tuple[object, ...]] = set()
    drivers: dict[str, str] = {}
    for host in facts.effective.hosts:
        rows = facts.variables[host].get(VARIABLE)
        if not isinstance(rows, list):
            continue
        table = devices.table(facts.variables[host])
        found = chain(_of_host(facts, host, rows, table), device_offers.drivers(table, drivers))
        for keys, problem, remedy in found:
            source = facts.effective.origin(host, VARIABLE)
            place = (str(source.document.path), source.entity, keys, problem)
            if place not in told:
                told.add(place)
                yield _mistake(source, rows, keys, problem, remedy)


_Found = Iterator[tuple[tuple[Key, ...], str, str]]


def _mistake(source: Source, rows: list[Any], keys: tuple[Key, ...], problem: str, remedy: str) -> Mistake:
    value: Any = rows
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return source.mistake((VARIABLE, *keys), value if keys[1:] else None, problem, remedy)


def _of_host(facts: Facts, host: str, rows: list[Any], table: Sequence[Row]) -> _Found:
    variables = facts.variables[host]
    for index, row in enumerate(rows):
        if isinstance(row, Mapping):
            yield from _row(index, row)
            yield from _owner(facts, host, index, row)
    yield from _twice(table)
    yield from _resources(table)
    yield from device_offers.host(variables, table)
    yield from _by_hand(variables, table)
    yield from _unconfined(facts, variables, table)


def _row(index: int, row: Mapping[str, Any]) -> _Found:
    """What contradicts itself in one row."""
    kind = row.get("kind")
    here: tuple[Key, ...] = (index,)
    if kind == OTHER and not row.get("name"):
        yield here, "has no name, and Jobs ask for devices of kind other by it", "give it one, such as fpga"
    if kind == OTHER and row.get("name") in (GPU, devices.RDMA, "shard", "mps"):
        remedy = f"set kind to {row['name']}" if row["name"] in (GPU, devices.RDMA) else "use another name"
        yield (*here, "name"), "is the name of another kind of devices", remedy
    if kind in (GPU, devices.RDMA) and row.get("name"):
        yield (*here, "name"), f"does not count: Jobs ask for {kind}", "remove it; a type is written as type"
    if bool(row.get("files")) == bool(row.get("count")):
        problem = "has both files and a count" if row.get("files") else "has neither files nor a count"
        yield here, problem, "list its device files; or, if it has none, write how many there are as count"
    elif row.get("count") and kind in (GPU, devices.RDMA):
        remedy = "list the device files: nothing could keep a job from devices that it did not ask for"
        yield (*here, "count"), f"is no way to write devices of kind {kind}", remedy
    if row.get("slices") and (kind != GPU or row.get("sharing")):
        what = "GPUs" if kind != GPU else "whole GPUs, and its slices are given away one by one"
        yield (*here, "slices"), f"counts for {what} only", "remove it" if kind != GPU else "remove sharing"
    yield from _sharing(index, row)
    yield from _health(index, row)
    yield from _cdi(index, row)
    yield from device_offers.row(index, row)


def _cdi(index: int, row: Mapping[str, Any]) -> _Found:
    """Names in CDI that are none, or not one for each device."""
    place = (index, "cdi")
    try:
        names, there = devices.cdi(row), devices.devices(row)
    except devices.DeviceError as error:
        if row.get("cdi") and "CDI" in str(error):
            yield place, str(error), "write the names that `nvidia-ctk cdi list` shows on the host"
        return
    if names and len(names) != len(there):
        yield (
            place,
            f"has {len(names)} names for {len(there)} devices",
            "write one for each, in the order of files",
        )


def _health(index: int, row: Mapping[str, Any]) -> _Found:
    """Health checks that cannot judge such devices."""
    check, command = row.get("health_check"), row.get("health_command")
    place = (index, "health_check")
    if check in (devices.XID, devices.LINK, devices.COMMAND) and not row.get("files"):
        yield place, "judges devices with files only", "remove it"
    elif check == devices.XID and (row.get("kind") != GPU or row.get("vendor") != "nvidia"):
        problem = "is for GPUs of nvidia: other drivers write no Xid"
        yield place, problem, "use command, with a program that judges such a device"
    elif check == devices.LINK and row.get("kind") != devices.RDMA:
        yield place, "is for devices of kind rdma: others have no ports", "use command, or files"
    if (check == devices.COMMAND) != bool(command):
        missing = "health_command" if check == devices.COMMAND else "health_check: command"
        problem = f"has no {missing}, and one needs the other"
        yield (index,), problem, f"write the {missing}, or remove the other one"


def _sharing(index: int, row: Mapping[str, Any]) -> _Found:
    sharing = row.get("sharing")
    if not isinstance(sharing, Mapping):
        return
    if sharing.get("how") == "mps" and (row.get("kind") != GPU or row.get("owner") == KUBERNETES):
        problem = "is offered by Slurm only, and for GPUs only"
        yield (index, "sharing", "how"), problem, "use time, or a plugin of the site's own (offered_by)"
    if row.get("kind") == OTHER:
        remedy = "remove it; count says how many may hold devices without files"
        yield (index, "sharing"), "counts for GPUs and RDMA only", remedy


def _owner(facts: Facts, host: str, index: int, row: Mapping[str, Any]) -> _Found:
    """Who owns the row, and whether the host is a node of that scheduler."""
    variables = facts.variables[host]
    given, of_host = row.get("owner"), variables.get("node_owner")
    if templated(given) or templated(of_host):
        return
    if not given and of_host not in (SLURM, KUBERNETES):
        problem = f"has no owner, and {host} is a shared node" if of_host == SHARED else "has no owner"
        yield (index,), problem, "write owner: slurm or owner: kubernetes"
        return
    owner = devices.owner_of(row, variables)
    group = devices.NODE_GROUPS.get(owner, "")
    if group and host not in facts.members(group):
        place: tuple[Key, ...] = (index, "owner") if given else (index,)
        problem = f"{owner} owns it, and {host} is no node of {owner.capitalize()}"
        yield place, problem, f"put {host} into {group} and set node_owner to shared, or change the owner"
    elif given and of_host in (SLURM, KUBERNETES) and given != of_host:
        problem = f"contradicts node_owner of {host}, which is {of_host}"
        yield (index, "owner"), problem, "set node_owner to shared, or remove the owner here"


def _twice(table: Sequence[Row]) -> _Found:
    """Devices that are listed twice. Each needs a file that no other has; slices of a GPU share its own."""
    listed = [(row, files) for row in table for files in row.devices if files]
    uses = Counter(file for _, files in listed for file in set(files))
    equal = Counter(files for _, files in listed)
    for row, files in listed:
        if any(uses[file] == 1 for file in files):
            continue
        if equal[files] > 1:
            # The last one of them is told.
            equal[files] -= 1
            continue
        owners = sorted({other.owner for other, others in listed if files[-1] in others})
        problem = f"{files[-1]} is listed twice" + (f", for {' and for '.join(owners)}" if owners[1:] else "")
        remedy = "leave it in one row, that of its owner; a GPU is listed either whole or by its slices"
        yield (row.index, "files"), problem, remedy


def _resources(table: Sequence[Row]) -> _Found:
    """What pods could not tell apart."""
    of_kubernetes = [row for row in table if row.owner == KUBERNETES]
    first: dict[str, Row] = {}
    for row in of_kubernetes:
        other = first.setdefault(row.resource, row)
        for what in ("type", "holders", "checked", "plugin", "driver"):
            if other is not row and getattr(other, what) != getattr(row, what):
                problem = f"is {row.resource} like row {other.index + 1}, with another {_WORDS[what]}"
                remedy = "give it a resource of its own: pods could not choose, and one plugin offers all"
                yield (row.index,), problem, remedy
                break


_WORDS = {
    "type": "type",
    "holders": "sharing",
    "checked": "health_check",
    "plugin": "offered_by",
    "driver": "dra_driver",
}


def _by_hand(variables: Mapping[str, Any], table: Sequence[Row]) -> _Found:
    """Generic resources of Slurm that are written beside the table."""
    given = variables.get("slurm_node_gres")
    by_hand = {str(word).partition(":")[0] for word in given if not templated(word)} if given else set()
    for row in table:
        if row.name in by_hand:
            problem = f"{row.name} is in slurm_node_gres too, which contradicts the table"
            remedy = f"remove {row.name} from slurm_node_gres and slurm_node_gres_devices of the host"
            yield (row.index,), problem, remedy


def _unconfined(facts: Facts, variables: Mapping[str, Any], table: Sequence[Row]) -> _Found:
    """Devices that both schedulers' work could open, because nothing confines the jobs of Slurm."""
    cgroup = facts.shared("slurm_cgroup")
    if cgroup and cgroup[1] == "none" and devices.closed_to_slurm(variables):
        if variables.get("node_owner") != SHARED:
            return
        index = next(row.index for row in table if row.owner == KUBERNETES)
        problem = "jobs of Slurm could open it: slurm_cgroup is none, so nothing confines them"
        yield (index,), problem, "set slurm_cgroup to auto, or node_owner to one scheduler"
