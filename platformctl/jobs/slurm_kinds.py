"""The kinds of values in `spec.slurm`: what the API server and the router accept, and how sbatch has them.

A kind turns the text of an sbatch option into the value of the API, and checks a value of the API. Values
keep sbatch's own notation (`B:USR1@120`, `gpu:2`), so that people who know the options can read a Job.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST_VARIABLES, MOST_TEXT, MOST_COMPONENTS = 2000, 256 * 1024, 128

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Lone surrogates are text for JSON, and for no UTF-8.
_NOT_IN_VALUES = re.compile("[\0\ud800-\udfff]")
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SIZE = re.compile(r"(\d{1,15})(?:([KMGTkmgt])[Bb]?)?", re.ASCII)
_SHIFTS = {"k": -10, "m": 0, "g": 10, "t": 20}


@dataclass(frozen=True)
class Kind:
    """One kind. schema: OpenAPI's, for the definition of the Job. typed: the value for an option's text.

    check and typed raise ValueError, whose text says what to write instead.
    """

    schema: Mapping[str, Any]
    check: Callable[[Any], None]
    typed: Callable[[str], Any]


def line(example: str, pattern: str = "", longest: int = 1024) -> Kind:
    """One line of text; pattern: what it must match as a whole."""
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": longest}
    if pattern:
        schema["pattern"] = f"^({pattern})$"

    def check(value: Any) -> None:
        if not isinstance(value, str) or not 0 < len(value) <= longest:
            raise ValueError(f"must be a text of 1 to {longest} characters, such as {example}")
        if _CONTROL.search(value) or not value.isprintable():
            raise ValueError("holds characters that cannot be printed")
        if pattern and not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"{value[:60]!r} is not like {example}")

    return Kind(schema, check, lambda text: text)


def number(least: int, most: int = 2**31 - 3) -> Kind:
    """A whole number."""

    def check(value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")

    def typed(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII):
            raise ValueError(f"{text[:40]!r} is not a whole number from {least} to {most}")
        return int(text)

    return Kind({"type": "integer", "format": "int64", "minimum": least, "maximum": most}, check, typed)


def _check_flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")


FLAG = Kind({"type": "boolean"}, _check_flag, lambda _: True)


def choice(*words: str, empty: str = "") -> Kind:
    """One of some words, in any case when it is typed; empty: what an option without a value means."""

    def check(value: Any) -> None:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")

    def typed(text: str) -> str:
        return text.lower() or empty

    return Kind({"type": "string", "enum": list(words)}, check, typed)


def words(*allowed: str, longest: int = 64) -> Kind:
    """A list of words, each once; any names without `allowed`."""
    name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
    item = {"enum": list(allowed)} if allowed else {"pattern": f"^{name.pattern}$", "maxLength": 64}
    schema = {
        "type": "array",
        "minItems": 1,
        "maxItems": longest,
        "items": {"type": "string", **item},
    }

    def check(value: Any) -> None:
        if not isinstance(value, list) or not 0 < len(value) <= longest:
            raise ValueError(f"must be a list of 1 to {longest} words")
        for one in value:
            if allowed and one not in allowed:
                raise ValueError(f"{str(one)[:40]!r} is not one of {', '.join(allowed)}")
            if not isinstance(one, str) or not name.fullmatch(one):
                raise ValueError(f"{str(one)[:40]!r} is not a name: letters, digits, '.', '_' and '-'")

    return Kind(schema, check, lambda text: text.split(","))


def _check_moment(value: Any) -> None:
    if not isinstance(value, str) or len(value) > 64:
        raise ValueError("must be a time such as 2027-01-15T08:00:00Z")
    moment(value)


def moment(text: str) -> int:
    """Seconds since the epoch of a time with its zone; ValueError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a time such as 2027-01-15T08:00:00Z") from None
    if when.tzinfo is None:
        raise ValueError(f"{text[:40]!r} has no time zone: write it as in 2027-01-15T08:00:00Z")
    return int(when.timestamp())


def written(when: datetime) -> str:
    """A time as the API has it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


MOMENT = Kind({"type": "string", "format": "date-time", "maxLength": 64}, _check_moment, lambda text: text)


def mebibytes(text: str) -> int:
    """Slurm's memory in MiB, also without a unit; rounded up. 0 is all memory of a node. ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an amount such as 4000M or 16G")
    amount, shift = int(match[1]), _SHIFTS[(match[2] or "m").lower()]
    return amount << shift if shift >= 0 else -(-amount >> -shift)


SIZE = line("4000M or 16G", r"[0-9]{1,15}([KMGTkmgt][Bb]?)?")


def _check_components(value: Any) -> None:
    if not isinstance(value, list) or not 0 < len(value) < MOST_COMPONENTS:
        raise ValueError(f"must be a list of 1 to {MOST_COMPONENTS - 1} objects")


COMPONENTS = Kind(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_COMPONENTS - 1,
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
    _check_components,
    lambda text: text,
)


def _check_variables(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError("must be an object of names and values")
    if len(value) > MOST_VARIABLES:
        raise ValueError(f"has {len(value)} variables, at most {MOST_VARIABLES} are allowed")
    total = 0
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or _NOT_IN_NAMES.search(name):
            raise ValueError(f"{str(name)[:40]!r} is not the name of a variable")
        if not isinstance(text, str) or _NOT_IN_VALUES.search(text):
            raise ValueError(f"the value of {name[:40]} must be text without NUL")
        total += len(name) + len(text)
    if total > MOST_TEXT:
        raise ValueError(f"holds {total} characters, at most {MOST_TEXT} are allowed")


VARIABLES = Kind(
    {
        "type": "object",
        "maxProperties": MOST_VARIABLES,
        "additionalProperties": {"type": "string", "maxLength": MOST_TEXT},
    },
    _check_variables,
    lambda text: text,
)
