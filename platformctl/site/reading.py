"""Reads a YAML file with the C parser, and keeps the position of every value.

Values are plain YAML: Jinja expressions stay texts, `!unsafe` is dropped, and `!vault` becomes a Vaulted,
which is never decrypted here.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from platformctl.site.mistakes import Key, Mistake, key_path


class Vaulted(str):
    """A single value encrypted with ansible-vault: valid for any type, and never shown."""

    __slots__ = ()


class _Loader(yaml.CSafeLoader):
    pass


def _vaulted(loader: _Loader, node: yaml.Node) -> Vaulted:
    return Vaulted(node.value)


def _unsafe(loader: _Loader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_constructor("!vault", _vaulted)
_Loader.add_constructor("!unsafe", _unsafe)


@dataclass(frozen=True)
class Document:
    """One file: its content, and its parsed nodes for finding lines."""

    path: Path
    content: dict[Any, Any]
    node: yaml.Node | None = None

    def line(self, keys: Sequence[Key]) -> int:
        """Line of the value under these keys, or of its nearest existing parent; 0 if unknown."""
        node, line = self.node, 0
        for key in keys:
            child = _child(node, key)
            if child is None:
                break
            line, node = child
        return line


def read(path: Path) -> tuple[Document, list[Mistake]]:
    """Read a file that contains a mapping; an unreadable file counts as empty and is a mistake."""
    try:
        loader = _Loader(path.read_bytes())
        node = loader.get_single_node()
        content = loader.construct_document(node) if node else {}
        json.dumps(content, default=str, skipkeys=True)  # ValueError when an alias lies within its anchor
    except (yaml.YAMLError, ValueError) as error:  # ValueError also from dates such as 2026-13-01
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        problem = f"is not valid YAML: {getattr(error, 'problem', None) or error}"
        return Document(path, {}), [Mistake(path, line, "", "", problem, "correct the syntax")]
    except OSError as error:
        return Document(path, {}), [Mistake(path, 0, "", "", f"cannot be read: {error}", "make it readable")]
    if content is None:
        content = {}
    if not isinstance(content, dict):
        problem = "holds something else than a mapping of names to values"
        return Document(path, {}), [Mistake(path, 1, "", "", problem, "write `name: value` lines")]
    document = Document(path, content, node)
    return document, list(_doubles(document, node, ()))


def _doubles(document: Document, node: yaml.Node | None, keys: tuple[Key, ...]) -> Iterator[Mistake]:
    """Keys given twice in one mapping; YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            path = (*keys, name)
            if name in seen and name != "<<":
                line = key.start_mark.line + 1
                yield Mistake(document.path, line, key_path(path), "", "is given twice", "remove one of them")
            seen.add(name)
            if not isinstance(value, yaml.ScalarNode):
                yield from _doubles(document, value, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if not isinstance(value, yaml.ScalarNode):
                yield from _doubles(document, value, (*keys, index))


def _child(node: yaml.Node | None, key: Key) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if str(name.value) == str(key):
                return name.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        value = node.value[key]
        return value.start_mark.line + 1, value
    return None
