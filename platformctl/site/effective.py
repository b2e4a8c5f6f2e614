"""The effective variables of each host, merged in Ansible's order.

Lowest precedence first: groups in hosts.yml, group_vars of `all`, group_vars of the other groups, the host in
hosts.yml, its host_vars. Among groups the deeper one wins, then the higher ansible_group_priority, then the
later name. A value replaces the other as a whole; mappings are not merged.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from platformctl.site.inventory import ALL, Group, Inventory, Source


class Effective:
    """Groups and merged variables of every host of an inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._shared: dict[tuple[str, ...], dict[str, Any]] = {}

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """All hosts in Ansible's order: those listed first in the file come first."""
        return tuple(self.members[ALL])

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """Hosts of every group: its own first, then those of its children, level by level."""
        return {name: self._below(name) for name in self._inventory.groups}

    def _below(self, name: str) -> tuple[str, ...]:
        groups = self._inventory.groups
        hosts: dict[str, None] = {}
        level = [name]
        while level:
            for group in level:
                hosts.update(groups[group].hosts)
            level = list(dict.fromkeys(child for group in level for child in groups[group].children))
        return tuple(hosts)

    @cached_property
    def groups(self) -> dict[str, frozenset[str]]:
        """The groups of every host, without `all`."""
        by_host: dict[str, set[str]] = {host: set() for host in self.hosts}
        for name, hosts in self.members.items():
            if name != ALL:
                for host in hosts:
                    by_host[host].add(name)
        return {host: frozenset(names) for host, names in by_host.items()}

    @cached_property
    def shared(self) -> dict[str, Any]:
        """The variables of the whole site; Jinja not evaluated."""
        return _merged(_group_sources([self._inventory.groups[ALL]]))

    def variables(self, host: str) -> dict[str, Any]:
        """The variables of a host; Jinja not evaluated."""
        groups = self._ordered_groups(host)
        names = tuple(group.name for group in groups)
        if names not in self._shared:
            self._shared[names] = _merged(_group_sources(groups))
        return _merged(self._host_sources(host), self._shared[names])

    def origin(self, host: str, variable: str) -> Source:
        """The place that sets the effective value of one of the host's variables."""
        places = [*_group_sources(self._ordered_groups(host)), *self._host_sources(host)]
        return next(source for source in reversed(places) if variable in source.values)

    def _ordered_groups(self, host: str) -> list[Group]:
        chosen = [self._inventory.groups[name] for name in (ALL, *self.groups[host])]
        return sorted(chosen, key=lambda group: (group.depth, group.priority, group.name))

    def _host_sources(self, host: str) -> Iterator[Source]:
        yield from self._inventory.host_inline.get(host, ())
        yield from self._inventory.host_files.get(host, ())


def _group_sources(groups: list[Group]) -> Iterator[Source]:
    for group in groups:
        yield from group.inline
    for group in groups:
        yield from group.files


def _merged(sources: Iterator[Source], start: dict[str, Any] | None = None) -> dict[str, Any]:
    merged = dict(start or {})
    for source in sources:
        merged.update(source.values)
    return merged
