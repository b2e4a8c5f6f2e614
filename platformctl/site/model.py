"""The site as the rest of platformctl sees it: hosts, groups and variables of a checked inventory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.effective import Effective
from platformctl.site.inventory import Inventory, read_inventory
from platformctl.site.mistakes import Mistake
from platformctl.site.rules import check_rules
from platformctl.site.rules.examples import is_example
from platformctl.site.rules.facts import Facts
from platformctl.site.values import check_values
from platformctl.site.variables import roles


@dataclass(frozen=True)
class Host:
    """One host.

    address: IP address, or the inventory's text (Jinja not evaluated). groups: of all levels, without `all`.
    vars: its effective variables, raw as in YAML.
    """

    name: str
    address: str
    groups: frozenset[str]
    vars: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Site:
    """A site without mistakes.

    inventory: its folder. hosts: in Ansible's order. groups: members of every group in Ansible's order, so
    that the first host of a group is the same as in roles. shared: variables of the whole site, raw.
    """

    inventory: Path
    name: str
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, Any] = field(repr=False)


def load(inventory: Path) -> Site:
    """Read an inventory, given as its folder or hosts file; PlatformError with all its mistakes."""
    read, facts, mistakes = _examine(inventory)
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise PlatformError(
            f"the inventory has {count}; nothing was touched",
            where=str(read.folder),
            next=f"correct them, then: platformctl validate -i {inventory}",
            code=ExitCode.INVALID,
            details=[str(mistake) for mistake in mistakes],
        )
    hosts = {name: _host(facts, name) for name in facts.effective.hosts}
    shared = next((host.vars for host in hosts.values()), facts.effective.shared)
    return Site(
        inventory=read.folder,
        name=shared["site_name"],
        hosts=MappingProxyType(hosts),
        groups=MappingProxyType(facts.effective.members),
        shared=MappingProxyType(facts.effective.shared),
    )


def check(inventory: Path) -> list[Mistake]:
    """All mistakes of an inventory, in the order of files and lines."""
    return _examine(inventory)[2]


def check_secrets(inventory: Path) -> list[Mistake]:
    """What is wrong with a site's secrets. Labs and the example make theirs when they need them."""
    from platformctl.site import secrets  # late: loads ansible-vault

    _, facts, _ = _examine(inventory)
    vault = secrets.vault_path(inventory)
    if facts.lab or is_example(facts) or not facts.effective.hosts:
        return []
    if not vault.exists():
        remedy = "copy it from where the site was made; for a site that is not yet installed: "
        remedy += f"platformctl secrets make -i {inventory}"
        return [Mistake(vault, 0, "", "", "does not exist", remedy)]
    try:
        secrets.load(inventory)
    except PlatformError as error:
        return [Mistake(vault, 0, "", "", error.what, error.next)]
    return []


def _examine(path: Path) -> tuple[Inventory, Facts, list[Mistake]]:
    data = paths.data_dir()
    inventory = read_inventory(path)
    facts = Facts(inventory, Effective(inventory), roles(data))
    mistakes = [*inventory.mistakes, *check_values(inventory, data)]
    unread = any(mistake.file == inventory.hosts_document.path for mistake in inventory.mistakes)
    if inventory.hosts_document.content or not unread:
        mistakes += check_rules(facts)
    return inventory, facts, sorted(dict.fromkeys(mistakes), key=_order)


def _order(mistake: Mistake) -> tuple[bool, str, int, str]:
    # hosts.yml first: what is wrong there often explains the rest.
    return mistake.file.name not in ("hosts.yml", "hosts.yaml"), str(mistake.file), mistake.line, mistake.key


def _host(facts: Facts, name: str) -> Host:
    variables = facts.variables[name]
    address = variables.get("base_address") or variables.get("ansible_host") or name
    return Host(name, str(address), facts.effective.groups[name], MappingProxyType(variables))
