"""The nodes of a site with their owners: what the inventory says, and what either scheduler offers.

Each scheduler is asked once, at its first control host. What one does not answer is unknown, and never
taken for a node that is not there.
"""

import asyncio
import json
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.engine import loading, remote
from platformctl.engine.cluster.membership import KUBECTL
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import ownership
from platformctl.jobs.quantity import parse_quantity
from platformctl.site import devices
from platformctl.site.devices import DEVICE_FAULT, KUBERNETES, SHARED, SLURM

UNKNOWN, MISSING = "unknown", "not there"
_GROUPS = {SLURM: ("slurm_node",), KUBERNETES: ("kubernetes_node", "kubernetes_control_plane")}
_KUBERNETES = f"{KUBECTL} get nodes --output=json"
_SLURM = "scontrol --oneliner show nodes"
_SECONDS = 15
_FIELD = re.compile(r"(?:^| )([A-Za-z]+)=(.*?)(?= [A-Za-z]+=|$)")
_GRES = re.compile(r"([A-Za-z0-9_-]+)(?::([^:,()]+))?:(\d+)(?:\([^)]*\))?")


@dataclass(frozen=True)
class Offered:
    """A node under one scheduler.

    state: its word for it; `unknown` if the scheduler did not answer, `not there` if it has no such node.
    reason: why it is drained or down, or which device is faulty. cpus, memory_mib: what it gives to work, in
    whole CPUs and MiB.
    devices: how many, by the scheduler's names: `gpu:a100` and `fpga` of Slurm, resources of Kubernetes.
    """

    state: str
    reason: str = ""
    cpus: float = 0
    memory_mib: int = 0
    devices: Mapping[str, int] | None = None


@dataclass(frozen=True)
class DeviceRow:
    """One row of a node's table of devices.

    index: its place in the table. known_as: its name under its owner. count: how many its owner is to offer.
    offered: how many it does; None if that is not known. files: its own and the common ones. faults: why
    own files of its devices are out of service, by file; None if that is not known, or was not asked.
    """

    index: int
    name: str
    type: str
    owner: str
    known_as: str
    count: int
    offered: int | None
    files: tuple[str, ...] = ()
    faults: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Node:
    """A node of the site. kubernetes, slurm: None if it is, by the inventory, no node of that scheduler."""

    name: str
    owner: str
    kubernetes: Offered | None
    slurm: Offered | None
    devices: tuple[DeviceRow, ...]


async def read(fleet: Fleet, names: Iterable[str] = ()) -> list[Node]:
    """The nodes of the inventory in its order; only those named, if names are given."""
    fleet = loading.evaluated(fleet)
    wanted = set(names)
    kubernetes, slurm = await asyncio.gather(
        _ask(fleet.first("kubernetes_control_plane"), _KUBERNETES),
        _ask(fleet.first("slurm_controller"), _SLURM),
    )
    in_kubernetes, in_slurm = of_kubernetes(kubernetes), of_slurm(slurm)
    chosen = [
        host for host in fleet.hosts.values() if schedulers(host) and (not wanted or host.name in wanted)
    ]
    owners = await _owners(fleet, chosen)
    return [_node(host, owners[host.name], in_kubernetes, in_slurm) for host in chosen]


async def _owners(fleet: Fleet, hosts: Iterable[Host]) -> dict[str, str]:
    """The owner of each host. A host that can move is asked for its present one."""
    named = {host.name: ownership.home(fleet, host.name) for host in hosts}
    movable = [fleet.hosts[name] for name, home in named.items() if home]
    replies = await remote.run_all(movable, dict.fromkeys((host.name for host in movable), ownership.ASK))
    found = {host.name: owner(host) for host in hosts}
    for name, reply in replies.items():
        away, _ = ownership.split(reply.out)
        found[name] = ownership.owner(away, named[name]) if reply.code == 0 else UNKNOWN
    return found


def schedulers(host: Host) -> tuple[str, ...]:
    """The schedulers that a host is a node of, by its groups."""
    return tuple(owner for owner, groups in _GROUPS.items() if host.groups.intersection(groups))


def owner(host: Host) -> str:
    """The owner of a host: what the inventory says, else what its groups mean."""
    of_groups = schedulers(host)
    return str(host.variables.get("node_owner") or (SHARED if len(of_groups) > 1 else of_groups[0]))


