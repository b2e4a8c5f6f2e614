"""Expressions of Slurm's features, such as `(a|b)&c`: read, joined, and written as slurmctld takes them.

slurmctld 24.11 refuses brackets inside of others, reads `a|b&c` from left to right, and ignores what stands
beside square brackets. So an expression is kept as a choice: one of some sets of features must be there. That
can always be written without nesting: `(a&c)|(b&c)`.
"""

import re
from collections.abc import Iterator, Sequence

type Choice = tuple[tuple[str, ...], ...]
"""Sets of features, of which a node must have one; without a set, any node will do."""

_MOST = 64
_WORDS = re.compile(r"[()&|]|[^()&|\s]+")
_FEATURE = re.compile(r"[A-Za-z0-9_.=:+/-]+", re.ASCII)
ANY: Choice = ()


def one_of(features: Sequence[str]) -> Choice:
    """Any one of some features."""
    return tuple((feature,) for feature in dict.fromkeys(features))


def either(choices: Sequence[Choice]) -> Choice:
    """One of the choices must hold."""
    return () if ANY in choices else tuple(dict.fromkeys(part for choice in choices for part in choice))


def all_of(choices: Sequence[Choice]) -> Choice:
    """All of the choices must hold. ValueError if that is too much to write."""
    found: Choice = ((),)
    for choice in choices:
        if choice:
            joined = (tuple(dict.fromkeys((*one, *other))) for one in found for other in choice)
            found = tuple(dict.fromkeys(joined))
        if len(found) > _MOST:
            raise ValueError(f"has more than {_MOST} sets of features when it is written out")
    return found if found != ((),) else ANY


def text(choice: Choice) -> str:
    """The expression; empty for any node."""
    if len(choice) == 1:
        return "&".join(choice[0])
    return "|".join(f"({'&'.join(part)})" if len(part) > 1 else part[0] for part in choice)


def read(expression: str) -> Choice:
    """What an expression means, read as slurmctld does. ValueError for one that cannot be joined."""
    words = iter(_WORDS.findall(expression))
    found = _read(words, inside=False)
    if next(words, None) is not None:
        raise ValueError("has a bracket too many")
    return found


def _read(words: Iterator[str], inside: bool) -> Choice:
    found, operator = ANY, ""
    for word in words:
        if word == ")" and inside:
            return found
        if word in "&|":
            operator = word
            continue
        if word == "(" and not inside:
            part = _read(words, inside=True)
        elif _FEATURE.fullmatch(word):
            part = one_of([word])
        else:
            raise ValueError(f"has {word[:40]!r}, which is for Slurm's own choice between nodes")
        found = part if not operator else (all_of if operator == "&" else either)([found, part])
    return found
