"""Lines of slurm.conf and gres.conf from what the inventory says of nodes and partitions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from platformctl.site import devices, node_classes, processors

# Inventory variable (less its prefix slurm_node_) and parameter of a NodeName line.
NODE_PARAMETERS = {
    "boards": "Boards",
    "sockets": "Sockets",
    "cores_per_socket": "CoresPerSocket",
    "threads_per_core": "ThreadsPerCore",
    "cpus": "CPUs",
    "memory_mib": "RealMemory",
    "gres": "Gres",
    "features": "Feature",
    "weight": "Weight",
    "cpu_bind": "CpuBind",
    # What no job gets: Kubernetes' part of the node, or the system's.
    "core_spec_count": "CoreSpecCount",
    "kept_cpus": "CpuSpecList",
    "kept_memory_mib": "MemSpecLimit",
}
PARTITION_PARAMETERS = {
    "max_time": "MaxTime",
    "default_time": "DefaultTime",
    "max_nodes": "MaxNodes",
    "priority_tier": "PriorityTier",
    "allow_accounts": "AllowAccounts",
    "allow_groups": "AllowGroups",
    "allow_qos": "AllowQos",
    "oversubscribe": "OverSubscribe",
    "preempt_mode": "PreemptMode",
    "state": "State",
}

# A kernel update changes a host's memory by some MiB, and Slurm takes a node out of service that has one
# MiB less than slurm.conf says. So a node of a measured size is given a bit less than it has.
MEMORY_MARGIN_PERCENT = 2
SMALLEST_MEMORY_MARGIN_MIB = 256

# One of the numbers that Linux keeps for local use (240 to 254).
SIMULATED_MAJOR = 240


def joined(value: object) -> str:
    """Return a value as slurm.conf writes it: a list with commas, a truth value as YES or NO."""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)


def slurm_size(facts: Mapping[str, int]) -> dict[str, int]:
    """Return what a NodeName line needs of a host's facts: cpus and memory in MiB."""
    return {"cpus": facts["ansible_processor_vcpus"], "memory_mib": facts["ansible_memtotal_mb"]}


