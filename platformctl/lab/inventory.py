"""The inventory of a lab: the original one, or a copy with addresses of the lab's own network."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import addresses, connection
from platformctl.site.effective import Effective
from platformctl.site.inventory import EXTENSIONS, HOSTS_FILES, Inventory, read_inventory
from platformctl.site.reading import Document

ASIDE = "x_site_"
"""Prefix of the site's own connection variables in a copy; validation ignores such names."""

_SETTINGS = "platformctl-lab.yml"
_NETWORK_VARIABLES = ("kubernetes_pod_network", "kubernetes_service_network")

_FLEET_PODS = IPv4Network("10.240.0.0/12")


@dataclass(frozen=True)
class Layout:
    """What a lab needs from an inventory: addresses of its hosts, and networks inside the site.

    others: further addresses of hosts besides ansible_host, with the host of each.
    """

    hosts: dict[str, IPv4Address]
    others: dict[IPv4Address, str]
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
    """Read hosts and networks of an inventory; `validate` checks the rest."""
    read = read_inventory(inventory)
    effective = Effective(read)
    hosts: dict[str, IPv4Address] = {}
    others: dict[IPv4Address, str] = {}
    inner: dict[IPv4Network, None] = {}
    problems = [str(mistake) for mistake in read.mistakes]
    for host in effective.hosts:
        variables = effective.variables(host)
        try:
            hosts[host] = IPv4Address(str(variables.get(connection.ADDRESS, "")))
            others |= dict.fromkeys(_other_addresses(variables), host)
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
    return Layout(hosts, others, tuple(inner))


def copy(source: Path, target: Path, slot: IPv4Network, state: Path) -> None:
    """Copy an inventory for a lab: with addresses in the slot, and the lab's connection settings.

    The copy gets new secrets. It is created atomically. PlatformError: it would reach something other than
    the lab.
    """
    from platformctl.site.secrets import VAULT_NAME  # late: loads ansible-vault

    unfinished = target.with_name("unfinished-inventory")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns(VAULT_NAME))
    moved = _moves(read_layout(unfinished), slot)
    for document in _documents(read_inventory(unfinished)):
        # Keep the line endings of the file: the parser's marks count characters.
        text = set_aside(document, document.path.read_bytes().decode("utf-8-sig"))
        document.path.write_bytes(moved_text(text, moved).encode())
    _write_settings(unfinished, state)
    remedy = f"write these as plain `name: value` in {source}, then run the same command again"
    connection.check(unfinished, slot, str(state), remedy)
    unfinished.rename(target)


def add_light_hosts(inventory: Path, count: int, slot: IPv4Network) -> None:
    """Add the plain hosts light1, light2, ... to a copy; they are in no service's group."""
    layout = read_layout(inventory)
    light = [name for number in range(1, count + 1) if (name := f"light{number}") not in layout.hosts]
    if not light:
        return
    # No host may have the machine's own address; these hosts get the free ones.
    placed = addresses.place(layout.hosts | dict.fromkeys(light, addresses.gateway(slot)), slot)
    path = next(path for name in HOSTS_FILES if (path := inventory / name).is_file())
    document = yaml.safe_load(path.read_text())
    hosts = document["all"].setdefault("hosts", {})
    hosts.update({name: {"ansible_host": str(placed[name])} for name in light})
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def fleet_document(routed: IPv4Network, size: int) -> dict[str, Any]:
    """hosts.yml of a fleet: one host for all control groups, the others half Kubernetes, half Slurm."""
    hosts = {f"n{number:04}": {"ansible_host": str(routed[number + 1])} for number in range(size)}
    control, *nodes = hosts
    half = len(nodes) // 2
    first: dict[str, Any] = {"hosts": {control: {}}}
    kubernetes = {
        "kubernetes_control_plane": first,
        "kubernetes_node": {
            "hosts": {name: {} for name in nodes[:half]},
            "vars": {"node_owner": "kubernetes"},
        },
    }
    slurm = dict.fromkeys(("slurm_accounting", "slurm_controller", "slurm_rest"), first) | {
        "slurm_node": {
            "hosts": {name: {} for name in nodes[half:]},
            "vars": {"node_owner": "slurm", "slurm_node_cpus": 4, "slurm_node_memory_mib": 16384},
        },
    }
    children = {
        "registry": first,
        "containerd": {"children": {"kubernetes": {}}},
        "kubernetes": {"children": kubernetes},
        "munge": {"children": {"slurm": {}}},
        "slurm": {"children": slurm},
    }
    return {"all": {"hosts": hosts, "children": children}}


