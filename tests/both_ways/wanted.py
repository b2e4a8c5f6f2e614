"""What scripts name of a site, such as partitions and devices, and a configuration of Slurm that has it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from platformctl.jobs.array import parse_array

MOST_NODES, MOST_ELEMENTS = 16, 100
# What a partition and its queue allow.
LONGEST = "366-00:00:00"
# Of each type on a node; they have files like this one.
GPUS, FILE = 8, "/dev/both"
# The lab's own node of Slurm, which is one of them.
OWN = "node2"
_CPUS, _MEMORY = 512, 4 * 2**20  # MiB
# What a lab cannot have besides: other clusters, and programs of plugins.
_ELSEWHERE = ("clusters", "plugins", "reservation", "bb", "container")


@dataclass
class Wanted:
    """Names of everything that jobs ask for."""

    partitions: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    qos: set[str] = field(default_factory=set)
    features: set[str] = field(default_factory=set)
    devices: dict[str, set[str]] = field(default_factory=dict)
    licenses: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)

    def add(self, spec: Mapping[str, Any]) -> None:
        """What one Job names, with its components."""
        block = spec.get("slurm") or {}
        self.partitions |= {*filter(None, [spec.get("queue")]), *block.get("partitions", ())}
        self.accounts |= {*filter(None, [spec.get("account")])}
        self.qos |= {*filter(None, [block.get("qos")])}
        self.features |= set(re.findall(r"[^&|()\[\]*,]+", re.sub(r"\*\d+", "", block.get("constraint", ""))))
        self.licenses |= {item.partition(":")[0] for item in block.get("licenses", "").split(",") if item}
        self.nodes |= set(_names(block.get("nodelist", "")))
        for item in block.get("gres", "").split(","):
            name, *kind = re.sub(r"^gres[/:]", "", item).split(":")
            if name and name != "none":
                self._device(name, kind[0] if kind and not kind[0][:1].isdigit() else "")
        for field_name in ("gpus", "gpusPerNode", "gpusPerTask", "gpusPerSocket"):
            for item in block.get(field_name, "").split(","):
                self._device("gpu", item.rpartition(":")[0])
        for part in block.get("components", ()):
            self.add(part)

    def _device(self, name: str, kind: str) -> None:
        self.devices.setdefault(name, set())
        if kind:
            self.devices[name].add(kind)


def why_not(spec: Mapping[str, Any]) -> str:
    """Why a lab cannot run a Job; empty if it can."""
    block = spec.get("slurm") or {}
    elsewhere = [name for name in _ELSEWHERE if name in block]
    if elsewhere:
        return f"it names {elsewhere[0]}, which a lab does not have"
    parts = [spec, *block.get("components", ())]
    nodes = sum(int(re.findall(r"\d+", str(part.get("nodes") or 1))[0]) for part in parts)
    if nodes > MOST_NODES:
        return f"it needs {nodes} nodes, and the lab has {MOST_NODES}"
    if "shard" in block.get("gres", ""):
        return "it shares a GPU, and the GPUs of a lab are none"
    array = parse_array(str(spec["array"])) if "array" in spec else None
    if array and len(array.indices) > MOST_ELEMENTS:
        return f"it has {len(array.indices)} elements"
    return ""


def node_names(wanted: Wanted, count: int) -> list[str]:
    """The names of that many nodes, the lab's own first."""
    named = [OWN, *sorted(wanted.nodes - {OWN})]
    return [*named, *(f"sim{number}" for number in range(len(named), count))][:count]


def configuration(wanted: Wanted, names: Iterable[str], address: str, port: int) -> tuple[str, str]:
    """Lines of slurm.conf and of gres.conf for nodes and partitions that have it all."""
    devices = {name: sorted(kinds) or [""] for name, kinds in sorted(wanted.devices.items())}
    gres = ",".join(_device(name, kind) for name, kinds in devices.items() for kind in kinds)
    size = f"CPUs={_CPUS} RealMemory={_MEMORY} TmpDisk=1000000"
    features = ",".join(sorted(wanted.features))
    size += f"{f' Gres={gres}' if gres else ''}{f' Feature={features}' if features else ''}"
    lines = [f"GresTypes={','.join(devices)}"] if devices else []
    if wanted.licenses:
        lines.append(f"Licenses={','.join(f'{name}:100' for name in sorted(wanted.licenses))}")
    for number, name in enumerate(names):
        lines.append(f"NodeName={name} NodeAddr={address}{f' Port={port + number}' if number else ''} {size}")
    every = ",".join(names)
    for name in sorted({"main", *wanted.partitions}):
        default = " Default=YES" if name == "main" else ""
        lines.append(f"PartitionName={name} Nodes={every} MaxTime={LONGEST}{default}")
    own = [
        f"NodeName={every} Name={name}{f' Type={kind}' if kind else ''} {_found(name, number)}"
        for name, kinds in devices.items()
        for number, kind in enumerate(kinds)
    ]
    return "\n".join([*lines, ""]), "\n".join([*own, ""])


def accounting(wanted: Wanted, user: str) -> Iterable[str]:
    """Words for sacctmgr that let the user charge every account, with every QoS."""
    for name in sorted(wanted.qos - {"normal"}):
        yield f"add qos '{name}'"
    for name in sorted(wanted.accounts):
        yield f"add account '{name}'"
        yield f"add user '{user}' account='{name}'"
    if wanted.qos:
        yield f"modify user '{user}' set qos+={','.join(sorted({'normal', *wanted.qos}))}"


def _count(name: str) -> str:
    return str(GPUS) if name == "gpu" else "1000G"


def _found(name: str, number: int) -> str:
    """Slurm counts GPUs by their files."""
    first = number * GPUS
    return f"File={FILE}[{first}-{first + GPUS - 1}]" if name == "gpu" else f"Count={_count(name)}"


def _device(name: str, kind: str) -> str:
    return f"{name}{f':{kind}' if kind else ''}:{_count(name)}"


def _names(text: str) -> list[str]:
    """The nodes of a list such as `node[1-2],gpu1`."""
    found = []
    for stem, span in re.findall(r"([^\[\],]+)(?:\[([^\]]*)\])?", text):
        if not span:
            found.append(stem)
        for part in filter(None, span.split(",")):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            found += [f"{stem}{number:0{len(first)}d}" for number in numbers]
    return found