def slurm_memory(measured_mib: int, margin_percent: float = MEMORY_MARGIN_PERCENT) -> int:
    """Return the memory in MiB that jobs get on a node: what was measured, less the margin.

    The margin is at least 256 MiB, but never more than a quarter of the node; 0 per cent is none at all.
    """
    if not margin_percent:
        return measured_mib
    margin = max(SMALLEST_MEMORY_MARGIN_MIB, round(measured_mib * margin_percent / 100))
    return measured_mib - min(margin, measured_mib // 4)


def slurm_node_line(
    name: str,
    variables: Mapping[str, Any],
    hardware: Mapping[str, Mapping[str, int]],
    lscpu: Mapping[str, str] | None = None,
    counted: str = processors.SOCKET,
) -> str:
    """Return the NodeName line of a host: the inventory's word first, else what was measured.

    lscpu: what processors.LSCPU printed, by host, for nodes of which CPUs are kept from jobs. counted: what
    Slurm counts as a socket.
    """
    address = variables.get("base_address", variables.get("ansible_host", name))
    words = [f"NodeName={name}", f"NodeAddr={address}"]
    values: dict[str, Any] = {**hardware.get(name, {})}
    if "memory_mib" in values:
        margin = variables.get("slurm_node_memory_margin_percent", MEMORY_MARGIN_PERCENT)
        values["memory_mib"] = slurm_memory(values["memory_mib"], margin)
    for key in NODE_PARAMETERS:
        value = variables.get(f"slurm_node_{key}")
        if value not in (None, "", []):
            values[key] = value
    if resources := slurm_gres(variables):
        values["gres"] = resources
    if processors.is_split(variables):
        values |= _share(name, variables, values, (lscpu or {}).get(name, ""), counted)
    else:
        values |= _kept(name, variables, values, (lscpu or {}).get(name, ""), counted)
    words += [f"{word}={joined(values[key])}" for key, word in NODE_PARAMETERS.items() if key in values]
    return " ".join([*words, "State=UNKNOWN"])


def _share(
    name: str, variables: Mapping[str, Any], values: Mapping[str, Any], lscpu: str, counted: str
) -> dict[str, Any]:
    """Return what a NodeName line says of a node of which a part is Kubernetes'."""
    try:
        there = processors.processors(lscpu, counted)
        kept = processors.kept_from_slurm(str(variables["node_slurm_cpus"]), there)
    except processors.ProcessorError as error:
        raise AnsibleFilterError(f"node_slurm_cpus of {name}: {error}") from error
    share, memory = int(variables["node_slurm_memory_mib"]), int(values.get("memory_mib", 0))
    if share >= memory:
        raise AnsibleFilterError(
            f"node_slurm_memory_mib of {name} is {share}, and Slurm finds {memory} MiB on it: give it less"
        )
    return {
        **_shape(there, values),
        "kept_cpus": processors.cpu_text(kept),
        "kept_memory_mib": memory - share,
    }


def _kept(
    name: str, variables: Mapping[str, Any], values: Mapping[str, Any], lscpu: str, counted: str
) -> dict[str, Any]:
    """Return what a NodeName line says of CPUs and memory that are the system's, and of huge pages.

    No process has the memory of huge pages without asking for one, and Slurm counts it as memory of jobs.
    """
    kept: dict[str, Any] = {}
    memory = int(variables.get("node_system_memory_mib") or 0) + node_classes.hugepages_mib(variables)
    if memory:
        kept["kept_memory_mib"] = memory
    if memory >= int(values.get("memory_mib", memory + 1)):
        raise AnsibleFilterError(
            f"{name} has {values['memory_mib']} MiB for jobs, and node_system_memory_mib and node_hugepages"
            f" keep {memory} of them: keep less"
        )
    if not variables.get("node_system_cpus"):
        return kept
    try:
        there = processors.processors(lscpu, counted)
        numbers = processors.slurm_numbers(str(variables["node_system_cpus"]), there)
    except processors.ProcessorError as error:
        raise AnsibleFilterError(f"node_system_cpus of {name}: {error}") from error
    return {**kept, **_shape(there, values), "kept_cpus": processors.cpu_text(numbers)}


def _shape(there: Sequence[processors.Processor], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return sockets, cores and threads, which Slurm's numbers of CPUs depend on."""
    shape = {key: value for key, value in processors.shape(there).items() if key not in values}
    return {**shape, "cpus": len(there)}


def slurm_split_nodes(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the nodes whose CPUs and memory are divided between both schedulers."""
    return [name for name in names if processors.is_split(hostvars[name])]


def slurm_counted_nodes(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the nodes of which some CPUs are not for jobs, so that Slurm's numbers of all must be known."""
    return [
        name
        for name in names
        if processors.is_split(hostvars[name]) or hostvars[name].get("node_system_cpus")
    ]


def slurm_gres(variables: Mapping[str, Any]) -> list[str]:
    """Return the generic resources of a host: those written by hand, and those of its table of devices."""
    return [*(variables.get("slurm_node_gres") or []), *devices.gres(variables)]


def slurm_device_lines(name: str, variables: Mapping[str, Any]) -> list[str]:
    """Return a node's lines of gres.conf that its table of devices makes."""
    return [f"NodeName={name} {words}" for words in devices.gres_words(variables)]


def slurm_closed_devices(variables: Mapping[str, Any]) -> list[str]:
    """Return the device files of a host that no job of Slurm may open."""
    return list(devices.closed_to_slurm(variables))


def slurm_partition_line(partition: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> str:
    """Return the PartitionName line; nodes are all, or names of hosts and inventory groups."""
    wanted = partition.get("nodes", "all")
    nodes: list[str] = []
    for name in [wanted] if isinstance(wanted, str) else wanted:
        if name == "all":
            nodes.append("ALL")
        elif name in groups:
            nodes += [host for host in groups[name] if host in groups["slurm_node"]]
        elif name in groups["slurm_node"]:
            nodes.append(name)
        else:
            raise AnsibleFilterError(
                f"partition {partition['name']}: {name} is neither a host in slurm_node nor a group"
            )
    words = [f"PartitionName={partition['name']}", f"Nodes={joined(list(dict.fromkeys(nodes)))}"]
    words.append(f"Default={joined(bool(partition.get('default', False)))}")
    words += [
        f"{word}={joined(partition[key])}" for key, word in PARTITION_PARAMETERS.items() if key in partition
    ]
    words += [f"{word}={joined(value)}" for word, value in partition.get("options", {}).items()]
    return " ".join(words)


def slurm_gres_types(gres_of_nodes: Iterable[Iterable[str]]) -> list[str]:
    """Return the kinds of generic resources in lists such as ["gpu:a100:4"], sorted."""
    return sorted({resource.split(":")[0] for gres in gres_of_nodes for resource in gres})


def slurm_simulated_devices(gres: Iterable[str]) -> list[tuple[str, str, int]]:
    """Return the device files that stand in for a node's resources: [(resource, path, minor number), ...].

    They have a major number of their own (see SIMULATED_MAJOR): a job that did not ask for a resource is kept
    from its device by number, so a real device such as /dev/null would be taken from every job.
    """
    kinds: dict[str, list[str]] = {}
    for resource in gres:
        kinds.setdefault(resource.split(":")[0], []).extend([resource] * int(resource.split(":")[-1]))
    devices = [
        (resource, f"/dev/simulated-{kind}{number}")
        for kind, resources in kinds.items()
        for number, resource in enumerate(resources)
    ]
    return [(resource, path, minor) for minor, (resource, path) in enumerate(devices)]


def slurm_gres_lines(
    name: str, gres: Sequence[str], devices: Mapping[str, str], simulated: bool
) -> list[str]:
    """Return a node's lines of gres.conf.

    `devices` maps a kind of resource to the device files it has, for instance {"gpu": "/dev/nvidia[0-3]"}.
    """
    lines = []
    stand_ins = slurm_simulated_devices(gres) if simulated else []
    for resource in gres:
        kind, *model, count = resource.split(":")
        words = [f"NodeName={name}", f"Name={kind}", *(f"Type={item}" for item in model)]
        if kind in devices:
            lines.append(" ".join([*words, f"File={devices[kind]}"]))
        elif simulated:
            lines += [" ".join([*words, f"File={path}"]) for held, path, _ in stand_ins if held == resource]
        else:
            lines.append(" ".join([*words, f"Count={count}"]))
    return lines


def slurm_simulated_rules(gres: Iterable[str]) -> list[str]:
    """Return the lines of tmpfiles.d(5) that make the simulated devices of a node."""
    rule = "c {} 0666 root root - {}:{}"
    return [rule.format(path, SIMULATED_MAJOR, minor) for _, path, minor in slurm_simulated_devices(gres)]


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "slurm_size": slurm_size,
            "slurm_node_line": slurm_node_line,
            "slurm_partition_line": slurm_partition_line,
            "slurm_split_nodes": slurm_split_nodes,
            "slurm_counted_nodes": slurm_counted_nodes,
            "slurm_gres": slurm_gres,
            "slurm_device_lines": slurm_device_lines,
            "slurm_closed_devices": slurm_closed_devices,
            "slurm_gres_types": slurm_gres_types,
            "slurm_gres_lines": slurm_gres_lines,
            "slurm_simulated_rules": slurm_simulated_rules,
        }
