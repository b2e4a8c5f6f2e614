"""Makes the fleet from a checked site: adds connection settings, evaluated as Ansible does, and secrets."""

import getpass
import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from platformctl import site
from platformctl.engine import vaulted
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets

# Variables with this prefix are secret in every file; those of the vault are all secret.
_SECRET_PREFIX = "secret_"  # noqa: S105 - a name, no secret
_SECRET_SUFFIXES = ("_password", "_pass", "_token", "_secret")
# The names of encryption keys are in etcd, and must not be struck out of logs wherever they stand.
_PUBLIC_SUFFIXES = ("_certificate", "_key_name", "_key_name_next", "_key_name_previous", "_key_name_retired")

Evaluate = Callable[[Any], Any]


def load(inventory: Path) -> Fleet:
    """Read an inventory; PlatformError with all its mistakes when it is not valid."""
    checked = site.load(inventory)
    known = secrets.load(checked.inventory)
    values = vaulted.Opened(secrets.opener(checked.inventory))
    variables = {name: {**values.of(host.vars), **known} for name, host in checked.hosts.items()}
    shared = {**values.of(checked.shared), **known}
    if values.closed:
        raise _closed(values.closed, checked.inventory)
    hosts = {
        name: Host(
            name, host.groups | {"all"}, variables[name], _connection(name, variables[name], inventory)
        )
        for name, host in checked.hosts.items()
    }
    return Fleet(
        checked.name,
        checked.inventory.resolve(),
        hosts,
        dict(checked.groups),
        shared,
        tuple(sorted(values.texts | _secrets([shared, *variables.values()], hosts))),
    )


def _closed(reasons: Mapping[str, str], inventory: Path) -> PlatformError:
    return PlatformError(
        "values of the inventory do not open with the key of its secrets",
        where=str(inventory),
        next="encrypt them with that key: ansible-vault encrypt_string --vault-password-file "
        f"{secrets.key_file(inventory) or 'KEY'}; or name theirs with {secrets.KEY_VARIABLE}",
        code=ExitCode.INVALID,
        details=[f"{name}: {why}" for name, why in sorted(reasons.items())],
    )


def _connection(name: str, variables: Mapping[str, Any], inventory: Path) -> Connection:
    evaluate = _evaluator(variables, inventory)

    def setting(*names: str) -> str:
        value = next((variables[key] for key in names if variables.get(key) not in (None, "")), "")
        return str(evaluate(value)) if "{{" in str(value) else str(value)

    common, extra = setting("ansible_ssh_common_args"), setting("ansible_ssh_extra_args")
    return Connection(
        address=setting("ansible_ssh_host", "ansible_host") or name,
        user=setting("ansible_ssh_user", "ansible_user") or getpass.getuser(),
        port=int(setting("ansible_ssh_port", "ansible_port") or 22),
        key=setting("ansible_ssh_private_key_file", "ansible_private_key_file"),
        arguments=(*shlex.split(common), *shlex.split(extra)),
        become_password=setting("ansible_become_password", "ansible_become_pass"),
        local=setting("ansible_connection") == "local",
    )


def evaluated(fleet: Fleet) -> Fleet:
    """The fleet with variables that are evaluated when they are read, for values used outside the engine.

    Reading a variable raises PlatformError when its Jinja needs what only a play knows, such as facts.
    """
    hosts = {
        name: replace(host, variables=_Evaluated(host.variables, fleet.inventory))
        for name, host in fleet.hosts.items()
    }
    return replace(fleet, hosts=hosts, shared=_Evaluated(fleet.shared, fleet.inventory))


class _Evaluated(Mapping[str, Any]):
    def __init__(self, variables: Mapping[str, Any], inventory: Path) -> None:
        self._variables, self._inventory = variables, inventory
        self._evaluate = _evaluator(variables, inventory)

    def __getitem__(self, name: str) -> Any:
        value = self._variables[name]
        if not any(mark in str(value) for mark in ("{{", "{%")):
            return value
        from ansible.errors import AnsibleError

        try:
            # Without Ansible's marks on texts, which writers of YAML do not know.
            return json.loads(json.dumps(self._evaluate(value)))
        except (AnsibleError, TypeError) as error:
            raise PlatformError(
                f"{name} is not known outside of a play: {error}",
                where=str(self._inventory),
                next=f"give {name} a value without Jinja, or one of the inventory's own variables",
                code=ExitCode.INVALID,
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _evaluator(variables: Mapping[str, Any], inventory: Path) -> Evaluate:
    """Evaluates Jinja as Ansible does. Ansible is imported only if there is Jinja."""
    templar: list[Any] = []

    def evaluate(value: Any) -> Any:
        from ansible.template import Templar, trust_as_template

        if not templar:
            trusted = _trusted(variables, trust_as_template)
            templar.append(Templar(loader=_loader(inventory), variables=trusted))
        return templar[0].template(_trusted(value, trust_as_template))

    return evaluate


@cache
def _loader(inventory: Path) -> Any:
    """Ansible's loader, with its lookups and filters found."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    loader = DataLoader()
    loader.set_basedir(str(inventory))
    return loader


def _trusted(value: Any, trust: Callable[[str], str]) -> Any:
    """Mark texts of the site as trusted: Ansible evaluates Jinja only in such texts."""
    if isinstance(value, str):
        return trust(value)
    if isinstance(value, Mapping):
        return {key: _trusted(inner, trust) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_trusted(inner, trust) for inner in value]
    return value


def _secrets(places: Iterable[Mapping[str, Any]], hosts: Mapping[str, Host]) -> set[str]:
    """Every secret value: those of the vault, and variables that are named like one."""
    named = {
        str(value)
        for variables in places
        for name, value in variables.items()
        if (name.startswith(_SECRET_PREFIX) and not name.endswith(_PUBLIC_SUFFIXES))
        or name.endswith(_SECRET_SUFFIXES)
    }
    return (named | {host.connection.become_password for host in hosts.values()}) - {""}
