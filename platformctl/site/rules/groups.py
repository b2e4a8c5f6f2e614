"""Rules on groups: which groups need others, who owns a node, and how many hosts a group may have."""

from collections.abc import Iterator

from platformctl.site.devices import NODE_GROUPS
from platformctl.site.inventory import ALL
from platformctl.site.mistakes import Key, Mistake, nearest
from platformctl.site.rules.facts import Facts

PARENTS = ("kubernetes", "slurm")
"""Groups without a role, which inventories use as parents of other groups."""

_NEEDS = {
    "kubernetes_node": ("kubernetes_control_plane",),
    "kubernetes_control_plane": ("registry",),
    "slurm_node": ("slurm_controller",),
    "slurm_controller": ("slurm_accounting",),
    "slurm_rest": ("slurm_controller",),
}
"""For a group with hosts, the groups that must have hosts too."""

_WITHIN = {
    "kubernetes_control_plane": "containerd",
    "kubernetes_node": "containerd",
    "slurm_accounting": "munge",
    "slurm_controller": "munge",
    "slurm_rest": "munge",
    "slurm_node": "munge",
}
"""Every host of the first group must be in the second."""

_APART = ("kubernetes_control_plane", "kubernetes_node")
"""Groups that may not share a host: a control-plane host is already a node, and cannot join twice."""

# A second control-plane host would form a cluster of its own: joining is not implemented yet.
_SINGLE = ("registry", "slurm_accounting", "kubernetes_control_plane")


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of groups."""
    yield from _misspelt(facts)
    yield from _missing(facts)
    yield from _outside(facts)
    yield from _counts(facts)
    yield from _apart(facts)
    yield from _owners(facts)
    yield from _idle(facts)


def known_groups(facts: Facts) -> frozenset[str]:
    """Groups that platformctl knows."""
    of_roles = {group for role in facts.roles for group in role.groups if group != "localhost"}
    return frozenset({ALL, *PARENTS, *_NEEDS, *_WITHIN, *_WITHIN.values(), *_SINGLE, *of_roles})


def _misspelt(facts: Facts) -> Iterator[Mistake]:
    known = known_groups(facts)
    for name in facts.inventory.groups:
        meant = nearest(name, known)
        if name not in known and meant:
            problem = f"platformctl does not know group {name}, and its name is similar to a known one"
            remedy = f"did you mean {meant}? If it is the site's own, choose a less similar name"
            yield facts.inventory.mistake(_place(facts, name), None, problem, remedy)


def _missing(facts: Facts) -> Iterator[Mistake]:
    if facts.effective.hosts and not any(facts.members(group) for group in _NEEDS):
        remedy = "put hosts into kubernetes_control_plane, slurm_controller and the other groups"
        yield facts.inventory.mistake((), None, "no host has a task", remedy)
    for group, needed in _NEEDS.items():
        for other in needed:
            if facts.members(group) and not facts.members(other):
                problem = f"group {group} has hosts, but {other} has none"
                remedy = f"put a host into {other}"
                yield facts.inventory.mistake(_place(facts, group), None, problem, remedy)


def _outside(facts: Facts) -> Iterator[Mistake]:
    for group, outer in _WITHIN.items():
        within = set(facts.members(outer))
        lacking = [host for host in facts.members(group) if host not in within]
        if lacking:
            problem = f"{_some(lacking)} of {group} not in {outer}"
            remedy = f"make {group} or its parent a child of {outer}"
            yield facts.inventory.mistake(_place(facts, group), None, problem, remedy)


def _counts(facts: Facts) -> Iterator[Mistake]:
    for group in _SINGLE:
        if len(facts.members(group)) > 1:
            problem = f"{group} has {len(facts.members(group))} hosts"
            yield facts.inventory.mistake(_place(facts, group), None, problem, "leave one host in it")


def _apart(facts: Facts) -> Iterator[Mistake]:
    one, other = _APART
    for host in facts.members(one):
        if other in facts.effective.groups[host]:
            yield facts.host_mistake(host, f"{host} is in {one} and in {other}", f"take it out of {other}")


def _owners(facts: Facts) -> Iterator[Mistake]:
    for host in facts.effective.hosts:
        groups = facts.effective.groups[host]
        scheduled = {owner for owner, group in NODE_GROUPS.items() if group in groups}
        owner = facts.variables[host].get("node_owner")
        if owner is None:
            if len(scheduled) == 2:
                problem = f"{host} is a node of both Slurm and Kubernetes, and node_owner is not set"
                remedy = "set its node_owner to shared, or to the one that has it first, or leave one group"
                yield facts.host_mistake(host, problem, remedy)
            continue
        # Pods also run on a control-plane host, which is not in kubernetes_node.
        control_plane = _APART[0] in groups
        if control_plane and owner != "slurm":
            scheduled.add("kubernetes")
        # Any other value is reported elsewhere, or is Jinja.
        wanted = {name for name in NODE_GROUPS if owner in (name, "shared")} or scheduled
        # A node of both that belongs to one of them at a time: `node move` gives it to the other.
        if not control_plane and wanted < scheduled:
            continue
        if wanted != scheduled:
            own = {**NODE_GROUPS, **({"kubernetes": _APART[0]} if control_plane else {})}
            names = " and ".join(own[name] for name in sorted(scheduled)) or "no group of nodes"
            problem = f"{host} is in {names}, which contradicts its owner"
            yield facts.variable_mistake(
                host, "node_owner", problem, _owned(wanted, scheduled, control_plane)
            )


def _owned(wanted: set[str], scheduled: set[str], control_plane: bool) -> str:
    """The remedy: the owner that fits the groups, or the groups that fit the owner."""
    if control_plane:
        fits = "shared" if "slurm" in scheduled else "kubernetes"
        lacking = " and ".join(NODE_GROUPS[name] for name in sorted(wanted - scheduled - {"kubernetes"}))
        return f"set node_owner to {fits}" + (f", or put the host into {lacking}" if lacking else "")
    groups = " and ".join(NODE_GROUPS[name] for name in sorted(wanted))
    if not scheduled:
        return f"put it into {groups}, or remove node_owner: the host is no node"
    fits = "shared" if len(scheduled) > 1 else next(iter(scheduled))
    return f"put it into {groups} only, or change node_owner to {fits}"


def _idle(facts: Facts) -> Iterator[Mistake]:
    """Hosts in no group. A lab may have some: they stand for hosts that are added later."""
    for host in facts.effective.hosts:
        if not facts.effective.groups[host] and not facts.lab:
            remedy = "put it into slurm_node or kubernetes_node; or, if it is to have only the site's users"
            remedy += " and packages, into a group of the site's own"
            yield facts.host_mistake(host, f"{host} is in no group, so it has no task", remedy)


def _place(facts: Facts, group: str) -> tuple[Key, ...]:
    return facts.inventory.groups[group].place


def _some(hosts: list[str]) -> str:
    names = ", ".join(hosts[:3])
    more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
    return f"{names}{more} {'are' if len(hosts) > 1 else 'is'}"
