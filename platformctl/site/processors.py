"""The processors and the memory of a node that both schedulers use: which part is whose.

The inventory says what is Slurm's (`node_slurm_cpus`, `node_slurm_memory_mib`); pods get the rest. Pure,
and only of the standard library, because filters of roles use it too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST = 4096
DEFAULT_SYSTEM_MEMORY_MIB = 1024
"""Memory of a split node that neither scheduler gives away, where the inventory does not say."""


class ProcessorError(ValueError):
    """CPUs that a node does not have, or that cannot be divided so; the message says which."""


@dataclass(frozen=True)
class Processor:
    """One CPU of a host by the kernel's numbers, as lscpu prints them. socket: or what is counted as one."""

    cpu: int
    core: int
    socket: int


SOCKET, NUMA_NODE, L3_CACHE = "socket", "numa_node", "l3cache"
_COLUMNS = {SOCKET: 2, NUMA_NODE: 3, L3_CACHE: -1}
LSCPU = ("lscpu", "--parse=CPU,CORE,SOCKET,NODE,CACHE")
"""The command that tells the CPUs of a host."""


def cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs of a list as the kernel writes it, `0-3,8`, in ascending order. Raises ProcessorError."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part.strip(), re.ASCII)
        if match is None:
            raise ProcessorError("is not a list of CPUs")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > _MOST:
            raise ProcessorError("is not a list of CPUs")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def cpu_text(numbers: Iterable[int]) -> str:
    """CPUs as the kernel lists them: `0-3,8`."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def is_split(variables: Mapping[str, Any]) -> bool:
    """Whether a host is shared, and the inventory says which CPUs and how much memory are Slurm's."""
    return variables.get("node_owner") == "shared" and "node_slurm_cpus" in variables


def processors(text: str, counted: str = SOCKET) -> tuple[Processor, ...]:
    """The CPUs of a host from what LSCPU printed. Raises ProcessorError.

    counted: what Slurm counts as a socket: one, a NUMA node, or the CPUs of an L3 cache.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    try:
        # The caches of a CPU stand between colons, or in columns of their own.
        rows = [[int(word or 0) for word in re.split("[,:]", line)] for line in lines]
        return tuple(Processor(row[0], row[1], row[_COLUMNS[counted]]) for row in rows)
    except (IndexError, ValueError):
        raise ProcessorError(f"lscpu printed what is no list of CPUs: {text[:80]!r}") from None


def kept_from_slurm(slurm_cpus: str, there: Sequence[Processor]) -> tuple[int, ...]:
    """The CPUs that are not Slurm's, by Slurm's own numbers, as CpuSpecList takes them.

    Raises ProcessorError if the host lacks some of the CPUs, if all are Slurm's, or if the threads of one
    core would have different owners: Slurm gives away whole cores.
    """
    wanted = set(_there(slurm_cpus, there))
    kept = [each.cpu for each in there if each.cpu not in wanted]
    if not kept:
        raise ProcessorError("no CPU would be left for Kubernetes")
    return slurm_numbers(cpu_text(kept), there)


def slurm_numbers(cpus: str, there: Sequence[Processor]) -> tuple[int, ...]:
    """CPUs of whole cores by Slurm's own numbers.

    Slurm counts threads core by core and socket by socket; the kernel usually counts the first threads of
    all cores before the second ones. Raises ProcessorError if the host lacks some of the CPUs, or if they are
    only some threads of a core.
    """
    wanted = set(_there(cpus, there))
    order = _in_slurm_order(there)
    for core in order:
        if 0 < len(wanted.intersection(core)) < len(core):
            raise ProcessorError(f"CPUs {cpu_text(core)} are one core, and only some of them are meant")
    counted = [cpu for core in order for cpu in core]
    return tuple(number for number, cpu in enumerate(counted) if cpu in wanted)


def _there(cpus: str, there: Sequence[Processor]) -> tuple[int, ...]:
    wanted = cpu_list(cpus)
    if missing := set(wanted) - {each.cpu for each in there}:
        raise ProcessorError(
            f"the host has no CPU {cpu_text(missing)}; it has {cpu_text(e.cpu for e in there)}"
        )
    return wanted


def shape(there: Sequence[Processor]) -> dict[str, int]:
    """Sockets, cores of a socket and threads of a core; empty if the sockets or cores differ."""
    sockets = {each.socket: {e.core for e in there if e.socket == each.socket} for each in there}
    cores = {(each.socket, each.core) for each in there}
    per_socket, per_core = len(cores) // len(sockets), len(there) // len(cores)
    if any(len(of) != per_socket for of in sockets.values()) or len(cores) * per_core != len(there):
        return {}
    return {"sockets": len(sockets), "cores_per_socket": per_socket, "threads_per_core": per_core}


def system_memory(variables: Mapping[str, Any]) -> int:
    """Memory of a split node in MiB that neither scheduler gives away."""
    return int(variables.get("node_system_memory_mib", DEFAULT_SYSTEM_MEMORY_MIB))


def _in_slurm_order(there: Sequence[Processor]) -> list[list[int]]:
    """The CPUs of each core; sockets and cores in the order of their first CPU."""
    cores: dict[tuple[int, int], list[int]] = {}
    for each in sorted(there, key=lambda each: each.cpu):
        cores.setdefault((each.socket, each.core), []).append(each.cpu)
    first: dict[int, int] = {}
    for (socket, _), cpus in cores.items():
        first[socket] = min(first.get(socket, cpus[0]), cpus[0])
    return [cores[key] for key in sorted(cores, key=lambda key: (first[key[0]], cores[key][0]))]
