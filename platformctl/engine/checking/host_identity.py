"""Judges whether a host is the one that the inventory means: its name, addresses and size.

Part of the preflight. Once a host is installed, its name in the inventory counts, whatever it calls itself;
only Slurm's controllers look themselves up by their host name.
"""

from collections.abc import Iterator

from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.site.values import templated

_MIB = 1024**2
# Their programs compare the configured name with that of the host.
_NAMED_BY_HOST = frozenset({"slurm_controller", "slurm_accounting"})
_KUBERNETES = frozenset({"kubernetes_control_plane", "kubernetes_node"})


def name(subject: Subject) -> Iterator[Finding]:
    """What the host was installed as, and what it calls itself."""
    recorded = str(subject.probe.get("installed_as", ""))
    if recorded and recorded != subject.name:
        remedy = f"`platformctl plan` says what to do; it is {recorded} to Kubernetes and Slurm"
        yield Finding(subject.name, "identity", Level.ERROR, f"was installed as {recorded}", remedy)
        return
    hostname = str(subject.probe["hostname"]).split(".")[0]
    if hostname == subject.name:
        return
    remedy = "name the host as in the inventory (hostnamectl set-hostname), or the other way round"
    if subject.groups & _NAMED_BY_HOST or hostname.lower() != subject.name:
        level = Level.WARNING if recorded and not subject.groups & _NAMED_BY_HOST else Level.ERROR
        yield Finding(subject.name, "hostname", level, f"calls itself {hostname}", remedy)


def address(subject: Subject) -> Iterator[Finding]:
    """Whether the address that other hosts use is one of the host's own."""
    own = subject.probe["addresses"]
    variable = next((key for key in _addresses(subject) if key in subject.variables), "ansible_host")
    wanted = str(subject.variables.get(variable, subject.address))
    if not own or templated(wanted) or not wanted[:1].isdigit() or wanted in own:
        return
    found = f"{wanted} ({variable}) is none of its own addresses ({', '.join(own)})"
    # A kubelet ends if it has not got the address that it is given.
    level = Level.ERROR if subject.groups & _KUBERNETES else Level.WARNING
    remedy = "set base_address to the one of its addresses that other hosts reach it by"
    yield Finding(subject.name, "address", level, found, remedy)


def _addresses(subject: Subject) -> tuple[str, ...]:
    if subject.groups & _KUBERNETES:
        return ("kubernetes_kubelet_address", "base_address", "ansible_host")
    return ("base_address", "ansible_host")


def size(subject: Subject) -> Iterator[Finding]:
    """Whether the host has what the inventory says: Slurm takes a node out of service that has less."""
    if "slurm_node" not in subject.groups or subject.setting("slurm_node_config_overrides"):
        return
    for variable, unit, has in (
        ("slurm_node_memory_mib", "MiB of memory", int(subject.probe["memory"]) // _MIB),
        ("slurm_node_cpus", "CPUs", int(subject.probe.get("cpus", 0))),
    ):
        wanted = subject.variables.get(variable)
        if has and isinstance(wanted, int) and wanted > has:
            found = f"has {has} {unit}, and {variable} is {wanted}"
            remedy = f"correct {variable}, or remove it: then the host is measured"
            yield Finding(subject.name, "size", Level.ERROR, found, remedy)