def of_kubernetes(text: str | None) -> dict[str, Offered] | None:
    """The nodes in the API's answer; None if it is no answer."""
    try:
        items = json.loads(text or "")["items"]
        return {item["metadata"]["name"]: _of_item(item) for item in items}
    except (KeyError, TypeError, ValueError):
        return None


def of_slurm(text: str | None) -> dict[str, Offered] | None:
    """The nodes in the answer of `scontrol --oneliner show nodes`; None if it is no answer."""
    if not text or not text.startswith("NodeName="):
        return None
    records = (dict(_FIELD.findall(line)) for line in text.splitlines() if line.startswith("NodeName="))
    try:
        return {record["NodeName"]: _of_record(record) for record in records}
    except (KeyError, ValueError):
        return None


def _of_item(item: Mapping[str, Any]) -> Offered:
    status = item["status"]
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    up = ready.get("status") == "True"
    cordoned = bool((item.get("spec") or {}).get("unschedulable"))
    amounts = {name: parse_quantity(str(text)) for name, text in (status.get("allocatable") or {}).items()}
    return Offered(
        ("Ready" if up else "NotReady") + (", cordoned" if cordoned else ""),
        _device_fault(conditions) if up else str(ready.get("message") or ""),
        float(amounts.get("cpu", 0)),
        int(amounts.get("memory", 0) // 2**20),
        {name: int(amount) for name, amount in amounts.items() if "/" in name},
    )


def _device_fault(conditions: Mapping[str, Any]) -> str:
    """What the host says of its faulty devices; empty if none is."""
    fault = conditions.get(DEVICE_FAULT) or {}
    return str(fault.get("message") or "") if fault.get("status") == "True" else ""


def _of_record(record: Mapping[str, str]) -> Offered:
    reason = record.get("Reason", "")
    kept = int(record.get("MemSpecLimit") or 0)
    counts: dict[str, int] = {}
    for name, kind, number in _GRES.findall(record.get("Gres", "")):
        counts[":".join(filter(None, (name, kind)))] = int(number)
    return Offered(
        record["State"].lower(),
        reason,
        float(record.get("CPUEfctv") or record["CPUTot"]),
        int(record["RealMemory"]) - kept,
        counts,
    )


def _node(
    host: Host,
    has_it: str,
    in_kubernetes: Mapping[str, Offered] | None,
    in_slurm: Mapping[str, Offered] | None,
) -> Node:
    of = schedulers(host)
    kubernetes = _offered(in_kubernetes, host.name) if KUBERNETES in of else None
    slurm = _offered(in_slurm, host.name) if SLURM in of else None
    # The devices of a host that moves go with it.
    present = ChainMap({"node_owner": has_it}, host.variables)  # type: ignore[arg-type]
    rows = devices.table(present if has_it in (SLURM, KUBERNETES) else host.variables)
    listed = {
        row.index: row
        for side, under in ((SLURM, slurm), (KUBERNETES, kubernetes))
        for row in _devices([row for row in rows if row.owner == side], under)
    }
    return Node(host.name, has_it, kubernetes, slurm, tuple(listed[row.index] for row in rows))


def _offered(known: Mapping[str, Offered] | None, name: str) -> Offered:
    if known is None:
        return Offered(UNKNOWN)
    return known.get(name) or Offered(MISSING)


def _devices(rows: Iterable[devices.Row], under: Offered | None) -> Iterator[DeviceRow]:
    """The rows of one owner. What is offered under one name is counted for its rows one after the other."""
    left = None if under is None or under.devices is None else dict(under.devices)
    for row in rows:
        known_as, count = row.resource, len(row.devices) * row.holders
        if row.owner == SLURM:
            known_as = ":".join(filter(None, (row.name, row.gres_type)))
            # Slurm counts the turns of a shared GPU under another name.
            count = len(row.devices) if row.kind == devices.GPU else count
        offered = None if left is None else min(count, left.get(known_as, 0))
        if left is not None and offered is not None:
            left[known_as] = left.get(known_as, 0) - offered
        files = (*row.files, *row.common)
        yield DeviceRow(row.index, row.name, row.gres_type, row.owner, known_as, count, offered, files)


async def _ask(host: Host | None, script: str) -> str | None:
    """What a host answers; None if it does not."""
    if host is None:
        return None
    reply = await remote.run(host.connection, script, seconds=_SECONDS)
    return reply.out if reply.code == 0 else None
