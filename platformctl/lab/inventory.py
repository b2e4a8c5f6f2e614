"""The inventory of a lab: the one it was made from, or a copy that was moved to the lab's own network."""

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import yaml

from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import addresses
from platformctl.site.effective import Effective
from platformctl.site.inventory import HOSTS_FILES, read_inventory

_NETWORK_VARIABLES = ("kubernetes_pod_network", "kubernetes_service_network")


@dataclass(frozen=True)
class Layout:
    """What a lab needs to know of an inventory: addresses of its hosts, networks inside the site."""

    hosts: dict[str, IPv4Address]
    inner_networks: tuple[IPv4Network, ...]

    @property
    def slot(self) -> IPv4Network:
        """The slot that the first host is in."""
        return addresses.slot_of(next(iter(self.hosts.values())))

    @property
    def fits_slot(self) -> bool:
        """Whether all hosts are in one slot, and none has the machine's address."""
        gateway = addresses.gateway(self.slot)
        return all(address in self.slot and address != gateway for address in self.hosts.values())


def read_layout(inventory: Path) -> Layout:
    """Read hosts and networks of an inventory; whether it is otherwise sound is for `validate` to say."""
    read = read_inventory(inventory)
    effective = Effective(read)
    hosts: dict[str, IPv4Address] = {}
    inner: dict[IPv4Network, None] = {}
    problems = [str(mistake) for mistake in read.mistakes]
    for host in effective.hosts:
        variables = effective.variables(host)
        try:
            hosts[host] = IPv4Address(str(variables.get("ansible_host", "")))
            inner.update(
                (IPv4Network(variables[name]), None) for name in _NETWORK_VARIABLES if name in variables
            )
        except ValueError as error:
            problems.append(f"{host}: {error}")
    for address, count in Counter(hosts.values()).items():
        if count > 1:
            problems.append(f"{count} hosts have the address {address}")
    if problems or not hosts:
        raise PlatformError(
            "a lab cannot be made from this inventory",
            where=str(inventory),
            next="give each host under all.hosts an IPv4 address of its own as ansible_host",
            code=ExitCode.INVALID,
            details=problems or ["it has no hosts"],
        )
    return Layout(hosts, tuple(inner))


def copy(source: Path, target: Path, slot: IPv4Network, state: Path) -> None:
    """Copy an inventory for a lab: addresses moved to the slot, `lab_state` set.

    The copy gets secrets of its own. It appears whole or not at all.
    """
    from platformctl.site.secrets import VAULT_NAME  # late: loads ansible-vault

    unfinished = target.with_name("unfinished-inventory")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns(VAULT_NAME))
    moved = _moves(read_layout(unfinished), slot)
    for path in unfinished.rglob("*"):
        if path.suffix in {".yml", ".yaml"}:
            path.write_text(moved_text(path.read_text(), moved, state))
    unfinished.rename(target)


def add_light_hosts(inventory: Path, count: int, slot: IPv4Network) -> None:
    """Complete the plain hosts light1, light2, ... of a copy: they are in no service's group."""
    layout = read_layout(inventory)
    light = [name for number in range(1, count + 1) if (name := f"light{number}") not in layout.hosts]
    if not light:
        return
    # The machine's own address is no host's, so these get the free ones.
    placed = addresses.place(layout.hosts | dict.fromkeys(light, addresses.gateway(slot)), slot)
    path = next(path for name in HOSTS_FILES if (path := inventory / name).is_file())
    document = yaml.safe_load(path.read_text())
    hosts = document["all"].setdefault("hosts", {})
    hosts.update({name: {"ansible_host": str(placed[name])} for name in light})
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def moved_text(text: str, moved: dict[IPv4Address, IPv4Address], state: Path) -> str:
    """The text of a YAML file with addresses replaced and `lab_state` set; comments stay."""
    texts = {str(old): str(new) for old, new in moved.items()}
    if texts:
        pattern = re.compile(rf"(?<![\d.])({'|'.join(map(re.escape, texts))})(?![\d]|\.\d)")
        text = pattern.sub(lambda found: texts[found[0]], text)
    return re.sub(r"^lab_state:.*$", lambda _: f"lab_state: {state}", text, flags=re.MULTILINE)


def _moves(layout: Layout, slot: IPv4Network) -> dict[IPv4Address, IPv4Address]:
    placed = addresses.place(layout.hosts, slot)
    moved = {address: placed[host] for host, address in layout.hosts.items()}
    return moved | {addresses.gateway(layout.slot): addresses.gateway(slot)}
