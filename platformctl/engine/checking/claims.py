"""What the stages of a host use there: packages, ports, and what roles name in meta/claims.yml.

The one source of what preflight asks hosts for: a role's packages are those it installs, its ports those of
the table of stages, its services and files those of its claims.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import digest
from platformctl.engine.stages import STAGES, Stage, StageRunner
from platformctl.site.values import templated

_DEEPEST = 5
_ONE_NAME = re.compile(r"\{\{ *(\w+) *\}\}")
_MORE_PACKAGES = {
    "base": "base_packages",
    "slurm_node": "_slurm_node_container_runtimes[slurm_node_container_runtime].packages",
}


def of(host: Host, fleet: Fleet, data: Path) -> dict[str, Any]:
    """The claims on a host by stage, as host_probe and host_before take them."""
    return of_variables(
        host.variables, [stage for stage in STAGES if host.name in stage.targets(fleet)], data
    )


def of_groups(groups: frozenset[str], variables: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """The claims on a host of these groups, for plain ansible-playbook."""
    return of_variables(variables, [stage for stage in STAGES if stage.group in {"all", *groups}], data)


def of_variables(variables: Mapping[str, Any], stages: list[Stage], data: Path) -> dict[str, Any]:
    """The claims of these stages on a host with these variables."""
    on_host = [stage for stage in stages if stage.runner is StageRunner.PLAYBOOK]
    proxy = _resolve("{{ base_apt_proxy }}", _Values(("base",), variables, data))
    return {"stages": [_stage(stage, variables, data) for stage in on_host], "proxy": proxy or ""}


def _stage(stage: Stage, variables: Mapping[str, Any], data: Path) -> dict[str, Any]:
    roles = digest.with_included(stage.roles, data / "roles")
    values = _Values(roles, variables, data)
    things: dict[str, dict[str, Any]] = {}
    for role in roles:
        for name, claim in _yaml(data / "roles" / role / "meta" / "claims.yml").items():
            _merge(things.setdefault(name, {}), _resolve_all(claim, values))
    # Another program's datagrams do not keep ours from starting, as far as anybody knows.
    numbers = [port.number for port in stage.ports if not port.udp and not callable(port.number)]
    ports = [
        _resolve(f"{{{{ {number} }}}}", values) if isinstance(number, str) else number for number in numbers
    ]
    return {
        "stage": stage.name,
        "things": things,
        "packages": sorted(set(_packages(roles, values))),
        "ports": [int(str(port)) for port in ports if str(port).isdigit()],
    }


def _packages(roles: tuple[str, ...], values: "_Values") -> Iterator[str]:
    for role in roles:
        for expression in (f"{role}_packages", _MORE_PACKAGES.get(role, "")):
            names = _resolve(f"{{{{ {expression} }}}}", values) if expression else None
            yield from (str(name) for name in names or () if isinstance(names, list))


def _merge(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        known[key] = [*known.get(key, ()), *value] if isinstance(value, list) else value


def _resolve_all(value: Any, values: "_Values") -> Any:
    """Jinja of a claim by its values; what only a play can tell is left out."""
    if isinstance(value, Mapping):
        return {key: _resolve_all(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        resolved = (_resolve_all(inner, values) for inner in value)
        return [inner for inner in resolved if inner is not None]
    return _resolve(value, values) if templated(value) else value


def _resolve(text: Any, values: "_Values") -> Any:
    """The value of a text with Jinja; None if it needs what is not known here."""
    from jinja2 import TemplateError

    for _ in range(_DEEPEST):
        if not templated(text):
            return text
        if match := _ONE_NAME.fullmatch(str(text)):
            # Not by Jinja, which would take a text of digits for a number.
            text = values.get(match[1])
            continue
        try:
            text = _template(str(text)).render(values)
        except (TemplateError, TypeError, KeyError, AttributeError):
            return None
    return None


@cache
def _template(text: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.nativetypes import NativeEnvironment

    return NativeEnvironment(undefined=StrictUndefined).from_string(text)


class _Values(dict[str, Any]):
    """A host's variables over the defaults and variables of roles."""

    def __init__(self, roles: tuple[str, ...], variables: Mapping[str, Any], data: Path) -> None:
        super().__init__()
        for part in ("defaults", "vars"):
            for role in roles:
                self.update(_yaml(data / "roles" / role / part / "main.yml"))
        self.update((name, variables[name]) for name in variables if not str(name).startswith("secret_"))


@cache
def _yaml(path: Path) -> Mapping[str, Any]:
    return (yaml.safe_load(path.read_text()) if path.is_file() else {}) or {}
