"""Reads untrusted nested data and records a refusal with its path for every mistake, not only the first."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from platformctl.jobs.model import Refusal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Reader:
    """Typed access to parsed YAML or JSON. A value of a wrong type is recorded and treated as absent."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def refuse(self, path: str, message: str) -> None:
        """Note a mistake."""
        self.refusals.append(Refusal(path, message))

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        """An object; absent is empty."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.refuse(path, "must be an object")
        return {}

    def items(self, value: Any, path: str, most: int) -> list[Any]:
        """A list of at most `most` items; absent is empty."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(path, "must be a list")
            return []
        if len(value) > most:
            self.refuse(path, f"has {len(value)} items, at most {most} are allowed")
            return []
        return value

    def text(self, value: Any, path: str, most: int) -> str | None:
        """A string of at most `most` characters that UTF-8 can hold, without NUL."""
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(path, "must be a string")
        elif len(value) > most:
            self.refuse(path, f"has {len(value)} characters, at most {most} are allowed")
        elif "\0" in value:
            self.refuse(path, "must not contain NUL")
        elif _SURROGATE.search(value):
            self.refuse(path, "is not valid Unicode")
        else:
            return value
        return None

    def name(self, value: Any, path: str) -> str | None:
        """The name of a queue, an account or the like: letters, digits, '.', '_' and '-', at most 64."""
        text = self.text(value, path, 64)
        if text is not None and not NAME.fullmatch(text):
            self.refuse(path, "must be letters, digits, '.', '_' and '-'")
            return None
        return text

    def texts(self, value: Any, path: str, most: int, longest: int) -> tuple[str, ...]:
        """A list of strings."""
        read = [
            self.text(item, f"{path}[{n}]", longest) for n, item in enumerate(self.items(value, path, most))
        ]
        return tuple(item for item in read if item is not None)

    def text_map(self, value: Any, path: str, most: int) -> dict[str, str]:
        """An object whose values are strings."""
        entries = self.mapping(value, path)
        if len(entries) > most:
            self.refuse(path, f"has {len(entries)} entries, at most {most} are allowed")
            return {}
        read = {key: self.text(item, f"{path}[{key}]", 4096) for key, item in entries.items()}
        return {key: item for key, item in read.items() if item is not None}

    def whole(self, value: Any, path: str, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(path, f"must be a whole number from {least} to {most}")
            return None
        return value

    def flag(self, value: Any, path: str) -> bool:
        """true or false; absent is false."""
        if value is not None and not isinstance(value, bool):
            self.refuse(path, "must be true or false")
        return value is True

    def only(self, fields: dict[str, Any], path: str, known: Sequence[str]) -> dict[str, Any]:
        """The same object, after recording a refusal for every unknown field."""
        for key in fields:
            if key not in known:
                self.refuse(f"{path}.{str(key)[:63]}", f"is not a field here; fields are {', '.join(known)}")
        return fields

    def convert[T](self, value: Any, path: str, convert: Callable[[Any], T]) -> T | None:
        """What `convert` makes of a value; its ValueError is the refusal."""
        if value is None:
            return None
        try:
            return convert(value)
        except ValueError as error:
            self.refuse(path, str(error))
            return None
