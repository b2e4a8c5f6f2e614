"""The hosts of a site as the engine needs them: names, groups, raw variables and how to reach them.

Made from a loaded site; holds no Ansible object, so that planning and tests need no inventory file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl import paths
from platformctl.site import devices

LOCALHOST = "localhost"
_DEFAULT_SOURCE = "upstream"


@dataclass(frozen=True)
class Connection:
    """How ssh reaches a host; the values of the inventory's ansible_* settings.

    address: name or IP. arguments: further ssh options, as split words. become_password: for sudo, if it
    asks for one. local: run on this machine without ssh (ansible_connection: local).
    """

    address: str
    user: str = ""
    port: int = 22
    key: str = ""
    arguments: tuple[str, ...] = ()
    become_password: str = field(default="", repr=False)
    local: bool = False


@dataclass(frozen=True)
class Host:
    """One host: the groups it is in (all levels) and its merged variables, Jinja not evaluated."""

    name: str
    groups: frozenset[str]
    variables: Mapping[str, Any] = field(repr=False)
    connection: Connection


@dataclass(frozen=True)
class Fleet:
    """All hosts of a site in inventory order; `groups` maps a group to its hosts in that order.

    shared: variables of the whole site. secrets: values that must never be written anywhere by the engine.
    guests: hosts that are not in the inventory, by name, such as one that is being removed.
    """

    site: str
    inventory: Path
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    guests: tuple[str, ...] = ()

    @property
    def variables(self) -> Mapping[str, Any]:
        """Variables of the whole site, as its first host has them."""
        return next((host.variables for host in self.hosts.values()), self.shared)

    @property
    def folder(self) -> Path:
        """The inventory's folder."""
        return self.inventory if self.inventory.is_dir() else self.inventory.parent

    @property
    def artifacts_source(self) -> str:
        """Where this site's artefacts come from."""
        return str(self.variables.get("artifacts_source") or _DEFAULT_SOURCE)

    @property
    def chosen_artifacts(self) -> frozenset[str]:
        """What this site has chosen of the artefacts that only some sites need."""
        return devices.installed_for(
            devices.on_host(one.variables, one.groups) for one in self.hosts.values()
        )

    @property
    def store(self) -> Path:
        """Folder of this site's artefacts on this machine."""
        return paths.cache_dir() / "store" / self.artifacts_source

    @property
    def foreign_cluster(self) -> bool:
        """Whether platformctl did not make its Kubernetes cluster (kubernetes_provider: existing)."""
        return self.variables.get("kubernetes_provider") == "existing"

    @property
    def has_cluster(self) -> bool:
        """Whether it has a Kubernetes at all."""
        return self.foreign_cluster or bool(self.members("kubernetes_control_plane"))

    @property
    def has_slurm(self) -> bool:
        """Whether there is a slurmrestd to submit jobs to: the site's own, or another (slurm_rest_url)."""
        return bool(self.members("slurm_rest") or self.variables.get("slurm_rest_url"))

    @property
    def key(self) -> str:
        """Name of this site's state on this machine: two inventories may share a site name."""
        digest = hashlib.sha256(str(self.inventory.resolve()).encode()).hexdigest()[:8]
        return f"{self.site}-{digest}"

    @property
    def state(self) -> Path:
        """Folder of this site's runs, durations and logs on this machine."""
        return paths.state_dir() / "sites" / self.key

    def members(self, group: str) -> tuple[str, ...]:
        """Hosts of a group in inventory order; `all` is every host; an unknown group is empty."""
        return tuple(self.hosts) if group == "all" else self.groups.get(group, ())

    def first(self, group: str) -> Host | None:
        """First host of a group, or None."""
        names = self.members(group)
        return self.hosts[names[0]] if names else None
