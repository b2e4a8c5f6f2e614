"""Rules on the class of a node: CPUs, memory and NUMA nodes, as one kubelet and one slurmd can obey them."""

from collections.abc import Iterator, Mapping
from typing import Any

from platformctl.site import node_classes, processors
from platformctl.site.mistakes import Key, Mistake
from platformctl.site.node_classes import (
    CPU_MANAGER,
    HUGEPAGES,
    MEMORY_MANAGER,
    NONE,
    OVERRIDES,
    STATIC,
    STRICT,
    SYSTEM_CPUS,
    SYSTEM_MEMORY,
    TOPOLOGY_MANAGER,
)
from platformctl.site.rules.facts import Facts
from platformctl.site.values import templated

_KUBELET = (CPU_MANAGER, TOPOLOGY_MANAGER, MEMORY_MANAGER)
_KUBERNETES = frozenset({"kubernetes_node", "kubernetes_control_plane"})
_NODES = _KUBERNETES | {"slurm_node"}
_SPEC_COUNT, _CPU_BIND = "slurm_node_core_spec_count", "slurm_node_cpu_bind"
_APART = (
    ("full-pcpus-only", "distribute-cpus-across-cores"),
    ("distribute-cpus-across-numa", "distribute-cpus-across-cores"),
    ("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-cores"),
    ("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-numa"),
)
"""Options of the CPU manager that the kubelet refuses together."""

