"""Runtime classes: other ways to run a pod, such as gVisor and Kata, and the nodes that have what they need.

The variable `kubernetes_runtime_classes` is a table. From a row come containerd's section, the RuntimeClass,
the nodes' labels, and what preflight looks for. Pure, and only of the standard library, because filters of
roles use it too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "kubernetes_runtime_classes"
LABELS = "runtimes.platformctl.io"
"""Prefix of the labels of nodes that have a runtime."""
NODE_GROUP = "kubernetes_node"
DEFAULT = "runc"
"""The runtime of pods without a class."""

OTHER, ROOTLESS = "other", "rootless"
_RUNC = "io.containerd.runc.v2"


@dataclass(frozen=True)
class Kind:
    """What a well-known runtime is made of.

    type: containerd's name of it. programs: that the host must have. devices: files that it must have.
    packages: of Debian, which platformctl installs. options: of containerd. remedy: where the programs come
    from. namespaces: whether it takes user namespaces of pods.
    """

    type: str
    programs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    options: Mapping[str, str] | None = None
    remedy: str = ""
    namespaces: bool = False


KINDS: Mapping[str, Kind] = {
    "gvisor": Kind(
        "io.containerd.runsc.v1",
        ("runsc", "containerd-shim-runsc-v1"),
        remedy="install gVisor there (gvisor.dev/docs/user_guide/install)",
    ),
    "kata": Kind(
        "io.containerd.kata.v2",
        ("containerd-shim-kata-v2",),
        ("/dev/kvm",),
        remedy="install Kata Containers there, and link containerd-shim-kata-v2 into /usr/local/bin",
    ),
    "crun": Kind(_RUNC, ("/usr/bin/crun",), packages=("crun",), options={"BinaryName": "/usr/bin/crun"}),
    ROOTLESS: Kind(_RUNC, namespaces=True),
    OTHER: Kind(_RUNC, remedy="install it there"),
}
"""By `kind`. Debian 13 has neither gVisor nor Kata; crun is a package of it."""


@dataclass(frozen=True)
class RuntimeClass:
    """One row of the table, with what its kind adds. nodes: hosts and groups; all nodes if empty."""

    index: int
    name: str
    kind: Kind
    handler: str
    type: str
    options: Mapping[str, Any]
    programs: tuple[str, ...]
    devices: tuple[str, ...]
    nodes: tuple[str, ...] | None
    overhead: Mapping[str, str]

    def on(self, host: str, groups: frozenset[str]) -> bool:
        """Whether a host is to run it. groups: of that host."""
        if NODE_GROUP not in groups:
            return False
        return self.nodes is None or host in self.nodes or not groups.isdisjoint(self.nodes)

    @property
    def label(self) -> str:
        """The label of the nodes that run it."""
        return f"{LABELS}/{self.name}"


def table(variables: Mapping[str, Any]) -> tuple[RuntimeClass, ...]:
    """The rows that are whole; others are reported as mistakes elsewhere."""
    rows = variables.get(VARIABLE)
    found = (_row(index, row) for index, row in enumerate(rows if isinstance(rows, list) else ()))
    return tuple(row for row in found if row is not None)


def of_host(variables: Mapping[str, Any], host: str, groups: Iterable[str]) -> tuple[RuntimeClass, ...]:
    """The classes that a host is to run."""
    own = frozenset(groups)
    return tuple(row for row in table(variables) if row.on(host, own))


def labels(variables: Mapping[str, Any], host: str, groups: Iterable[str]) -> dict[str, str]:
    """The labels by which pods of a class find a node."""
    return {row.label: "present" for row in of_host(variables, host, groups)}


def containerd(
    variables: Mapping[str, Any], host: str, groups: Iterable[str], systemd_cgroup: bool
) -> list[dict[str, Any]]:
    """containerd's sections on a host, one for each handler: {handler, type, options}."""
    sections: dict[str, dict[str, Any]] = {}
    for row in of_host(variables, host, groups):
        options = dict(row.options)
        if row.type == _RUNC:
            options = {"SystemdCgroup": systemd_cgroup, **options}
        if row.handler != DEFAULT:
            sections[row.handler] = {"handler": row.handler, "type": row.type, "options": options}
    return list(sections.values())


def packages(variables: Mapping[str, Any], host: str, groups: Iterable[str]) -> list[str]:
    """Debian's packages of the classes of a host."""
    return sorted({name for row in of_host(variables, host, groups) for name in row.kind.packages})


def objects(variables: Mapping[str, Any], members: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """What the cluster knows of each class: {name, handler, label, overhead, hosts, missing, namespaces}.

    members: the hosts of each group. hosts: how many nodes are to run it. missing: why there are none.
    """
    found = []
    nodes = list(members.get(NODE_GROUP, ()))
    groups = {host: frozenset(name for name, hosts in members.items() if host in hosts) for host in nodes}
    for row in table(variables):
        hosts = [host for host in nodes if row.on(host, groups[host])]
        named = ", ".join(row.nodes or ()) or "nothing"
        missing = "" if hosts else f"no node of the site may run it: nodes of {VARIABLE} names {named}"
        found.append(
            {
                "name": row.name,
                "handler": row.handler,
                "label": row.label,
                "overhead": dict(row.overhead),
                "hosts": len(hosts),
                "missing": missing,
                "namespaces": row.kind.namespaces,
            }
        )
    return found


def _row(index: int, row: Any) -> RuntimeClass | None:
    if not isinstance(row, Mapping) or row.get("kind", OTHER) not in KINDS or not row.get("name"):
        return None
    kind = KINDS[row.get("kind", OTHER)]
    nodes, own = row.get("nodes"), row.get("programs")
    return RuntimeClass(
        index,
        str(row["name"]),
        kind,
        str(row.get("handler") or (DEFAULT if kind.namespaces else row["name"])),
        str(row.get("runtime_type") or kind.type),
        {**(kind.options or {}), **(row.get("options") or {})},
        tuple(own) if own is not None else kind.programs,
        tuple(row.get("devices") or kind.devices),
        tuple(str(name) for name in nodes) if isinstance(nodes, list) else None,
        {name: str(amount) for name, amount in (row.get("overhead") or {}).items()},
    )
