"""A mistake in a site's inventory: where it is, what it is, and how to fix it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

Key = str | int

_CONFIDENTIAL = re.compile(r"password|secret|token|private_key(?!_file)", re.IGNORECASE)
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    file: path of the file. line: first line of the value, from 1; 0 if unknown. key: path of keys as in
    `users_accounts[1].uid`. value: as shortened text, hidden if it is secret. problem, remedy: one clause
    each.
    """

    file: Path
    line: int
    key: str
    value: str
    problem: str
    remedy: str

    @property
    def place(self) -> str:
        """File and line as editors and terminals understand it."""
        return f"{self.file}:{self.line}" if self.line else str(self.file)

    def __str__(self) -> str:
        subject = f"{self.key}: " if self.key else ""
        value = f" (found {self.value})" if self.value else ""
        return f"{self.place}: {subject}{self.problem}{value}; {self.remedy}"


def key_path(keys: Sequence[Key]) -> str:
    """Keys as a person writes them: `users_accounts[1].uid`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def shown(value: Any, keys: Sequence[Key] = ()) -> str:
    """A value for a message: shortened, and hidden if its name means that it is confidential."""
    if any(_CONFIDENTIAL.search(str(key)) for key in keys):
        return "a hidden value"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return matches[0] if matches else None


def use_instead(name: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for an unknown name."""
    meant = nearest(name, known)
    return f"did you mean {meant}?" if meant else otherwise
