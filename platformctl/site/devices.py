"""The table of a host's devices: which there are, whose each is, and how either scheduler calls it.

`node_devices` of a host is a list of rows; a row is one or more devices of one kind. Classes of hosts are
groups of the inventory that set the variable. Everything that is configured for devices comes from here:
gres of Slurm, the list of the device plugin, labels of nodes, and what a job of Slurm may not open. Pure:
no I/O, and it imports only the standard library, because filters of roles use it too.
"""

import hashlib
import json
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.vocabulary import DEVICE_LABELS

SLURM, KUBERNETES, SHARED = "slurm", "kubernetes", "shared"
NODE_GROUPS = {SLURM: "slurm_node", KUBERNETES: "kubernetes_node"}
"""The group of a scheduler's nodes."""
GPU, RDMA, OTHER = "gpu", "rdma", "other"
PLATFORMCTL, PLUGIN, DRA = "platformctl", "plugin", "dra"
NVIDIA_PLUGIN, RDMA_PLUGIN = "nvidia-device-plugin", "rdma-shared-device-plugin"
"""Plugins of vendors (`offered_by`), which platformctl installs where a table names them."""
EXAMPLE_DRIVER = "gpu.example.com"
"""The DRA driver of simulated GPUs, which platformctl installs. A site installs the others."""
FILES, XID, LINK, COMMAND, NONE = "files", "xid", "link", "command", "none"
"""Health checks: what makes a device faulty, beside a missing file. With `none` nothing does."""

OWN_DOMAIN = "platformctl.io"
"""Domain of the resources of devices that no vendor has a name for."""
CLASS_LABEL = f"{OWN_DOMAIN}/device-class"
"""Label of nodes that offer the same devices, by which each gets its device plugin."""
OFFERED_BY = "offered-by-"
"""Start of the names of labels that say which devices another plugin or driver offers on a node."""
DEVICE_FAULT = "DeviceFault"
"""Condition of nodes that says which device is faulty; role device_health sets it."""

_OF_VENDOR = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/xe"}
_RDMA_RESOURCE = "rdma/hca"
_SLICE_RESOURCE = "nvidia.com/mig-{}"
# Of the specification of CDI: vendor, class and name.
_CDI = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z][\w-]*=[A-Za-z0-9][\w.:-]*", re.ASCII)
_RANGE = re.compile(r"(?P<head>[^\[\]]*)\[(?P<inner>[0-9,-]+)\](?P<tail>.*)")
_MOST = 4096


class DeviceError(ValueError):
    """A text that stands for no device; the message says what is wrong with it."""


@dataclass(frozen=True)
class Row:
    """One row of a host's table.

    index: its place in the list, from 0. name: what Jobs ask for on either side. devices: the own files of
    each device; empty tuples for devices without files. common: files that each holder may open besides.
    owner: `slurm` or `kubernetes`. resource: its name in Kubernetes. sharing, holders: how and by how many
    holders one device is used at the same time; 1 is by one alone. cdi: the name of each device in CDI, by
    which its driver's libraries come into containers; empty without. check: its health check. command: of the
    site, that judges it. plugin: who offers it in Kubernetes: platformctl, another plugin, or a DRA driver.
    driver: the name of the DRA driver. interfaces: network interfaces of RDMA devices. fixed: whether the row
    itself names its owner.
    """

    index: int
    kind: str
    name: str
    owner: str
    devices: tuple[tuple[str, ...], ...]
    vendor: str = ""
    type: str = ""
    slices: str = ""
    common: tuple[str, ...] = ()
    resource: str = ""
    sharing: str = ""
    holders: int = 1
    cdi: tuple[str, ...] = ()
    check: str = FILES
    command: tuple[str, ...] = ()
    plugin: str = PLATFORMCTL
    driver: str = ""
    interfaces: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """All own files of its devices, each once."""
        return _each_once(self.devices)

    @property
    def checked(self) -> bool:
        """Whether anything makes its devices faulty."""
        return self.check != NONE

    @property
    def gres_type(self) -> str:
        """The type that Slurm knows it by; empty if there is none."""
        return self.slices or self.type


def table(variables: Mapping[str, Any]) -> tuple[Row, ...]:
    """The rows of a host by its evaluated variables.

    A row that is not written as the schema says, or whose owner is not known, is left out: `validate`
    reports it.
    """
    rows = variables.get("node_devices")
    found = (_row(index, row, variables) for index, row in enumerate(rows if isinstance(rows, list) else ()))
    return tuple(row for row in found if row is not None)


