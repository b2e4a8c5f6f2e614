"""Index lists of arrays as Slurm writes them: `0-99%10`, `1,3,7`, `0-20:5`.

The number after % limits how many elements run at once. Slurm's own limit (MaxArraySize, 1001 by default) may
be lower than the one here; then Slurm refuses the job with its own message.
"""

import re
from itertools import pairwise

from platformctl.jobs.model import Array

MAX_ELEMENTS, MAX_INDEX, MAX_LENGTH = 10_000, 1_000_000, 8192

_LIST = re.compile(r"([0-9,:-]{1,8192})(?:%([0-9]{1,7}))?", re.ASCII)
_PART = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7})(?::([0-9]{1,7}))?)?", re.ASCII)


def parse_array(value: object) -> Array:
    """The sorted indices, and how many run at once. ValueError, with a text for people, if it is wrong."""
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise ValueError(f'must be a list such as "0-99%10" of at most {MAX_LENGTH} characters')
    match = _LIST.fullmatch(value)
    if match is None:
        raise ValueError('must be a list of indices such as "0-99%10", "1,3,7" or "0-20:5"')
    ranges = [_range(part) for part in match[1].split(",")]
    # Count before merging: a list may name the same ten thousand indices a thousand times.
    if sum(map(len, ranges)) > MAX_ELEMENTS:
        raise ValueError(f"has more than {MAX_ELEMENTS} elements")
    limit = int(match[2]) if match[2] else None
    if limit == 0:
        raise ValueError("must let at least one element run at a time")
    return Array(tuple(sorted({index for part in ranges for index in part})), limit)


def elements_at_once(array: Array, most: int | None = None) -> int:
    """How many elements run at the same time; most: what the site allows, None for any number."""
    return min(array.limit or len(array.indices), len(array.indices), most or len(array.indices))


def array_text(array: Array) -> str:
    """The array as text for Slurm, in its shortest form: ranges of indices, or one range with a step."""
    limit = f"%{array.limit}" if array.limit else ""
    indices = array.indices
    steps = {after - before for before, after in pairwise(indices)}
    if len(indices) > 2 and len(steps) == 1:
        step = steps.pop()
        return f"{indices[0]}-{indices[-1]}{f':{step}' if step > 1 else ''}{limit}"
    return ",".join(_runs(indices)) + limit


def _range(part: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f'holds {part[:40]!r}; write indices such as "0-99%10", "1,3,7" or "0-20:5"')
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last > MAX_INDEX or first > MAX_INDEX:
        raise ValueError(f"has an index above {MAX_INDEX}")
    if last < first:
        raise ValueError(f"counts down in {part!r}")
    if step < 1:
        raise ValueError(f"has a step of zero in {part!r}")
    if len(range(first, last + 1, step)) > MAX_ELEMENTS:
        raise ValueError(f"has more than {MAX_ELEMENTS} elements")
    return range(first, last + 1, step)


def _runs(indices: tuple[int, ...]) -> list[str]:
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]
