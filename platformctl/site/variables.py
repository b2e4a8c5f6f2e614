"""The variables of a site: those that roles declare in argument_specs, and those that no role declares.

A role's argument_specs are the only place for a variable's type, default and meaning. This module reads all
of them, and reads from the playbooks which groups of hosts a role is for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from platformctl.site.extra import EXTRA

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNSET: Any = object()


@dataclass(frozen=True)
class Variable:
    """One variable, or one key of a variable that is a mapping or a list of mappings.

    type and elements: names of Ansible's argument types. required: whether the roles that read it need it.
    default: UNSET if there is none. roles: those that declare it, in alphabetical order.
    """

    name: str
    type: str = "str"
    elements: str = ""
    choices: tuple[Any, ...] = ()
    default: Any = _UNSET
    required: bool = False
    description: str = ""
    options: tuple["Variable", ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def has_default(self) -> bool:
        """Whether a default is documented."""
        return self.default is not _UNSET

    @property
    def secret(self) -> bool:
        """Whether platformctl generates it into the site's vault."""
        return self.name.startswith("secret_")


@dataclass(frozen=True)
class Role:
    """A role: its variables, and the groups whose hosts it is for; no groups if only other roles use it."""

    name: str
    variables: Mapping[str, Variable]
    groups: frozenset[str] = frozenset()
    defaults: frozenset[str] = field(default_factory=frozenset)

    def parameters(self) -> frozenset[str]:
        """Variables that the role's callers give, and that no inventory may set."""
        if self.groups:
            return frozenset()
        own = (variable for variable in self.variables.values() if variable.name.startswith(f"{self.name}_"))
        return frozenset(variable.name for variable in own if variable.required)

    def required(self) -> frozenset[str]:
        """Variables that the inventory must give to each host of the role's groups."""
        needed = {
            name for name, variable in self.variables.items() if variable.required and not variable.secret
        }
        return frozenset(needed - self.defaults)


def roles(data: Path) -> tuple[Role, ...]:
    """All roles below a data folder (with roles/ and playbooks/), by name."""
    groups = _groups_of_roles(data / "playbooks")
    listed = []
    for path in sorted((data / "roles").glob("*/meta/argument_specs.yml")):
        name = path.parts[-3]
        defaults = _yaml(path.parents[1] / "defaults" / "main.yml")
        listed.append(Role(name, read_specs(path), frozenset(groups.get(name, ())), frozenset(defaults)))
    return tuple(listed)


@cache
def known(data: Path) -> Mapping[str, Variable]:
    """Every variable that an inventory may set, by name, in alphabetical order."""
    merged: dict[str, Variable] = {variable.name: variable for variable in EXTRA_VARIABLES}
    for role in roles(data):
        hidden = role.parameters()
        for name, variable in role.variables.items():
            if name not in hidden:
                declared = replace(variable, roles=(role.name,))
                merged[name] = _merge(merged[name], declared) if name in merged else declared
    return dict(sorted(merged.items()))


def read_specs(path: Path) -> dict[str, Variable]:
    """The variables of one argument_specs.yml, over all its entry points."""
    entries = (_yaml(path).get("argument_specs") or {}).values()
    options = (
        (name, spec) for entry in entries for name, spec in ((entry or {}).get("options") or {}).items()
    )
    return {name: _variable(name, spec or {}) for name, spec in options}


def _variable(name: str, spec: Mapping[str, Any]) -> Variable:
    return Variable(
        name=name,
        type=spec.get("type", "str"),
        elements=spec.get("elements", ""),
        choices=tuple(spec.get("choices", ())),
        default=spec.get("default", _UNSET),
        required=bool(spec.get("required", False)),
        description=_plain(spec.get("description", "")),
        options=tuple(_variable(key, value or {}) for key, value in (spec.get("options") or {}).items()),
    )


def _merge(one: Variable, other: Variable) -> Variable:
    """Merge two declarations of a variable: the more detailed one wins; required if either requires it."""
    detailed, plain = sorted((one, other), key=_detail, reverse=True)
    return replace(
        detailed,
        choices=detailed.choices or plain.choices,
        default=detailed.default if detailed.has_default else plain.default,
        required=one.required or other.required,
        roles=tuple(sorted({*one.roles, *other.roles})),
    )


def _detail(variable: Variable) -> tuple[int, bool, int]:
    own = any(variable.name.startswith(f"{role}_") for role in variable.roles)
    return len(variable.options), own, len(variable.description)


def _plain(description: str | Iterable[str]) -> str:
    """Ansible's C(x), I(x), V(x) and O(x) as plain words, several paragraphs as one text."""
    text = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"\b[CIVO]\(([^)]*)\)", r"\1", text).strip()


def _groups_of_roles(playbooks: Path) -> dict[str, set[str]]:
    by_role: dict[str, set[str]] = {}
    for path in sorted(playbooks.glob("*.yml")):
        plays = yaml.load(path.read_text(), _Loader) or []  # noqa: S506 - a safe loader
        for play in plays:
            for role in play.get("roles") or ():
                name = role if isinstance(role, str) else role.get("role", role.get("name", ""))
                by_role.setdefault(name, set()).add(re.split(r"[\[:,]", play["hosts"])[0])
    return by_role


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return yaml.load(path.read_text(), _Loader) or {}  # noqa: S506 - a safe loader


EXTRA_VARIABLES = tuple(_variable(name, spec) for name, spec in EXTRA.items())
"""Variables of Ansible's connections and of platformctl itself, which no role declares."""