def owned(variables: Mapping[str, Any], owner: str) -> tuple[Row, ...]:
    """The rows of one owner. On a host that can move, rows without an owner of their own are the host's.

    Both schedulers know these, and the one that has the host offers them. variables: with `group_names`, as
    Ansible has them; see `on_host`.
    """
    follows = moves(variables)
    return tuple(row for row in table(variables) if row.owner == owner or (follows and not row.fixed))


def on_host(variables: Mapping[str, Any], groups: Iterable[str]) -> Mapping[str, Any]:
    """The variables of a host with its groups, as the functions here need them."""
    # Not copied: reading a variable may cost an evaluation.
    return ChainMap({"group_names": sorted(groups)}, variables)  # type: ignore[arg-type]


def moves(variables: Mapping[str, Any]) -> bool:
    """Whether a host is a node of both schedulers and belongs to one of them at a time."""
    groups = set(variables.get("group_names") or ())
    return variables.get("node_owner") in NODE_GROUPS and groups.issuperset(NODE_GROUPS.values())


def owner_of(row: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Whose a row is: what it says itself, else the host's owner; empty if that is not one scheduler."""
    owner = row.get("owner") or variables.get("node_owner")
    return str(owner) if owner in (SLURM, KUBERNETES) else ""


def check_of(row: Mapping[str, Any]) -> str:
    """The health check of a raw row: what it says itself, else the one for its kind of devices."""
    if given := row.get("health_check"):
        return str(given)
    if row.get("kind") == GPU and row.get("vendor") == "nvidia":
        return XID
    return LINK if row.get("kind") == RDMA else FILES


def expand(pattern: str) -> tuple[tuple[str, ...], ...]:
    """The devices that an item of `files` means, each with its own files.

    `/dev/nvidia[0-2,5]` are four devices; `/dev/a0,/dev/b0` is one device of two files. Raises DeviceError.
    """
    parts = [_expanded(part.strip()) for part in _split(pattern)]
    counts = {len(part) for part in parts}
    if len(counts) > 1 and counts - {1, max(counts)}:
        raise DeviceError("its parts stand for different numbers of devices")
    most = max(counts, default=0)
    if most > _MOST:
        raise DeviceError(f"stands for {most} devices, more than any host has")
    return tuple(tuple(part[number if len(part) > 1 else 0] for part in parts) for number in range(most))


def gres(variables: Mapping[str, Any]) -> list[str]:
    """The generic resources that Slurm offers on a host, as its Gres parameter takes them: `gpu:a100:3`."""
    counts: dict[str, int] = {}
    for row in owned(variables, SLURM):
        words = ":".join(filter(None, (row.name, row.gres_type)))
        holders = 1 if row.kind == GPU else row.holders
        counts[words] = counts.get(words, 0) + len(row.devices) * holders
        if row.kind == GPU and row.holders > 1:
            shared = shared_gres(row)
            counts[shared] = counts.get(shared, 0) + len(row.devices) * row.holders
    return [f"{words}:{count}" for words, count in counts.items()]


def shared_gres(row: Row) -> str:
    """The generic resource by which jobs of Slurm share a GPU."""
    return "mps" if row.sharing == "mps" else "shard"


def gres_words(variables: Mapping[str, Any]) -> list[str]:
    """The lines of gres.conf for a host, without the node: `Name=gpu Type=a100 File=/dev/nvidia0`."""
    lines: list[str] = []
    for row in owned(variables, SLURM):
        words = " ".join(filter(None, (f"Name={row.name}", row.gres_type and f"Type={row.gres_type}")))
        if not row.files or (row.holders > 1 and row.kind != GPU):
            lines.append(f"{words} Count={len(row.devices) * row.holders}")
            continue
        lines += [_files(words, files) for files in row.devices]
        if row.holders > 1:
            lines.append(f"Name={shared_gres(row)} Count={len(row.devices) * row.holders}")
    return lines


def closed_to_slurm(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The device files that no job of Slurm may open on a host: those of devices that Kubernetes owns."""
    open_to = {file for row in owned(variables, SLURM) for file in row.files}
    return tuple(
        dict.fromkeys(
            file for row in owned(variables, KUBERNETES) for file in row.files if file not in open_to
        )
    )


def plugin_rows(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the device plugin offers on a host, one entry for each resource of Kubernetes.

    resource: its name. devices: the own files of each. cdi: the name of each in CDI, or an empty text.
    common: further files of a holder. holders: how many may hold one device. checked: whether a missing or
    faulty file makes a device unhealthy.
    """
    entries: dict[str, dict[str, Any]] = {}
    for row in owned(variables, KUBERNETES):
        if row.plugin != PLATFORMCTL:
            continue
        new = {"resource": row.resource, "devices": [], "cdi": [], "common": [], "holders": row.holders}
        entry = entries.setdefault(row.resource, new | {"checked": row.checked})
        entry["devices"] += [list(files) for files in row.devices]
        entry["cdi"] += row.cdi or [""] * len(row.devices)
        entry["common"] = list(dict.fromkeys([*entry["common"], *row.common]))
    return list(entries.values())


def offers(variables: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What others offer on a host as the table says, by who does it, one entry for each resource.

    resource: its name. count: of its devices. holders: how many may hold one. slices: whether they are
    slices. driver: the DRA driver. interfaces: of RDMA devices. What the site lets its own plugin offer is
    not there.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in owned(variables, KUBERNETES):
        if row.plugin not in (NVIDIA_PLUGIN, RDMA_PLUGIN) and not row.driver:
            continue
        new = {"resource": row.resource, "count": 0, "holders": row.holders, "slices": bool(row.slices)}
        new |= {"driver": row.driver, "interfaces": []}
        entry = found.setdefault(row.plugin, {}).setdefault(row.resource, new)
        entry["count"] += len(row.devices)
        entry["interfaces"] += row.interfaces
    return {who: list(entries.values()) for who, entries in found.items()}


def allocatable(variables: Mapping[str, Any]) -> dict[str, int]:
    """How many of each resource device plugins must offer on a host; none of those of DRA drivers."""
    found = {row["resource"]: len(row["devices"]) * row["holders"] for row in plugin_rows(variables)}
    for who, entries in offers(variables).items():
        if who != DRA:
            found |= {entry["resource"]: entry["count"] * entry["holders"] for entry in entries}
    return found


def by_cdi(variables: Mapping[str, Any]) -> bool:
    """Whether pods of a host get devices by CDI: by names in the table, or from those who write CDI files."""
    rows = owned(variables, KUBERNETES)
    return any(row.cdi or row.plugin in (NVIDIA_PLUGIN, DRA) for row in rows)


def installed(variables: Mapping[str, Any]) -> set[str]:
    """Which plugins and DRA drivers platformctl installs for a host, beside its own plugin."""
    found = offers(variables)
    drivers = {str(entry["driver"]) for entry in found.get(DRA, ())}
    return (found.keys() - {DRA}) | (drivers & {EXAMPLE_DRIVER})


def installed_for(hosts: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """What `installed` says of all these hosts, by their variables with groups."""
    return frozenset(one for variables in hosts for one in installed(variables))


def watched(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The devices of a host whose health is judged there, each once.

    files: its own ones. check, command: how it is judged. slurm: whether Slurm offers it.
    """
    of_slurm = {files for row in owned(variables, SLURM) for files in row.devices}
    rows = [row for row in table(variables) if row.checked]
    found = {files: row for row in rows for files in row.devices if files}
    return [
        {"files": list(files), "check": row.check, "command": list(row.command), "slurm": files in of_slurm}
        for files, row in found.items()
    ]


def kubelet_settings(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The kubelet's settings on a host whose devices Kubernetes offers; empty on others.

    The kubelet tells the API of a faulty device when it next looks whether its node has changed: every 10 s,
    unless it is told otherwise. It still sends nothing while nothing has changed.
    """
    if not any(row.checked for row in owned(variables, KUBERNETES)):
        return {}
    return {"nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "5m"}


def labels(variables: Mapping[str, Any]) -> dict[str, str]:
    """The labels by which pods find devices: `devices.platformctl.io/gpu-type: a100`."""
    found: dict[str, str] = {}
    for row in owned(variables, KUBERNETES):
        found[f"{DEVICE_LABELS}/{row.name}"] = "present"
        for what, value in (("type", row.type), ("vendor", row.vendor)):
            if value:
                found[f"{DEVICE_LABELS}/{row.name}-{what}"] = value
    if rows := plugin_rows(variables):
        found[CLASS_LABEL] = plugin_class(rows)
    for who, entries in offers(variables).items():
        found[f"{DEVICE_LABELS}/{OFFERED_BY}{who}"] = plugin_class(entries)
    return found


def plugin_class(rows: Sequence[Mapping[str, Any]]) -> str:
    """The name of all hosts that offer the same: a digest of `plugin_rows`, or of an entry of `offers`."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:10]


def names(row: Mapping[str, Any]) -> tuple[str, str]:
    """What Jobs ask for a row by, and its resource in Kubernetes, as a raw row says or implies."""
    kind = row.get("kind")
    name = str(row.get("name") or kind) if kind == OTHER else str(kind)
    given = row.get("resource")
    if given:
        return name, str(given)
    if row.get("slices"):
        return name, _SLICE_RESOURCE.format(row["slices"])
    if kind == RDMA:
        return name, _RDMA_RESOURCE
    own = f"{OWN_DOMAIN}/{name}"
    return name, _OF_VENDOR.get(str(row.get("vendor")), own) if kind == GPU else own


def devices(row: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The own files of each device of a raw row; empty if they are only counted. Raises DeviceError."""
    files = row.get("files") or ()
    if files:
        return tuple(found for item in files for found in expand(str(item)))
    return ((),) * int(row.get("count") or 0)


def cdi(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the devices of a raw row in CDI, such as `nvidia.com/gpu=0`. Raises DeviceError."""
    found = tuple(name for item in row.get("cdi") or () for name in _numbered(str(item)))
    if wrong := next((name for name in found if not _CDI.fullmatch(name)), ""):
        raise DeviceError(f"{wrong!r} is no name of CDI, such as nvidia.com/gpu=0")
    return found


def _row(index: int, row: Any, variables: Mapping[str, Any]) -> Row | None:
    if not isinstance(row, Mapping) or not owner_of(row, variables):
        return None
    name, resource = names(row)
    sharing = row.get("sharing") or {}
    try:
        return Row(
            index,
            str(row.get("kind")),
            name,
            owner_of(row, variables),
            devices(row),
            vendor=str(row.get("vendor") or ""),
            type=str(row.get("type") or ""),
            slices=str(row.get("slices") or ""),
            common=_each_once(files for item in row.get("common_files") or () for files in expand(str(item))),
            resource=resource,
            sharing=str(sharing.get("how") or ""),
            holders=int(sharing.get("holders") or 1),
            cdi=cdi(row),
            check=check_of(row),
            command=tuple(map(str, row.get("health_command") or ())),
            plugin=str(row.get("offered_by") or PLATFORMCTL),
            driver=str(row.get("dra_driver") or ""),
            interfaces=tuple(map(str, row.get("interfaces") or ())),
            fixed=bool(row.get("owner")),
        )
    except (AttributeError, TypeError, ValueError):
        return None


def _each_once(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def _files(words: str, files: Sequence[str]) -> str:
    return f"{words} {'File' if len(files) == 1 else 'MultipleFiles'}={','.join(files)}"


def _split(pattern: str) -> Iterator[str]:
    """The parts between commas that are outside of brackets."""
    depth, part = 0, ""
    for letter in pattern:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            yield part
            part = ""
        else:
            part += letter
    yield part


def _expanded(pattern: str) -> list[str]:
    found = _numbered(pattern)
    if any(not re.fullmatch(r"/dev/[A-Za-z0-9_./:-]+", path, re.ASCII) or ".." in path for path in found):
        raise DeviceError("is not a device file")
    return found


def _numbered(pattern: str) -> list[str]:
    """The texts that a pattern with ranges of numbers in brackets stands for. Raises DeviceError."""
    match = _RANGE.fullmatch(pattern)
    if match is None:
        return [pattern]
    numbers: list[str] = []
    for part in match["inner"].split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise DeviceError("has no range of numbers in its brackets")
        if not 0 <= int(last or first) - int(first) < _MOST:
            raise DeviceError("has no range of numbers in its brackets")
        width = len(first) if first.startswith("0") else 0
        numbers += [f"{number:0{width}}" for number in range(int(first), int(last or first) + 1)]
    return [whole for number in numbers for whole in _numbered(f"{match['head']}{number}{match['tail']}")]
