"""Keeps secret values out of everything the engine writes: journal, logs, events and error messages.

Programs repeat a secret in the form in which they handle it: quoted, escaped, encoded, or a part of it. All
forms of every secret are replaced, and of long random values every part.
"""

import base64
import binascii
import contextlib
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "(hidden)"
# Shorter pieces would hide ordinary words.
_SHORTEST = 8
# A value of at least this many random characters is a key or a token: no text contains a part of it by
# chance. Programs cut long values, and wrap them into lines.
_RANDOM = 24
_PART = 16
_WORD = re.compile(r"[A-Za-z0-9+/=_\-]{16,}")


class Redactor:
    """Replaces every known secret value in texts and in nested data."""

    def __init__(self, secrets: Iterable[str]) -> None:
        pieces = {piece for secret in secrets for piece in _forms(secret) if len(piece) >= _SHORTEST}
        longest_first = sorted(pieces, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if pieces else None
        self._parts = {part for piece in pieces if _random(piece) for part in _parts(piece)}

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._pattern is None:
            return text
        whole = self._pattern.sub(HIDDEN, text)
        return _WORD.sub(self._without_parts, whole) if self._parts else whole

    def data(self, value: Any) -> Any:
        """The same structure without secrets in any string or key."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(entry) for entry in value]
        return value

    def _without_parts(self, match: re.Match[str]) -> str:
        """A word of a text, without the stretches that belong to a secret."""
        word = match[0]
        secret = [False] * len(word)
        for start in range(len(word) - _PART + 1):
            if word[start : start + _PART] in self._parts:
                secret[start : start + _PART] = [True] * _PART
        marked = "".join("\0" if hidden else letter for hidden, letter in zip(secret, word, strict=True))
        return re.sub("\0+", HIDDEN, marked)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may show up: by lines, as programs quote and escape it, encoded, and decoded."""
    plain = {secret, secret.strip()}
    if "\n" in secret:
        # The first and last line of a PEM file are the same in all of them.
        plain |= {line.strip() for line in secret.splitlines() if not line.startswith("-----")}
    for value in plain:
        if len(value) >= _SHORTEST:
            yield from _escaped(value)
            yield from _encoded(value.encode())
    with contextlib.suppress(binascii.Error, ValueError):
        decoded = base64.b64decode(secret, validate=True)
        yield decoded.hex()
        yield decoded.hex().upper()
        yield decoded.decode()


def _escaped(value: str) -> Iterator[str]:
    """The value as JSON, shells, SQL, Python, URLs and HTML write it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield shlex.quote(value)
    yield shlex.quote(value)[1:-1]
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", value)
    yield value.replace("'", "''")
    yield value.replace("\\", "\\\\").replace("'", "\\'")
    yield value.replace("\\", "\\\\").replace("'", "''")
    yield repr(value)[1:-1]
    yield from (quote(value), quote(value, safe=""), quote_plus(value))
    yield html.escape(value)


def _encoded(value: bytes) -> Iterator[str]:
    """The value in hexadecimal and in base64, also where it is a part of a longer encoded text."""
    yield value.hex()
    yield value.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + value).decode().rstrip("=")
            # Characters that also hold bits of the neighbours differ from text to text.
            start = (before * 8 + 5) // 6
            end = (before + len(value)) * 8 // 6
            yield text[start:end]


def _random(piece: str) -> bool:
    """Whether it looks like a key or a token, not like a name: with capitals and digits, or hexadecimal."""
    if len(piece) < _RANDOM or not _WORD.fullmatch(piece):
        return False
    kinds = (str.isupper, str.islower, str.isdigit)
    return bool(re.fullmatch("[0-9a-f]+|[0-9A-F]+", piece)) or all(any(map(kind, piece)) for kind in kinds)


def _parts(piece: str) -> Iterator[str]:
    return (piece[start : start + _PART] for start in range(len(piece) - _PART + 1))
