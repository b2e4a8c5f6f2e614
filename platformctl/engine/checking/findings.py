"""What preflight knows of a host, and what it says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from platformctl import paths
from platformctl.site.variables import known

Probe = Mapping[str, Any]


class Level(StrEnum):
    """error: the host cannot be installed. warning: it can, but somebody should check it."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Subject:
    """A host to judge: its name, address, groups of the inventory, the site's name, and its probe.

    clock_window: seconds between reading the operator's clock and the host's answer. variables: what the
    inventory sets for it; a value that still holds Jinja is not judged. agreed: names that the command line
    accepts to be taken over.
    """

    name: str
    address: str
    groups: frozenset[str]
    site: str
    probe: Probe
    clock_window: float = 0.0
    variables: Mapping[str, Any] = field(default_factory=dict)
    agreed: frozenset[str] = frozenset()

    @property
    def accepted(self) -> frozenset[str]:
        """Names of what may be taken over on this host: by the inventory, and by the command line."""
        named = self.variables.get("takeover") or ()
        return self.agreed | {str(name) for name in named if isinstance(named, list | tuple)}

    def setting(self, name: str) -> Any:
        """A variable's value, or the default that its role documents."""
        return self.variables.get(name, known(paths.data_dir())[name].default)


@dataclass(frozen=True)
class Finding:
    """One check of one host: what was found, and the remedy if it is not ok.

    names: each of them accepts a takeover; empty for other checks.
    """

    host: str
    check: str
    level: Level
    found: str
    remedy: str = ""
    names: tuple[str, ...] = ()
