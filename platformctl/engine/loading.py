"""Makes the fleet from an inventory, with Ansible's own loader, so that both read it the same way."""

import os
import pwd
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets

# Values of these never appear in anything that is written.
_SECRET_NAMES = ("secret_",)
_SECRET_SUFFIXES = ("_password", "_pass", "_token", "_secret")
# Ansible's own variables, which are no data of the site.
_MAGIC = ("ansible_", "group_names", "groups", "inventory_", "omit", "playbook_dir", "hostvars")


def load(inventory: Path) -> Fleet:
    """Read hosts, groups, variables, connection settings and secrets of an inventory."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.vars.manager import VariableManager

    if not inventory.exists():
        raise PlatformError(
            "there is no such inventory",
            where=str(inventory),
            next="platformctl init NAME",
            code=ExitCode.INVALID,
        )
    init_plugin_loader()
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(inventory)])
    variables = VariableManager(loader=loader, inventory=manager)
    known = secrets.load(inventory)
    hosts = {}
    for host in manager.get_hosts():
        found = variables.get_vars(host=host, include_hostvars=False)
        groups = frozenset(group.name for group in host.get_groups())
        own = {
            name: value
            for name, value in found.items()
            if not name.startswith(_MAGIC) or name == "ansible_host"
        }
        hosts[host.name] = Host(host.name, groups, {**own, **known}, _connection(host.name, found, loader))
    if not hosts:
        raise PlatformError(
            "the inventory has no hosts",
            where=str(inventory),
            next=f"add hosts to {inventory}/hosts.yml",
            code=ExitCode.INVALID,
        )
    members = {
        name: tuple(host for host in hosts if name in hosts[host].groups)
        for name in manager.groups
        if name not in ("all", "ungrouped")
    }
    first = next(iter(hosts.values()))
    site = str(first.variables.get("site_name") or inventory.name)
    return Fleet(site, inventory.resolve(), hosts, members, _secrets(hosts, known))


def _connection(name: str, variables: Mapping[str, Any], loader: Any) -> Connection:
    from ansible.template import Templar

    templar = Templar(loader=loader, variables=dict(variables))

    def setting(*names: str) -> str:
        for key in names:
            if variables.get(key) not in (None, ""):
                return str(templar.template(variables[key]))
        return ""

    arguments = [
        *shlex.split(setting("ansible_ssh_common_args")),
        *shlex.split(setting("ansible_ssh_extra_args")),
    ]
    return Connection(
        address=setting("ansible_ssh_host", "ansible_host") or name,
        user=setting("ansible_ssh_user", "ansible_user") or pwd.getpwuid(os.geteuid()).pw_name,
        port=int(setting("ansible_ssh_port", "ansible_port") or 22),
        key=setting("ansible_ssh_private_key_file", "ansible_private_key_file"),
        arguments=tuple(arguments),
        become_password=setting("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
        local=setting("ansible_connection") == "local",
    )


def _secrets(hosts: Mapping[str, Host], known: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret value: those of the vault, and host variables that are named like one."""
    values = {value for name, value in known.items() if not name.endswith("_certificate")}
    for host in hosts.values():
        for name, value in host.variables.items():
            if name.startswith(_SECRET_NAMES) or name.endswith(_SECRET_SUFFIXES):
                values.add(str(value))
        values.add(host.connection.become_password)
    certificates = {value for name, value in known.items() if name.endswith("_certificate")}
    return tuple(sorted(values - certificates - {""}))
