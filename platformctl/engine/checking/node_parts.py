"""Judges the parts of a node: has the host the devices, CPUs and memory that the inventory gives away?

Without it slurmd would take the node out of service (INVAL), and the kubelet would not start or offer less.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.engine.checking import device_drivers
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.site import devices, node_classes, processors
from platformctl.site.values import templated

_DRIVERS = {
    "nvidia": "install NVIDIA's driver and load it (nvidia-smi must list all GPUs)",
    "amd": "load amdgpu (rocm-smi must list all GPUs)",
    "intel": "load i915 or xe",
}
_SHARES = ("node_slurm_cpus", "node_slurm_memory_mib")


def question(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What a host's probe is asked: its table's device files and names in CDI, and its CPUs if divided."""
    files = dict.fromkeys(file for row in devices.table(variables) for file in (*row.files, *row.common))
    names = [name for row in devices.owned(variables, devices.KUBERNETES) for name in row.cdi]
    parts = {
        "files": list(files),
        "cdi": names,
        "processors": processors.is_split(variables) or any(name in variables for name in node_classes.CLASS),
        "hugepages": bool(node_classes.hugepages(variables)),
    }
    return {**parts, **device_drivers.question(variables)}


def check(subject: Subject) -> Iterator[Finding]:
    """What contradicts the hardware. A host that was not asked has no findings."""
    answer = subject.probe.get("parts") or {}
    yield from _devices(subject, set(answer.get("missing") or ()))
    yield from _cdi(subject, answer.get("no_cdi") or ())
    if answer.get("lscpu") and processors.is_split(subject.variables):
        yield from _shares(subject, str(answer["lscpu"]))
    if answer.get("lscpu") and any(name in subject.variables for name in node_classes.CLASS):
        yield from _class(subject, answer)


def _devices(subject: Subject, missing: set[str]) -> Iterator[Finding]:
    for row in devices.table(subject.variables):
        lacking = [file for file in (*row.files, *row.common) if file in missing]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            found = f"{lacking[0]}{more} of {row.name} {'is' if len(lacking) == 1 else 'are'} no device there"
            remedy = _DRIVERS.get(row.vendor, "load the driver")
            remedy += f"; or correct row {row.index + 1} of node_devices"
            yield Finding(subject.name, "devices", Level.ERROR, found, remedy)


def _cdi(subject: Subject, missing: Sequence[str]) -> Iterator[Finding]:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        found = f"no file in /etc/cdi or /var/run/cdi there has {missing[0]}{more}"
        remedy = (
            "for NVIDIA, install nvidia-container-toolkit there and run: nvidia-ctk cdi generate "
            "--output=/etc/cdi/nvidia.yaml; or remove cdi from node_devices"
        )
        yield Finding(subject.name, "devices", Level.ERROR, found, remedy)


def _shares(subject: Subject, lscpu: str) -> Iterator[Finding]:
    cpus, memory = (subject.variables.get(name) for name in _SHARES)
    if templated(cpus) or not isinstance(memory, int):
        return
    try:
        processors.kept_from_slurm(str(cpus), processors.processors(lscpu))
    except processors.ProcessorError as error:
        remedy = "correct node_slurm_cpus"
        yield Finding(subject.name, "processors", Level.ERROR, str(error), remedy)
    system = processors.system_memory(subject.variables)
    there = int(subject.probe["memory"]) // 2**20
    if memory + system >= there:
        found = f"{there} MiB of memory, of which {memory} are Slurm's and {system} the system's"
        yield Finding(subject.name, "memory", Level.ERROR, found, "correct node_slurm_memory_mib")


def _class(subject: Subject, answer: Mapping[str, Any]) -> Iterator[Finding]:
    """CPUs, NUMA nodes and huge pages of the host's class that it does not have."""
    variables = subject.variables
    if any(templated(variables.get(name)) for name in node_classes.CLASS):
        return
    lscpu = str(answer["lscpu"])
    numa: set[int] = set()
    try:
        there = processors.processors(lscpu)
        numa = {each.socket for each in processors.processors(lscpu, processors.NUMA_NODE)}
        kept = node_classes.kept_from_pods(variables)
        if kept:
            processors.slurm_numbers(processors.cpu_text(kept), there)
    except processors.ProcessorError as error:
        yield Finding(subject.name, "processors", Level.ERROR, str(error), "correct node_system_cpus")
    else:
        if len(kept) >= len(there):
            found = f"all {len(there)} CPUs are kept back or Slurm's"
            yield Finding(subject.name, "processors", Level.ERROR, found, "correct node_system_cpus")
    manager = variables.get(node_classes.MEMORY_MANAGER) or {}
    rows = node_classes.hugepages(variables)
    named = [*(manager.get("reserved_on") or []), *(row["numa_node"] for row in rows if "numa_node" in row)]
    for node in sorted(set(named) - numa):
        found = f"it has no NUMA node {node}, only {processors.cpu_text(numa)}"
        remedy = "correct reserved_on of node_memory_manager, or numa_node of node_hugepages"
        yield Finding(subject.name, "numa", Level.ERROR, found, remedy)
    yield from _pages(subject, rows, answer)


def _pages(
    subject: Subject, rows: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]
) -> Iterator[Finding]:
    """Huge pages of a size that the processor does not have, or for which no memory is free."""
    kept, wanted = answer.get("hugepages") or {}, 0
    for row in rows:
        mib = node_classes.SIZES_MIB[row["size"]]
        known = kept.get(str(mib * 1024))
        if known is None:
            found = f"its kernel has no huge pages of {row['size']}"
            yield Finding(subject.name, "hugepages", Level.ERROR, found, "correct node_hugepages")
            continue
        there = known.get(str(row.get("numa_node", "")), 0)
        wanted += max(0, row["count"] - there) * mib
    free = int(answer.get("available") or 0) // 2**20
    if wanted > free:
        found = f"{wanted} MiB more are to be huge pages, and {free} MiB are free"
        remedy = "end what uses its memory, or write smaller counts in node_hugepages"
        yield Finding(subject.name, "hugepages", Level.ERROR, found, remedy)
