"""Loads a YAML inventory: hosts.yml with its groups, group_vars and host_vars, as Ansible reads them.

The result is the raw structure with the place of every value. `effective` merges it; other modules check it.
Only hosts.yml is read: other inventory files and plugins in the folder are mistakes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl.site import ranges
from platformctl.site.mistakes import Key, Mistake, key_path, shown, use_instead
from platformctl.site.reading import Document, read

ALL = "all"
HOSTS_FILES = ("hosts.yml", "hosts.yaml")
EXTENSIONS = ("", ".yml", ".yaml", ".json")
"""Suffixes of files of variables; Ansible takes the first one in this order that exists."""
_SECTIONS = ("hosts", "vars", "children")
_PRIORITY = "ansible_group_priority"
# What Ansible ignores in an inventory folder.
_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")


@dataclass(frozen=True)
class Source:
    """Variables that one place sets for a group or a host.

    keys: their position in the document; empty for a file of variables.
    """

    entity: str
    document: Document
    keys: tuple[Key, ...]
    values: Mapping[str, Any]

    def mistake(self, keys: tuple[Key, ...], value: Any, problem: str, remedy: str) -> Mistake:
        """A mistake in one of these variables; keys start with the variable's name."""
        path = self.document.path
        line = self.document.line((*self.keys, *keys))
        text = "" if value is None else shown(value, keys)
        return Mistake(path, line, key_path((*self.keys, *keys)), text, problem, remedy)


@dataclass
class Group:
    """A group while it is read: its own hosts and children by name, in order.

    depth: the longest path from `all`; the deeper group's variables win. priority: decides at the same depth.
    place: the keys of hosts.yml where it is described.
    """

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    inline: list[Source] = field(default_factory=list)
    files: list[Source] = field(default_factory=list)
    depth: int = 0
    priority: int = 1
    place: tuple[Key, ...] = ()


