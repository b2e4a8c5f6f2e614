"""Shapes of nested data: what a value must look like, as data that one function checks.

A pod template has parts that a back end gets as they are, such as an affinity or a probe. A shape says which
fields such a part may have. Every mistake is refused with its path, and no field passes that a shape does not
name.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from platformctl.jobs.quantity import parse_quantity
from platformctl.jobs.reader import Reader

type Shape = Callable[[Reader, Any, str], None]
"""Checks a value at a path; mistakes go to the reader. None stands for an absent value and is always
right."""

LABEL_KEY = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
OBJECT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


def fits(reader: Reader, shape: Shape, value: Any, path: str) -> bool:
    """Whether a value has a shape; mistakes go to the reader."""
    before = len(reader.refusals)
    shape(reader, value, path)
    return len(reader.refusals) == before


def text(most: int = 4096) -> Shape:
    """A string of at most `most` characters."""

    def check(reader: Reader, value: Any, path: str) -> None:
        reader.text(value, path, most)

    return check


def pattern(expression: re.Pattern[str], what: str) -> Shape:
    """A string that matches as a whole. what: ends the sentence "must be"."""

    def check(reader: Reader, value: Any, path: str) -> None:
        found = reader.text(value, path, 4096)
        if found is not None and not expression.fullmatch(found):
            reader.refuse(path, f"must be {what}")

    return check


def whole(least: int, most: int) -> Shape:
    """A whole number within bounds."""

    def check(reader: Reader, value: Any, path: str) -> None:
        reader.whole(value, path, least, most)

    return check


def flag(reader: Reader, value: Any, path: str) -> None:
    """True or false."""
    reader.flag(value, path)


def quantity(reader: Reader, value: Any, path: str) -> None:
    """A quantity of Kubernetes, such as 10Gi."""
    reader.convert(value, path, parse_quantity)


def one_of(*allowed: str) -> Shape:
    """One of some words."""

    def check(reader: Reader, value: Any, path: str) -> None:
        if value is not None and (not isinstance(value, str) or value not in allowed):
            reader.refuse(path, f"must be {' or '.join(word or 'empty' for word in allowed)}")

    return check


def either(*types: type) -> Shape:
    """A string or a whole number, as for the port of a probe."""

    def check(reader: Reader, value: Any, path: str) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, types)):
            reader.refuse(path, "must be a name or a whole number")

    return check


def list_of(shape: Shape, most: int = 64) -> Shape:
    """A list whose items have a shape."""

    def check(reader: Reader, value: Any, path: str) -> None:
        for number, item in enumerate(reader.items(value, path, most)):
            if item is None:
                reader.refuse(f"{path}[{number}]", "must not be empty")
            shape(reader, item, f"{path}[{number}]")

    return check


def map_of(key: re.Pattern[str], what: str, shape: Shape, most: int = 64) -> Shape:
    """An object with free keys. what: says what a key is, such as "the key of a label"."""

    def check(reader: Reader, value: Any, path: str) -> None:
        entries = reader.mapping(value, path)
        if len(entries) > most:
            reader.refuse(path, f"has {len(entries)} entries, at most {most} are allowed")
            return
        for name, item in entries.items():
            here = f"{path}[{str(name)[:253]}]"
            if not isinstance(name, str) or not key.fullmatch(name):
                reader.refuse(here, f"is not {what}")
            shape(reader, item, here)

    return check


def fields(needed: Mapping[str, Shape] | None = None, **optional: Shape) -> Shape:
    """An object with these fields and no others. needed: fields that must be there."""
    needed = needed or {}
    known = {**needed, **optional}

    def check(reader: Reader, value: Any, path: str) -> None:
        if value is None:
            return
        given = reader.only(reader.mapping(value, path), path, tuple(known))
        for name, shape in known.items():
            if given.get(name) is not None:
                shape(reader, given[name], f"{path}.{name}")
            elif name in needed and isinstance(value, dict):
                reader.refuse(f"{path}.{name}", "must be set")

    return check


def refused(why: str) -> Shape:
    """A field that no Job may have, with the reason and what to do."""

    def check(reader: Reader, value: Any, path: str) -> None:
        if value not in (None, "", [], {}, False):
            reader.refuse(path, f"is not supported: {why}")

    return check


LABEL = pattern(LABEL_VALUE, "the value of a label: letters, digits, '.', '_' and '-'")
LABELS = map_of(LABEL_KEY, "the key of a label", LABEL)
NAME = pattern(OBJECT_NAME, "the name of an object: lower-case letters, digits, '.' and '-'")
KEY = pattern(
    re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII), "the key of an entry: letters, digits, '.', '_', '-'"
)
