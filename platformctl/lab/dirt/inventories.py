"""An inventory that says something else than the hosts were installed with."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from platformctl.lab import ssh
from platformctl.lab.lifecycle import Lab

_OWN = "group_vars/all/zz-dirt.yml"


def variables(lab: Lab, **values: Any) -> AbstractContextManager[None]:
    """All hosts have these values."""
    return _over(lab.inventory / _OWN, values)


def added(lab: Lab, name: str, value: list[Any] | dict[str, Any]) -> AbstractContextManager[None]:
    """All hosts have this too in a list, or a mapping, that the inventory may have already."""
    known: Any = known_variables(lab).get(name)
    both = [*(known or ()), *value] if isinstance(value, list) else {**(known or {}), **value}
    return variables(lab, **{name: both})


def host_variables(lab: Lab, host: str, **values: Any) -> AbstractContextManager[None]:
    """One host has these values."""
    return _over(lab.inventory / f"host_vars/{host}/zz-dirt.yml", values)


def without(lab: Lab, host: str) -> AbstractContextManager[None]:
    """The inventory has the host no more."""
    return _hosts_file(lab, lambda hosts: {name: own for name, own in hosts.items() if name != host})


def unset(lab: Lab, *names: str) -> AbstractContextManager[None]:
    """The file of hosts has none of these variables of single hosts."""

    def change(hosts: dict[str, Any]) -> dict[str, Any]:
        return {
            host: {name: value for name, value in (own or {}).items() if name not in names}
            for host, own in hosts.items()
        }

    return _hosts_file(lab, change)


@contextmanager
def known_as(lab: Lab, host: str, *names: str) -> Iterator[None]:
    """The operator knows the host by these names too: an address, or `[address]:port`."""
    path = lab.state / "known_hosts"
    before = path.read_text()
    try:
        path.write_text(before + "".join(f"{name} {ssh.host_key(lab.host(host))}\n" for name in names))
        yield
    finally:
        path.write_text(before)


def known_variables(lab: Lab) -> dict[str, Any]:
    """The inventory's variables of all hosts."""
    found: dict[str, Any] = {}
    for path in sorted((lab.inventory / "group_vars/all").glob("*.yml")):
        found |= yaml.safe_load(path.read_text()) or {}
    return found


@contextmanager
def _over(path: Path, values: dict[str, Any]) -> Iterator[None]:
    before = path.read_text() if path.is_file() else None
    made = not path.parent.is_dir()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({**(yaml.safe_load(before) if before else {}), **values}))
        yield
    finally:
        if before is None:
            path.unlink()
            # A folder of a host that is in no group would be a mistake of the inventory.
            if made:
                path.parent.rmdir()
        else:
            path.write_text(before)


@contextmanager
def _hosts_file(lab: Lab, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[None]:
    path = lab.inventory / "hosts.yml"
    before = path.read_text()
    try:
        path.write_text(yaml.safe_dump(_changed(yaml.safe_load(before), change), sort_keys=False))
        yield
    finally:
        path.write_text(before)


def _changed(document: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The document with every mapping `hosts` changed, at any depth."""
    if not isinstance(document, dict):
        return document
    return {
        name: change(part) if name == "hosts" and isinstance(part, dict) else _changed(part, change)
        for name, part in document.items()
    }