def write_fleet(inventory: Path, routed: IPv4Network, size: int) -> None:
    """Replace the hosts of a copy with those of a fleet."""
    text = json.dumps(fleet_document(routed, size))
    # Through JSON: YAML's writer would use anchors for shared objects.
    (inventory / "hosts.yml").write_text(yaml.safe_dump(json.loads(text), sort_keys=False))
    # The lab's pod network has room for only 256 nodes.
    variables = inventory / "group_vars" / "all" / "kubernetes.yml"
    pods = f"kubernetes_pod_network: {_FLEET_PODS}"
    variables.write_text(
        re.sub(r"^kubernetes_pod_network:.*$", pods, variables.read_text(), flags=re.MULTILINE)
    )


def set_aside(document: Document, text: str) -> str:
    """The text of a file with its connection variables renamed so that nothing reads them; keeps comments."""
    marks = {
        (key.start_mark.index, key.end_mark.index): key.value
        for key in _keys(document.node)
        if connection.concerns(key.value) and key.value != connection.ADDRESS
    }
    for (start, end), name in sorted(marks.items(), reverse=True):
        text = text[:start] + text[start:end].replace(name, f"{ASIDE}{name}") + text[end:]
    return text


def moved_text(text: str, moved: dict[IPv4Address, IPv4Address]) -> str:
    """The text of a YAML file with addresses replaced; keeps comments."""
    texts = {str(old): str(new) for old, new in moved.items()}
    if not texts:
        return text
    pattern = re.compile(rf"(?<![\d.])({'|'.join(map(re.escape, texts))})(?![\d]|\.\d)")
    return pattern.sub(lambda match: texts[match[0]], text)


def _other_addresses(variables: Mapping[str, Any]) -> Iterator[IPv4Address]:
    """The literal addresses; Jinja expressions follow other variables."""
    for name in connection.OTHER_ADDRESSES:
        with suppress(ValueError):
            yield IPv4Address(str(variables.get(name, "")))


def _moves(layout: Layout, slot: IPv4Network) -> dict[IPv4Address, IPv4Address]:
    placed = addresses.place(layout.hosts, slot)
    moved = {address: placed[host] for address, host in layout.others.items()}
    moved |= {address: placed[host] for host, address in layout.hosts.items()}
    return moved | {addresses.gateway(layout.slot): addresses.gateway(slot)}


def _documents(inventory: Inventory) -> list[Document]:
    """Every file that the inventory is read from."""
    read = [inventory.hosts_document, *(source.document for source in inventory.sources())]
    return list({document.path: document for document in read}.values())


def _keys(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """All keys of a document at any depth: variables may be in hosts, groups, whole files and anchors."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, yaml.SequenceNode):
            waiting += current.value
        elif isinstance(current, yaml.MappingNode):
            for key, value in current.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    yield key


def _write_settings(inventory: Path, state: Path) -> None:
    """Write the lab's own connection variables for all hosts, into the folder of variables of `all`."""
    folder = inventory / "group_vars" / "all"
    single = next((path for end in EXTENSIONS if (path := folder.with_name(f"all{end}")).is_file()), None)
    if single:
        # Ansible reads either the folder or the file.
        kept = single.rename(folder.with_name(".all"))
        folder.mkdir()
        kept.rename(folder / single.name)
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(connection.variables(str(state)), sort_keys=False, width=1000)
    said = f"# How the lab's hosts are reached; what the site says of this is kept under {ASIDE}*.\n"
    (folder / _SETTINGS).write_text(said + text)
