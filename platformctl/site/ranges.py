"""Host ranges of Ansible inventories: `node[01:03]` is node01, node02 and node03; `rack[a:c]` works alike."""

import re
import string
from collections.abc import Iterator

_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")


def expand(pattern: str) -> Iterator[str]:
    """All host names of a pattern; ValueError if a range is not valid."""
    match = _RANGE.search(pattern)
    if not match:
        yield pattern
        return
    for part in _steps(match[1], match[2], int(match[3] or 1)):
        yield from expand(pattern[: match.start()] + part + pattern[match.end() :])


def _steps(first: str, last: str, step: int) -> Iterator[str]:
    if first.isdigit() and last.isdigit():
        if first.startswith("0") and len(first) > 1 and len(first) != len(last):
            raise ValueError("both ends of a range with leading zeros need the same number of digits")
        numbers = range(int(first), int(last) + 1, step)
        texts = [str(number).zfill(len(first)) for number in numbers]
    else:
        letters = string.ascii_letters
        if len(first) != 1 or len(last) != 1 or first not in letters or last not in letters:
            raise ValueError("a range goes from number to number or from letter to letter")
        texts = list(letters[letters.index(first) : letters.index(last) + 1 : step])
    if not texts:
        raise ValueError("the range is empty")
    yield from texts
