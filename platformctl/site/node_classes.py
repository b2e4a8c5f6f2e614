"""The class of a node: how its CPUs, its memory and its NUMA nodes are given away, and what is kept back.

A group of the inventory sets these variables, or a single host does. Fields of KubeletConfiguration and
parameters of slurm.conf are made from them. Pure, and only of the standard library, because filters of roles
use it too. The kubelet's rules are those of pkg/kubelet/cm in Kubernetes 1.37.
"""

import re
from collections.abc import Mapping
from typing import Any

from platformctl.site import processors

CPU_MANAGER, TOPOLOGY_MANAGER = "node_cpu_manager", "node_topology_manager"
MEMORY_MANAGER, SYSTEM_CPUS = "node_memory_manager", "node_system_cpus"
SYSTEM_MEMORY, HUGEPAGES = "node_system_memory_mib", "node_hugepages"
OVERRIDES = "kubernetes_kubelet_overrides"
CLASS = (CPU_MANAGER, TOPOLOGY_MANAGER, MEMORY_MANAGER, SYSTEM_CPUS, HUGEPAGES)
"""The variables that only together say what a pod with whole CPUs gets."""

NONE, STATIC = "none", "static"
STRICT = "strict-cpu-reservation"
ALPHA_OPTIONS = ("align-by-socket", "distribute-cpus-across-cores")
"""Options of the CPU manager that the kubelet takes only with a feature gate."""

DECIDED: Mapping[str, tuple[str, ...]] = {
    CPU_MANAGER: ("cpuManagerPolicy", "cpuManagerPolicyOptions"),
    SYSTEM_CPUS: ("reservedSystemCPUs",),
    TOPOLOGY_MANAGER: ("topologyManagerPolicy", "topologyManagerScope", "topologyManagerPolicyOptions"),
    MEMORY_MANAGER: ("memoryManagerPolicy", "reservedMemory"),
}
"""Fields of the kubelet that each variable decides."""

CHECKPOINTED = (*(field for fields in DECIDED.values() for field in fields), "systemReserved")
"""Fields of the kubelet with which its notes on CPUs and memory of pods must agree."""

SIZES_MIB = {"2Mi": 2, "1Gi": 1024}
_MIB = 2**20
_EVICTED = "100Mi"  # of evictionHard, unless the site says otherwise
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_UNITS |= {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def kubelet_settings(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of KubeletConfiguration of a node's class, and of its shares if it is divided.

    Pods with whole CPUs get CPUs of their own, the others share the rest; with the static policy none ever
    runs on a reserved CPU, unless the class says otherwise.
    """
    return {**_cpu(variables), **_topology(variables), **_memory(variables)}


def policy(variables: Mapping[str, Any]) -> str:
    """The policy of the kubelet's CPU manager; empty if neither class nor shares decide it."""
    return STATIC if processors.is_split(variables) else str(_part(variables, CPU_MANAGER).get("policy", ""))


def kept_from_pods(variables: Mapping[str, Any]) -> tuple[int, ...]:
    """The CPUs on which no pod with whole CPUs runs: those of Slurm, and those that nobody gives away."""
    lists = [variables.get(SYSTEM_CPUS)]
    lists += [variables["node_slurm_cpus"]] if processors.is_split(variables) else []
    return tuple(sorted({cpu for text in lists if text for cpu in processors.cpu_list(str(text))}))


def reserved_mib(variables: Mapping[str, Any]) -> int:
    """The memory in MiB that pods do not get, by shares and class, without what the kubelet evicts for."""
    if processors.is_split(variables):
        return int(variables["node_slurm_memory_mib"]) + processors.system_memory(variables)
    return int(variables.get(SYSTEM_MEMORY) or 0)


def keeps_back(variables: Mapping[str, Any]) -> bool:
    """Whether pods do not get all of a node by its shares or its class."""
    return bool(kept_from_pods(variables) or reserved_mib(variables))


def hugepages_mib(variables: Mapping[str, Any]) -> int:
    """The memory in MiB that is in huge pages, and that no process has without asking for one."""
    return sum(SIZES_MIB[str(row["size"])] * int(row["count"]) for row in hugepages(variables))


def hugepages(variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of huge pages that are whole: {size, count, numa_node}."""
    rows = variables.get(HUGEPAGES)
    return [
        row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and row.get("size") in SIZES_MIB and isinstance(row.get("count"), int)
    ]


def amount(text: object) -> int:
    """Bytes of an amount of memory as Kubernetes writes it. ValueError: it is none, or a part in per cent."""
    match = _AMOUNT.fullmatch(str(text))
    if match is None:
        raise ValueError("is no amount of memory")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def reserved_memory(variables: Mapping[str, Any]) -> int:
    """Bytes that the kubelet keeps from pods: reserved ones, and those that it evicts for.

    ValueError: see `amount`. The reservation of the static memory manager must be exactly as much.
    """
    overrides = _part(variables, OVERRIDES)
    found = reserved_mib(variables) * _MIB
    parts = ["kubeReserved"] if found else ["kubeReserved", "systemReserved"]
    found += sum(amount(_part(overrides, part).get("memory", 0)) for part in parts)
    evicted = _part(overrides, "evictionHard")
    if evicted and not overrides.get("mergeDefaultEvictionSettings"):
        return found + amount(evicted.get("memory.available", 0))
    return found + amount(evicted.get("memory.available", _EVICTED))


def _part(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = variables.get(name)
    return value if isinstance(value, Mapping) else {}


def _cpu(variables: Mapping[str, Any]) -> dict[str, Any]:
    chosen, reserved = policy(variables), kept_from_pods(variables)
    options = dict(_part(variables, CPU_MANAGER).get("options") or {})
    if chosen == STATIC and reserved:
        options = {STRICT: True, **options}
    fields: dict[str, Any] = {"cpuManagerPolicy": chosen} if chosen else {}
    if options:
        fields["cpuManagerPolicyOptions"] = _texts(options)
    if any(options.get(name) for name in ALPHA_OPTIONS):
        fields["featureGates"] = {"CPUManagerPolicyAlphaOptions": True}
    if reserved:
        fields["reservedSystemCPUs"] = processors.cpu_text(reserved)
    return fields


def _topology(variables: Mapping[str, Any]) -> dict[str, Any]:
    part = _part(variables, TOPOLOGY_MANAGER)
    fields = {"topologyManagerPolicy": part.get("policy"), "topologyManagerScope": part.get("scope")}
    fields["topologyManagerPolicyOptions"] = _texts(part.get("options") or {})
    return {name: value for name, value in fields.items() if value}


def _memory(variables: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if reserved := reserved_mib(variables):
        fields["systemReserved"] = {"memory": f"{reserved}Mi"}
    part = _part(variables, MEMORY_MANAGER)
    if part.get("policy") == STATIC:
        nodes = sorted(part.get("reserved_on") or [0])
        each, rest = divmod(reserved_memory(variables), len(nodes))
        amounts = [each + (rest if node == nodes[0] else 0) for node in nodes]
        fields["memoryManagerPolicy"] = "Static"
        fields["reservedMemory"] = [
            {"numaNode": node, "limits": {"memory": str(size)}}
            for node, size in zip(nodes, amounts, strict=True)
        ]
    elif part.get("policy") == NONE:
        fields["memoryManagerPolicy"] = "None"
    return fields


def _texts(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as the kubelet takes them: their values are texts."""
    return {name: str(options[name]).lower() for name in sorted(options)}
