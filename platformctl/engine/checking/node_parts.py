"""Judges the parts of a node: has the host the devices, CPUs and memory that the inventory gives away?

Without it slurmd would take the node out of service (INVAL), and the kubelet would not start or offer less.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.engine.checking import device_drivers
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.site import devices, processors
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
    parts = {"files": list(files), "cdi": names, "processors": processors.is_split(variables)}
    return {**parts, **device_drivers.question(variables)}


def check(subject: Subject) -> Iterator[Finding]:
    """What contradicts the hardware. A host that was not asked has no findings."""
    answer = subject.probe.get("parts") or {}
    yield from _devices(subject, set(answer.get("missing") or ()))
    yield from _cdi(subject, answer.get("no_cdi") or ())
    if answer.get("lscpu") and processors.is_split(subject.variables):
        yield from _shares(subject, str(answer["lscpu"]))


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
