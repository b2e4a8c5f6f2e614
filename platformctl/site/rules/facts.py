"""What the rules check: hosts, groups and values of an inventory, and the places where they are set.

Values of a wrong type are left out: they are reported elsewhere, and rules must not fail on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from platformctl.site.effective import Effective
from platformctl.site.inventory import Inventory, Source
from platformctl.site.mistakes import Key, Mistake
from platformctl.site.values import templated
from platformctl.site.variables import Role


@dataclass(frozen=True)
class Record:
    """One mapping of a variable that is a list of mappings, such as a user of users_accounts."""

    source: Source
    keys: tuple[Key, ...]
    content: dict[str, Any]

    def text(self, key: str) -> str | None:
        """The text under a key; None if it is missing, of another type, or templated."""
        value = self.content.get(key)
        return value if isinstance(value, str) and not templated(value) else None

    def number(self, key: str) -> int | None:
        """The number under a key; None in the same cases."""
        value = self.content.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def texts(self, key: str) -> tuple[tuple[Key, str], ...]:
        """The texts of a list under a key, each with its index."""
        value = self.content.get(key)
        items = enumerate(value) if isinstance(value, list) else ()
        return tuple((index, item) for index, item in items if isinstance(item, str) and not templated(item))

    def mistake(self, keys: tuple[Key, ...], problem: str, remedy: str) -> Mistake:
        """A mistake at these keys of the record."""
        value: Any = self.content
        for key in keys:
            value = value[key]
        return self.source.mistake((*self.keys, *keys), value, problem, remedy)


@dataclass(frozen=True)
class Facts:
    """An inventory with its merged variables and the roles that will read them."""

    inventory: Inventory
    effective: Effective
    roles: tuple[Role, ...]

    @cached_property
    def variables(self) -> dict[str, dict[str, Any]]:
        """Variables of every host by its name."""
        return {host: self.effective.variables(host) for host in self.effective.hosts}

    @property
    def lab(self) -> bool:
        """Whether the hosts are those of a lab on this machine."""
        return self.shared("lab_state") is not None

    def members(self, group: str) -> tuple[str, ...]:
        """Hosts of a group; none when there is no such group."""
        return self.effective.members.get(group, ())

    def shared(self, variable: str) -> tuple[Source, Any] | None:
        """A site-wide variable of group `all` and the place that sets it."""
        group = self.inventory.groups["all"]
        for source in reversed([*group.inline, *group.files]):
            if variable in source.values:
                return source, source.values[variable]
        return None

    def shared_text(self, variable: str) -> tuple[Source, str] | None:
        """The same for a text that needs no templating."""
        setting = self.shared(variable)
        return setting if setting and isinstance(setting[1], str) and not templated(setting[1]) else None

    def records(self, variable: str) -> Iterator[Record]:
        """The mappings of a site-wide list."""
        setting = self.shared(variable)
        items = setting[1] if setting and isinstance(setting[1], list) else []
        for index, item in enumerate(items):
            if setting and isinstance(item, dict):
                yield Record(setting[0], (variable, index), item)

    def present(self, variable: str) -> Iterator[Record]:
        """The same, without those whose state is absent."""
        return (record for record in self.records(variable) if record.content.get("state") != "absent")

    def address(self, host: str) -> tuple[str, str] | None:
        """The variable that sets a host's address, and its value, if that is a plain text."""
        for variable in ("base_address", "ansible_host"):
            value = self.variables[host].get(variable)
            if value is not None:
                return (variable, value) if isinstance(value, str) and not templated(value) else None
        return None

    def host_mistake(self, host: str, problem: str, remedy: str) -> Mistake:
        """A mistake about a host, at the outermost place in hosts.yml that names it."""
        return self.inventory.mistake(min(self.inventory.listed[host], key=len), None, problem, remedy)

    def variable_mistake(self, host: str, variable: str, problem: str, remedy: str) -> Mistake:
        """A mistake about a host's value of a variable, at the place that sets it."""
        source = self.effective.origin(host, variable)
        return source.mistake((variable,), source.values[variable], problem, remedy)
