"""Adds a context to a kubeconfig that may hold others: nobody's entry is lost or changed.

Works on the nodes of the YAML, not on Python values, so that every scalar of other entries is written as it
was; only comments go. As kubectl does, it locks the file with FILE.lock, and changes one of a list of files.
The old file stays beside the new one as FILE.before-TIME if it holds more than is replaced.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from platformctl import private_files
from platformctl.clients import kubeconfig
from platformctl.clients.kubeconfig import Document, Entries
from platformctl.errors import ExitCode, PlatformError

_KINDS = ("cluster", "user", "context")
_TRIES = 100


@dataclass(frozen=True)
class Merged:
    """What was done. context: the name of the new context. current: the file's current context now.

    kept: names of the other contexts. renamed: new names of entries by kind, as others had theirs. copy: the
    old file, if it was kept.
    """

    file: Path
    context: str
    current: str
    kept: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str, str], ...] = ()
    copy: Path | None = None


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def chosen(given: str) -> Path:
    """The file to change of a path, or of a list such as $KUBECONFIG: the first that exists, or the last."""
    if os.pathsep not in given or Path(given).exists():
        return Path(given).expanduser()
    files = [Path(part).expanduser() for part in given.split(os.pathsep) if part]
    if not files:
        raise _refused(Path(given), "names no file", "name one: --file FILE")
    return next((file for file in files if file.exists()), files[-1])


def check(path: Path) -> None:
    """Raise PlatformError, code INVALID, if a context cannot be added to this file."""
    with _in_words(path):
        target = _target(path)
        _read(path, target)
        folder = next(parent for parent in target.parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise _refused(path, f"cannot be written: {folder} is not a folder that you can write to")


def add(document: Document, path: Path) -> Merged:
    """Add the one context of a document, or replace what an earlier call added for the same cluster.

    An entry that has the same name and belongs to another cluster stays; the new one gets another name. The
    current context stays what it is; a file without one gets the new one. Only the owner can read the result.
    Raises PlatformError, code INVALID, if the file is not a kubeconfig or cannot be written.
    """
    with _in_words(path):
        target = _target(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target):
            old = _read(path, target)
            return _add(kubeconfig.entries(document), old, path, target)


def _add(entries: Entries, old: str, path: Path, target: Path) -> Merged:
    root = yaml.compose(old, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        root = yaml.MappingNode("tag:yaml.org,2002:map", [], flow_style=False)
    file = _Entries(yaml.safe_load(old) or {})
    names = file.names(entries)
    new = Entries(
        names["context"],
        {**entries.context, "cluster": names["cluster"], "user": names["user"]},
        entries.cluster,
        entries.user,
    ).document()
    current = file.current or new["current-context"]
    for kind in _KINDS:
        _put(root, f"{kind}s", names[kind], new[f"{kind}s"][0])
    for key, value in (("apiVersion", "v1"), ("kind", "Config"), ("current-context", current)):
        _set(root, key, value)
    text = yaml.serialize(root, Dumper=_Writer, width=2**20)
    kept = tuple(name for name in file.of("context") if name != names["context"])
    others = kept or any(set(file.of(kind)) - {names[kind]} for kind in _KINDS)
    copy = _copy(target, old) if others and text != old else None
    private_files.replace(target, text.encode(), lambda descriptor: _same_owner(descriptor, target))
    own = {"cluster": entries.context["cluster"], "user": entries.context["user"], "context": entries.name}
    renamed = tuple((kind, own[kind], names[kind]) for kind in _KINDS if own[kind] != names[kind])
    return Merged(path, names["context"], current, kept, renamed, copy)


class _Entries:
    """The entries of a kubeconfig by kind and name, and which of them an earlier call made."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._entries = {
            kind: {str(item["name"]): item.get(kind) or {} for item in document.get(f"{kind}s") or []}
            for kind in _KINDS
        }
        current = str(document.get("current-context") or "")
        self.current = current if current in self._entries["context"] else ""

    def of(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        return self._entries[kind]

    def names(self, new: Entries) -> dict[str, str]:
        """The names under which new entries take nothing from another cluster's."""
        server = str(new.cluster["server"]).partition("://")[2].rpartition(":")[0].strip("[]")
        cluster = self._free(
            "cluster", str(new.context["cluster"]), server, lambda name: self._same_cluster(name, new.cluster)
        )
        mine = lambda name: self._only_of(name, cluster)  # noqa: E731 - as an argument it would be longer
        user = self._free("user", str(new.context["user"]), cluster, mine)
        context = self._free("context", new.name, cluster, lambda name: self._leads_to(name, cluster))
        return {"cluster": cluster, "user": user, "context": context}

    def _free(self, kind: str, name: str, suffix: str, mine: Callable[[str], bool]) -> str:
        """The name, or the first one made from it, that nobody has or that is ours."""
        wanted = [name, f"{name}-{suffix}", *(f"{name}-{suffix}-{number}" for number in range(2, _TRIES))]
        return next(each for each in wanted if each not in self.of(kind) or mine(each))

    def _same_cluster(self, name: str, new: Mapping[str, Any]) -> bool:
        """Same address: a cluster that was made anew. Same authority: a cluster that moved."""
        authority = "certificate-authority-data"
        old = self.of("cluster")[name]
        return old.get("server") == new["server"] or (
            authority in new and old.get(authority) == new[authority]
        )

    def _only_of(self, user: str, cluster: str) -> bool:
        used = [entry.get("cluster") for entry in self.of("context").values() if entry.get("user") == user]
        return bool(used) and set(used) == {cluster}

    def _leads_to(self, context: str, cluster: str) -> bool:
        return self.of("context")[context].get("cluster") == cluster


def _put(root: yaml.MappingNode, key: str, name: str, entry: Mapping[str, Any]) -> None:
    """Replace the named item of a list of the document, or append it."""
    items = _child(root, key)
    if not isinstance(items, yaml.SequenceNode):
        items = yaml.SequenceNode("tag:yaml.org,2002:seq", [], flow_style=False)
        _set_node(root, key, items)
    node = _node(entry)
    for number, item in enumerate(items.value):
        found = _child(item, "name")
        if isinstance(found, yaml.ScalarNode) and found.value == name:
            items.value[number] = node
            return
    items.flow_style = bool(items.value) and items.flow_style
    items.value.append(node)


def _set(root: yaml.MappingNode, key: str, value: str) -> None:
    found = _child(root, key)
    if not (isinstance(found, yaml.ScalarNode) and found.value == value):
        _set_node(root, key, _node(value))


def _set_node(root: yaml.MappingNode, key: str, node: yaml.Node) -> None:
    for number, (name, _) in enumerate(root.value):
        if name.value == key:
            root.value[number] = (name, node)
            return
    root.flow_style = bool(root.value) and root.flow_style
    root.value.append((_node(key), node))


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _node(value: Any) -> yaml.Node:
    node: yaml.Node = _Writer(io.StringIO()).represent_data(value)
    return node


def _target(path: Path) -> Path:
    """The file itself: a link to it stays a link."""
    target = path.resolve()
    if target.is_dir():
        raise _refused(path, "is a folder", f"name a file in it, such as --file {path / 'config'}")
    if target.exists() and not target.is_file():
        raise _refused(path, "is not a regular file")
    return target


def _read(path: Path, target: Path) -> str:
    """The text of a kubeconfig; empty for a new file."""
    if not target.exists():
        return ""
    try:
        text = target.read_text()
        _Entries(_checked(yaml.safe_load(text)))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise _refused(path, f"is there and is not a kubeconfig, so it is left alone: {said}") from error
    return text


def _checked(document: Any) -> Mapping[str, Any]:
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise ValueError("it has no keys")
    if document.get("kind") not in (None, "", "Config"):
        raise ValueError(f"its kind is {document['kind']}")
    for kind in _KINDS:
        items = document.get(f"{kind}s") or []
        if not isinstance(items, list) or not all(
            isinstance(item, dict) and "name" in item and isinstance(item.get(kind) or {}, dict)
            for item in items
        ):
            raise ValueError(f"its {kind}s are not a list of entries with names")
    return document


def _copy(target: Path, old: str) -> Path:
    """A copy of the old file beside it, under a name that nothing has."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = [f"{target.name}.before-{stamp}{number}" for number in ("", *(f"-{n}" for n in range(2, _TRIES)))]
    for copy in (target.with_name(name) for name in names):
        try:
            descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(old)
            _same_owner(descriptor, target)
        return copy
    raise _refused(target, f"has {_TRIES} copies of this second beside it")


def _same_owner(descriptor: int, target: Path) -> None:
    """Root may write another's file, which must stay theirs."""
    if target.exists() and os.geteuid() == 0:
        status = target.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """The lock that kubectl takes before it changes a kubeconfig."""
    lock = target.with_name(f"{target.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0))
    except FileExistsError:
        what = f"is being changed by another program, or one was killed: {lock} is there"
        raise _refused(target, what, f"try again; if no kubectl runs: rm {lock}") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) != str(path) else ""
        raise _refused(path, f"cannot be written: {error.strerror or error}{where}") from error


def _refused(path: Path, what: str, remedy: str = "name another file: --file FILE") -> PlatformError:
    return PlatformError(f"{path} {what}", where=str(path), next=remedy, code=ExitCode.INVALID)
