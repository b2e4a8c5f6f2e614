"""Text from users as data: quoting for bash, and the `$(NAME)` references of pod templates.

Nothing here evaluates anything; any string becomes exactly one word of a command line.
"""

import re
import shlex
from collections.abc import Iterable, Mapping

# As much as the kernel takes for arguments and environment on common hosts (ARG_MAX is 2 MiB).
MAX_EXPANDED = 2**20
_TOO_LONG = f"becomes longer than {MAX_EXPANDED} characters by its $(NAME) references"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def bash_word(text: str) -> str:
    """One bash word with exactly this value.

    Control characters are written as escapes, so a value never starts a new line: an argument cannot produce
    a line that looks like `#SBATCH`. The text must not contain NUL.
    """
    if not _CONTROL.search(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", escaped) + "'"


def expand_references(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as the kubelet does: unknown names stay as they are, `$$` is a plain `$`.

    It takes time proportional to text and result. It raises ValueError if the result is longer than
    MAX_EXPANDED, because references to references can grow without limit.
    """
    parts: list[str] = []
    size = done = 0
    unclosed = False
    while (start := text.find("$", done)) >= 0 and start + 1 < len(text):
        mark = text[start + 1]
        end = text.find(")", start) if mark == "(" and not unclosed else -1
        unclosed = unclosed or (mark == "(" and end < 0)
        if end >= 0:
            part, after = values.get(text[start + 2 : end], text[start : end + 1]), end + 1
        else:
            part, after = ("$" if mark == "$" else f"${mark}"), start + 2
        parts += (text[done:start], part)
        size += start - done + len(part)
        if size > MAX_EXPANDED:
            raise ValueError(_TOO_LONG)
        done = after
    if parts and size + len(text) - done > MAX_EXPANDED:
        raise ValueError(_TOO_LONG)
    return "".join(parts) + text[done:]


def expand_environment(env: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and values, each expanded with the values before it; ValueError if all together are too long."""
    values: dict[str, str] = {}
    size = 0
    for name, value in env:
        values[name] = expand_references(value, values)
        size += len(values[name])
        if size > MAX_EXPANDED:
            raise ValueError(_TOO_LONG)
    return values
