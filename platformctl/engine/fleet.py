"""The hosts of a site as the engine needs them: names, groups, raw variables and how to reach them.

Made from a loaded site; holds no Ansible object, so that planning and tests need no inventory file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl import paths

LOCALHOST = "localhost"


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

    secrets: values that must never be written anywhere by the engine.
    """

    site: str
    inventory: Path
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    secrets: tuple[str, ...] = field(default=(), repr=False)

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