_Found = Iterator[tuple[str, tuple[Key, ...], str, str]]
"""Variable, keys in it, problem and remedy."""


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of classes. One that several hosts have from one place is told once."""
    told: set[tuple[object, ...]] = set()
    for host in facts.effective.hosts:
        for variable, keys, problem, remedy in _of_host(facts, host):
            source = facts.effective.origin(host, variable)
            place = (str(source.document.path), source.entity, variable, keys)
            if (*place, problem) not in told:
                told.add((*place, problem))
                value: Any = source.values[variable]
                for key in keys:
                    value = value[key]
                yield source.mistake((variable, *keys), value if keys else None, problem, remedy)


def _of_host(facts: Facts, host: str) -> _Found:
    variables = facts.variables[host]
    groups = facts.effective.groups[host]
    given = [name for name in (*node_classes.CLASS, SYSTEM_MEMORY) if name in variables]
    for name in given:
        wanted = _KUBERNETES if name in _KUBELET else _NODES
        if not groups & wanted and facts.effective.origin(host, name).entity == host:
            what = "Kubernetes, whose kubelet this is for" if name in _KUBELET else "any scheduler"
            yield name, (), f"{host} is no node of {what}", "remove it, or put the host into a group of nodes"
    if any(templated(variables[name]) for name in given):
        return
    if groups & _KUBERNETES:
        yield from _cpu_manager(host, variables)
        yield from _topology_manager(variables)
        yield from _memory_manager(variables)
        yield from _overridden(host, variables)
    yield from _system_cpus(host, variables)
    yield from _hugepages(host, variables)
    yield from _slurm(facts, host, variables)


def _mapping(variables: Mapping[str, Any], name: str, *keys: str) -> Mapping[str, Any]:
    value: Any = variables.get(name)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _cpu_manager(host: str, variables: Mapping[str, Any]) -> _Found:
    manager, options = _mapping(variables, CPU_MANAGER), _mapping(variables, CPU_MANAGER, "options")
    split, policy = processors.is_split(variables), node_classes.policy(variables)
    if split and manager.get("policy") == NONE:
        problem = f"contradicts the shares of {host}: only static keeps pods off Slurm's CPUs"
        yield CPU_MANAGER, ("policy",), problem, "write static"
    elif options and policy != STATIC:
        yield (
            CPU_MANAGER,
            ("options",),
            "counts with policy static only",
            "write policy: static, or remove it",
        )
    if split and options.get(STRICT) is False:
        problem = f"would let pods run on Slurm's CPUs of {host}"
        yield CPU_MANAGER, ("options", STRICT), problem, "remove it"
    for one, other in _APART:
        if options.get(one) is True and options.get(other) is True:
            problem = f"contradicts {other}: the kubelet refuses both together"
            yield CPU_MANAGER, ("options", one), problem, "leave one of them"
    overrides = [
        part
        for name in ("systemReserved", "kubeReserved")
        if "cpu" in (part := _mapping(variables, OVERRIDES, name))
    ]
    if manager.get("policy") == STATIC and not split and SYSTEM_CPUS not in variables and not overrides:
        problem = f"needs a CPU of {host} that no pod has alone, or the kubelet does not start"
        yield CPU_MANAGER, ("policy",), problem, f'set {SYSTEM_CPUS}, such as "0"'


def _topology_manager(variables: Mapping[str, Any]) -> _Found:
    policy = _mapping(variables, TOPOLOGY_MANAGER).get("policy")
    options = _mapping(variables, TOPOLOGY_MANAGER, "options")
    if policy in (NONE, "single-numa-node") and options.get("prefer-closest-numa-nodes") is True:
        problem = f"does not count with policy {policy}, which never joins NUMA nodes"
        yield (
            TOPOLOGY_MANAGER,
            ("options", "prefer-closest-numa-nodes"),
            problem,
            "use best-effort or restricted, or remove it",
        )
    if (
        policy == "single-numa-node"
        and _mapping(variables, CPU_MANAGER, "options").get("align-by-socket") is True
    ):
        problem = (
            "contradicts the topology manager's policy single-numa-node: the kubelet refuses both together"
        )
        yield CPU_MANAGER, ("options", "align-by-socket"), problem, "use restricted, or remove it"


def _memory_manager(variables: Mapping[str, Any]) -> _Found:
    manager = _mapping(variables, MEMORY_MANAGER)
    nodes = manager.get("reserved_on")
    if isinstance(nodes, list) and len(set(nodes)) < len(nodes):
        yield MEMORY_MANAGER, ("reserved_on",), "names a NUMA node twice", "name each once"
    if manager.get("policy") != STATIC:
        return
    if isinstance(nodes, list) and nodes and node_classes.policy(variables) != STATIC:
        # The kubelet would start; but memory of one node and CPUs of another are no gain.
        problem = "pins memory to NUMA nodes while CPUs are of any"
        yield MEMORY_MANAGER, ("policy",), problem, f"set policy static in {CPU_MANAGER} too"
    try:
        node_classes.reserved_memory(variables)
    except (ValueError, TypeError):
        problem = (
            "needs amounts of memory that the kubelet keeps back, and one of them is none or in per cent"
        )
        yield (
            OVERRIDES,
            (),
            problem,
            "write systemReserved, kubeReserved and evictionHard.memory.available as 1Gi",
        )


def _overridden(host: str, variables: Mapping[str, Any]) -> _Found:
    """Fields of the kubelet that the class decides. Those of shares are told with the shares."""
    overrides, split = _mapping(variables, OVERRIDES), processors.is_split(variables)
    for variable, fields in node_classes.DECIDED.items():
        told = split and variable in (CPU_MANAGER, SYSTEM_CPUS)
        for name in fields if variable in variables and not told else ():
            if name in overrides:
                problem = f"contradicts {variable} of {host}, which decides it"
                yield OVERRIDES, (name,), problem, "leave it out, here or there"
    if SYSTEM_MEMORY in variables and not split and "memory" in _mapping(overrides, "systemReserved"):
        problem = f"contradicts {SYSTEM_MEMORY} of {host}, which decides it"
        yield OVERRIDES, ("systemReserved", "memory"), problem, "leave it out, here or there"


def _cpus(variables: Mapping[str, Any], name: str) -> set[int]:
    try:
        return set(processors.cpu_list(str(variables.get(name, ""))))
    except processors.ProcessorError:
        return set()


def _system_cpus(host: str, variables: Mapping[str, Any]) -> _Found:
    system = _cpus(variables, SYSTEM_CPUS)
    slurm = _cpus(variables, "node_slurm_cpus") if processors.is_split(variables) else set()
    if both := system & slurm:
        problem = f"CPU {processors.cpu_text(both)} of {host} is Slurm's too (node_slurm_cpus)"
        yield SYSTEM_CPUS, (), problem, "give each CPU one owner"
    there = variables.get("slurm_node_cpus")
    if system and isinstance(there, int):
        if max(system) >= there:
            problem = f"names CPU {max(system)}, and {host} has CPUs 0 to {there - 1}"
            yield SYSTEM_CPUS, (), problem, "name CPUs that it has; correct slurm_node_cpus if not"
        elif len(system | slurm) >= there:
            yield SYSTEM_CPUS, (), f"leaves no CPU of {host} to give away", "keep fewer"


def _hugepages(host: str, variables: Mapping[str, Any]) -> _Found:
    rows = variables.get(HUGEPAGES)
    seen: dict[object, set[object]] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        if not isinstance(row, Mapping):
            continue
        nodes = seen.setdefault(row.get("size"), set())
        node = row.get("numa_node")
        if node in nodes or (nodes and None in {*nodes, node}):
            problem = f"gives another number of pages of {row.get('size')} than a row above"
            yield HUGEPAGES, (index,), problem, "write one row a size, or one for each NUMA node of a size"
        nodes.add(node)
    memory = variables.get("slurm_node_memory_mib")
    pages, kept = node_classes.hugepages_mib(variables), 0
    if pages and isinstance(memory, int):
        try:
            kept = node_classes.reserved_mib(variables)
        except (KeyError, TypeError, ValueError):
            return
        if pages + kept >= memory:
            also = f", of which {kept} are kept back" if kept else ""
            problem = f"are {pages} MiB, and {host} has {memory}{also}"
            yield HUGEPAGES, (), problem, "keep fewer pages"


def _slurm(facts: Facts, host: str, variables: Mapping[str, Any]) -> _Found:
    if "slurm_node" not in facts.effective.groups[host]:
        return
    if _SPEC_COUNT in variables:
        for other in ("node_slurm_cpus", SYSTEM_CPUS):
            if other in variables:
                problem = f"contradicts {other} of {host}, which says which CPUs jobs do not get"
                yield _SPEC_COUNT, (), problem, "leave one of them"
        cores = variables.get("slurm_node_cpus")
        if isinstance(cores, int) and variables[_SPEC_COUNT] >= cores:
            yield _SPEC_COUNT, (), f"leaves jobs no core of {host}", "keep fewer"
    cgroup = facts.shared("slurm_cgroup")
    confined = [name for name in (SYSTEM_CPUS, _SPEC_COUNT, _CPU_BIND) if name in variables]
    if cgroup and cgroup[1] == NONE and confined:
        problem = "does not count, as slurm_cgroup is none: nothing binds jobs to CPUs"
        yield confined[0], (), problem, "set slurm_cgroup to auto, or remove it"