@dataclass
class Inventory:
    """The content of an inventory folder, and the mistakes found while reading it.

    host_inline and host_files: each host's own variables, from hosts.yml and from host_vars.
    listed: for each host, the key path of every place in hosts.yml that names it.
    """

    folder: Path
    hosts_document: Document
    groups: dict[str, Group] = field(default_factory=dict)
    host_inline: dict[str, list[Source]] = field(default_factory=dict)
    host_files: dict[str, list[Source]] = field(default_factory=dict)
    listed: dict[str, list[tuple[Key, ...]]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def sources(self) -> Iterator[Source]:
        """Every place that sets variables."""
        for group in self.groups.values():
            yield from (*group.inline, *group.files)
        for host in self.listed:
            yield from (*self.host_inline.get(host, ()), *self.host_files.get(host, ()))

    def report(self, keys: tuple[Key, ...], value: Any, problem: str, remedy: str) -> None:
        """Note a mistake in hosts.yml."""
        self.mistakes.append(self.mistake(keys, value, problem, remedy))

    def mistake(self, keys: tuple[Key, ...], value: Any, problem: str, remedy: str) -> Mistake:
        """A mistake at these keys of hosts.yml."""
        return Source(ALL, self.hosts_document, (), {}).mistake(keys, value, problem, remedy)


def read_inventory(path: Path) -> Inventory:
    """Read an inventory, given as its folder or its hosts file."""
    folder = path if path.is_dir() else path.parent
    hosts_files = [folder / name for name in HOSTS_FILES if (folder / name).is_file()]
    if not hosts_files:
        inventory = Inventory(folder, Document(folder / HOSTS_FILES[0], {}))
        inventory.groups[ALL] = Group(ALL)
        inventory.report((), None, "does not exist", "make an inventory with: platformctl init NAME")
        return inventory
    document, mistakes = read(hosts_files[0])
    inventory = Inventory(folder, document, mistakes=mistakes)
    inventory.groups[ALL] = Group(ALL)
    for name, body in document.content.items():
        _read_group(inventory, str(name), body, (str(name),))
    _adopt(inventory)
    _measure_depths(inventory)
    _read_variable_files(inventory, "group_vars", list(inventory.groups), "group")
    _read_variable_files(inventory, "host_vars", list(inventory.listed), "host")
    _refuse_other_files(inventory, hosts_files[0])
    return inventory


def _read_group(inventory: Inventory, name: str, body: Any, keys: tuple[Key, ...]) -> None:
    group = inventory.groups.setdefault(name, Group(name))
    if body or not group.place:
        group.place = keys
    if body is None:
        return
    if not isinstance(body, dict):
        inventory.report(keys, body, "is not a group", "give it hosts, children or vars")
        return
    _check_sections(inventory, body, keys)
    for child, content in (body.get("children") or {}).items():
        group.children[str(child)] = None
        _read_group(inventory, str(child), content, (*keys, "children", str(child)))
        inventory.groups[str(child)].parents[name] = None
    if body.get("vars"):
        _read_inline(inventory, group, body["vars"], (*keys, "vars"))
    for pattern, content in (body.get("hosts") or {}).items():
        _read_host(inventory, group, str(pattern), content, (*keys, "hosts", str(pattern)))


def _check_sections(inventory: Inventory, body: dict[Any, Any], keys: tuple[Key, ...]) -> None:
    """Report unknown sections of a group, and keep only mappings in the sections."""
    for section, content in body.items():
        if section not in _SECTIONS:
            remedy = use_instead(str(section), _SECTIONS, "a group has hosts, children and vars")
            inventory.report((*keys, str(section)), None, "is not a part of a group", remedy)
        elif isinstance(content, str) and section != "vars":
            body[section] = {content: None}  # as Ansible has it: `hosts: name`
        elif content is not None and not isinstance(content, dict):
            inventory.report((*keys, section), content, "is not a mapping", "write `name:` lines below it")
            body[section] = None


def _read_inline(inventory: Inventory, group: Group, content: dict[str, Any], keys: tuple[Key, ...]) -> None:
    # Ansible uses the priority itself, and reads it only here.
    priority = content.pop(_PRIORITY, 1)
    if isinstance(priority, int):
        group.priority = priority
    else:
        inventory.report((*keys, _PRIORITY), priority, "is not a whole number", "write a whole number")
    group.inline.append(Source(group.name, inventory.hosts_document, keys, content))


def _read_host(inventory: Inventory, group: Group, pattern: str, content: Any, keys: tuple[Key, ...]) -> None:
    try:
        names = list(ranges.expand(pattern))
    except ValueError as error:
        inventory.report(keys, pattern, str(error), "write it as name[01:20]")
        return
    if content is not None and not isinstance(content, dict):
        inventory.report(keys, content, "is not a mapping of variables", "write {name: value} or nothing")
        content = None
    for name in names:
        group.hosts[name] = None
        inventory.listed.setdefault(name, []).append(keys)
        if content:
            source = Source(name, inventory.hosts_document, keys, content)
            inventory.host_inline.setdefault(name, []).append(source)


def _adopt(inventory: Inventory) -> None:
    """Make the top-level groups without a parent children of `all`."""
    for group in inventory.groups.values():
        if group.name != ALL and not group.parents:
            group.parents[ALL] = None
            inventory.groups[ALL].children[group.name] = None


def _measure_depths(inventory: Inventory) -> None:
    everyone = inventory.groups[ALL]
    unreached = dict.fromkeys(inventory.groups)
    while unreached:
        top = next(iter(unreached))
        if top != ALL:  # of a circle at the top of the file, each group has a parent
            everyone.children[top] = None
        waiting: list[tuple[str, tuple[str, ...]]] = [(top, ())]
        while waiting:
            name, way = waiting.pop()
            unreached.pop(name, None)
            group = inventory.groups[name]
            if name in way:
                outer = inventory.groups[way[-1]]
                keys = (*outer.place, "children", name)
                inventory.report(keys, None, "is a group inside itself", "take it out of one of the two")
                del outer.children[name]
                continue
            group.depth = max(group.depth, len(way))
            waiting.extend((child, (*way, name)) for child in group.children)


def _read_variable_files(inventory: Inventory, section: str, names: list[str], kind: str) -> None:
    folder = inventory.folder / section
    if not folder.is_dir():
        return
    known = set(names)
    for entry in sorted(folder.iterdir()):
        name = entry.stem if entry.is_file() else entry.name
        if entry.name.startswith(".") or entry.name.endswith(_IGNORED):
            continue
        if name not in known:
            remedy = use_instead(
                name, known, f"add the {kind} to {inventory.hosts_document.path.name}, or remove it"
            )
            problem = f"gives variables to a {kind} that does not exist"
            inventory.mistakes.append(Mistake(entry, 0, "", name, problem, remedy))
    for name in names:
        for path in _files_of(folder, name, inventory.mistakes):
            document, mistakes = read(path)
            inventory.mistakes.extend(mistakes)
            source = Source(name, document, (), document.content)
            if kind == "group":
                inventory.groups[name].files.append(source)
            else:
                inventory.host_files.setdefault(name, []).append(source)


def _files_of(folder: Path, name: str, mistakes: list[Mistake]) -> list[Path]:
    """The files of one group or host that Ansible would read: a folder of files or a single file."""
    candidates = [
        path for path in (folder / f"{name}{extension}" for extension in EXTENSIONS) if path.exists()
    ]
    for unused in candidates[1:]:
        problem = f"is not read, because {candidates[0].name} exists beside it"
        mistakes.append(Mistake(unused, 0, "", "", problem, f"move its content into {candidates[0]}"))
    if not candidates:
        return []
    return list(_files_below(candidates[0])) if candidates[0].is_dir() else candidates[:1]


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~") or path.suffix not in EXTENSIONS:
            continue
        if path.is_dir() and not path.suffix:
            yield from _files_below(path)
        elif path.is_file():
            yield path


def _refuse_other_files(inventory: Inventory, hosts_file: Path) -> None:
    for path in sorted(inventory.folder.iterdir()):
        skipped = path.name.startswith(".") or path.name.endswith(_IGNORED)
        if path.is_file() and path != hosts_file and not skipped:
            problem = "would be read by Ansible as a second inventory"
            remedy = f"move its hosts to {hosts_file.name}, or the file to another folder"
            inventory.mistakes.append(Mistake(path, 0, "", "", problem, remedy))
