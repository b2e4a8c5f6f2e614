"""What hosts remember of the site's secrets: a fingerprint of each in the record of each stage that uses it.

A fingerprint is a salted scrypt hash, which is no help in guessing even a weak secret. Records made before
there were fingerprints have plain digests of the variables instead, which are compared in the same way.
"""

import hashlib
import hmac
import json
import secrets as randomness
from collections.abc import Mapping
from functools import cache
from typing import Any

from platformctl.site import secrets

SECRET_PREFIX = "secret_"  # noqa: S105 - a name
_PART = f"variable:{SECRET_PREFIX}"
_SEPARATOR = "$"
# A guess costs 4 MiB and about 15 ms. All secrets of a site together cost less than 0.1 s.
_SCRYPT_N = 2**12


def new_salt() -> str:
    """A salt for the fingerprints of one site."""
    return randomness.token_hex(8)


@cache
def fingerprint(value: str, salt: str) -> str:
    """The fingerprint of a value, with the salt in it."""
    digest = hashlib.scrypt(value.encode(), salt=salt.encode(), n=_SCRYPT_N, r=8, p=1, dklen=16)
    return f"{salt}{_SEPARATOR}{digest.hex()}"


def salt_of(found: str) -> str:
    """The salt in a fingerprint; empty for the plain digest of an old record."""
    salt, separator, _ = found.partition(_SEPARATOR)
    return salt if separator else ""


def fits(found: str, value: str) -> bool:
    """Whether a fingerprint, or the plain digest of an old record, is that of a value."""
    salt = salt_of(found)
    return hmac.compare_digest(found, fingerprint(value, salt) if salt else _plain(value))


def _plain(value: str) -> str:
    """As records named the value of a variable before there were fingerprints."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def of_entry(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fingerprints in a stage's entry of a record, by variable: `prints` (any may be in use) and `since`.

    An entry made before there were fingerprints has plain digests among its parts.
    """
    kept: dict[str, dict[str, Any]] = entry.get("secrets") or {}
    if kept:
        return kept
    since = entry.get("at", "")
    parts = entry.get("parts") or {}
    names = {part.partition(":")[2]: found for part, found in parts.items() if part.startswith(_PART)}
    return {
        name: {"prints": [found], "since": since}
        for name, found in names.items()
        if name in secrets.NAMES and found
    }


def begun(entry: Mapping[str, Any], new: Mapping[str, str], now: str) -> dict[str, dict[str, Any]]:
    """The fingerprints while a stage runs: the secrets that were there, and the new ones."""
    merged = dict(of_entry(entry))
    for name, found in new.items():
        old = merged.get(name, {"prints": [], "since": now})
        merged[name] = {**old, "prints": [*dict.fromkeys([*old["prints"], found])]}
    return merged


def ended(entry: Mapping[str, Any], new: Mapping[str, str], now: str) -> dict[str, dict[str, Any]]:
    """The fingerprints after a stage ended well: its secrets are the new ones."""
    before = of_entry(entry)
    ages = {
        name: before[name]["since"] if found in before.get(name, {"prints": ()})["prints"] else now
        for name, found in new.items()
    }
    return {name: {"prints": [found], "since": ages[name]} for name, found in new.items()}
