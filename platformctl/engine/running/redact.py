"""Keeps secret values out of everything the engine writes: journal, logs, events and error messages."""

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "(hidden)"
# Shorter pieces would hide ordinary words.
_SHORTEST = 8


class Redactor:
    """Replaces every known secret value in texts and in nested data."""

    def __init__(self, secrets: Iterable[str]) -> None:
        pieces = {piece for secret in secrets for piece in _forms(secret) if len(piece) >= _SHORTEST}
        longest_first = sorted(pieces, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if pieces else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def data(self, value: Any) -> Any:
        """The same structure without secrets in any string or key."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(entry) for entry in value]
        return value


def _forms(secret: str) -> set[str]:
    """A secret as it may show up: as it is, as JSON writes it, by lines, and decoded from base64."""
    forms = {secret, secret.strip(), json.dumps(secret)[1:-1]}
    if "\n" in secret:
        forms |= {line for line in secret.splitlines() if not line.startswith("-----")}
    with contextlib.suppress(binascii.Error, ValueError):
        forms.add(base64.b64decode(secret, validate=True).decode())
    return forms
