"""Areas of variables: one for each documented file of group_vars/all, by the prefix of a variable's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformctl.site.variables import Variable, known


@dataclass(frozen=True)
class Area:
    """One area: its title, and the prefixes of its variables."""

    name: str
    title: str
    prefixes: tuple[str, ...]


AREAS = (
    Area("site", "The site as a whole", ("site_",)),
    Area("connection", "How hosts are reached", ("ansible_", "lab_", "preflight_")),
    Area("hosts", "One host", ("node_", "takeover")),
    Area("base", "Every host", ("base_", "packages_")),
    Area("firewall", "Ports of control services", ("firewall_",)),
    Area("users", "Users and their home", ("users_", "shared_home_")),
    Area("artifacts", "Where software comes from", ("artifacts_", "registry_")),
    Area("devices", "Health of devices", ("device_",)),
    Area("kubernetes", "Kubernetes", ("kubernetes_", "containerd_", "flannel_")),
    Area("slurm", "Slurm", ("slurm_", "munge_")),
)
"""In the order in which a person fills them in."""


def by_area(data: Path) -> Mapping[Area, tuple[Variable, ...]]:
    """Variables of every area, without secrets. A prefix that belongs to no area gets its own."""
    grouped: dict[Area, list[Variable]] = {area: [] for area in AREAS}
    for variable in known(data).values():
        if not variable.secret:
            grouped.setdefault(_area_of(variable.name), []).append(variable)
    return {area: tuple(variables) for area, variables in grouped.items()}


def _area_of(name: str) -> Area:
    for area in AREAS:
        if name.startswith(area.prefixes):
            return area
    prefix = name.partition("_")[0]
    return Area(prefix, prefix.capitalize(), (f"{prefix}_",))
