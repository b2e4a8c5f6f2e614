"""Rules on the shares of a node that both schedulers use: CPUs and memory, each with one owner."""

from collections.abc import Iterator, Mapping
from typing import Any

from platformctl.site import processors
from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts
from platformctl.site.values import templated

_SHARES = ("node_slurm_cpus", "node_slurm_memory_mib", "node_system_memory_mib")
_CPUS, _MEMORY = _SHARES[:2]
_OVERRIDES = "kubernetes_kubelet_overrides"
# Fields of the kubelet that the shares decide.
_DECIDED = (
    "cpuManagerPolicy",
    "cpuManagerPolicyOptions",
    "reservedSystemCPUs",
    "systemReserved",
    "kubeReserved",
)
_SLURM_OPTIONS = "slurm_controller_options"
_OFF_SPEC = "SlurmdOffSpec"


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of shares."""
    for host in facts.effective.hosts:
        variables = facts.variables[host]
        owner = variables.get("node_owner")
        given = [name for name in _SHARES[:2] if name in variables]
        if not given or templated(owner):
            continue
        if owner != "shared":
            if origin := _own(facts, host, given):
                remedy = "set node_owner to shared, or remove it"
                yield facts.variable_mistake(host, origin, f"{host} is not a shared node", remedy)
            continue
        yield from _pair(facts, host, variables)
        yield from _sizes(facts, host, variables)
        yield from _overridden(facts, host, variables)
    yield from _unconfined(facts)


def _own(facts: Facts, host: str, given: list[str]) -> str:
    """The first of some variables that the host does not have from a group that others are in as well."""
    return next((name for name in given if facts.effective.origin(host, name).entity == host), "")


def _pair(facts: Facts, host: str, variables: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, other in ((_CPUS, _MEMORY), (_MEMORY, _CPUS)):
        if name in variables and other not in variables:
            problem = f"{host} has no {other} beside it"
            yield facts.variable_mistake(host, name, problem, f"set {other} too: both are divided or neither")


def _sizes(facts: Facts, host: str, variables: Mapping[str, Any]) -> Iterator[Mistake]:
    """Shares that the sizes in the inventory do not have room for."""
    try:
        cpus = processors.cpu_list(str(variables[_CPUS]))
    except (KeyError, processors.ProcessorError):
        return
    there = variables.get("slurm_node_cpus")
    if isinstance(there, int) and len(cpus) >= there:
        problem = f"leaves Kubernetes nothing: {host} has {there} CPUs, and {len(cpus)} are Slurm's"
        yield facts.variable_mistake(host, _CPUS, problem, "leave some CPUs to Kubernetes")
    elif isinstance(there, int) and cpus[-1] >= there:
        problem = f"names CPU {cpus[-1]}, and {host} has CPUs 0 to {there - 1}"
        yield facts.variable_mistake(
            host, _CPUS, problem, "name CPUs that it has; correct slurm_node_cpus if not"
        )
    memory, share = variables.get("slurm_node_memory_mib"), variables.get(_MEMORY)
    if isinstance(memory, int) and isinstance(share, int):
        system = variables.get(_SHARES[2], processors.DEFAULT_SYSTEM_MEMORY_MIB)
        if isinstance(system, int) and share + system >= memory:
            problem = f"leaves Kubernetes nothing: {host} has {memory} MiB, {system} of them for the system"
            yield facts.variable_mistake(host, _MEMORY, problem, "leave some memory to Kubernetes")


def _overridden(facts: Facts, host: str, variables: Mapping[str, Any]) -> Iterator[Mistake]:
    overrides = variables.get(_OVERRIDES)
    if not isinstance(overrides, dict):
        return
    for name in _DECIDED:
        if name in overrides:
            problem = f"{name} contradicts the shares of {host}, which decide it"
            remedy = "leave it out on shared nodes: set it on the hosts that need it, or on a group of them"
            yield facts.variable_mistake(host, _OVERRIDES, problem, remedy)


def _unconfined(facts: Facts) -> Iterator[Mistake]:
    """Settings of Slurm with which its jobs would not keep to its CPUs."""
    split = [host for host in facts.effective.hosts if processors.is_split(facts.variables[host])]
    if not split:
        return
    cgroup = facts.shared("slurm_cgroup")
    if cgroup and cgroup[1] == "none":
        problem = f"nothing would keep jobs of Slurm to their CPUs and memory on {split[0]}"
        remedy = f"set it to auto, or remove {_CPUS} and {_MEMORY}"
        yield cgroup[0].mistake(("slurm_cgroup",), cgroup[1], problem, remedy)
    options = facts.shared(_SLURM_OPTIONS)
    parameter = options[1].get("TaskPluginParam") if options and isinstance(options[1], dict) else None
    if options and parameter and not templated(parameter) and _OFF_SPEC not in str(parameter):
        problem = f"lacks {_OFF_SPEC}, so Slurm's daemons would run on Kubernetes' CPUs of {split[0]}"
        remedy = f"write {parameter},{_OFF_SPEC}"
        yield options[0].mistake((_SLURM_OPTIONS, "TaskPluginParam"), parameter, problem, remedy)
