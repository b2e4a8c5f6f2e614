"""Text from users as data: quoting for bash, and the `$(NAME)` references of pod templates.

Nothing here evaluates anything; a string becomes one word of a command line whatever it holds.
"""

import re
import shlex
from collections.abc import Mapping

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def bash_word(text: str) -> str:
    """One bash word with exactly this value.

    Control characters are written as escapes, so a value never begins a line of its own: a line that
    looks like `#SBATCH` cannot arise from an argument. The text must not hold NUL.
    """
    if not _CONTROL.search(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", escaped) + "'"


def expand_references(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as the kubelet does: unknown names stay as they are, `$$` is a plain `$`."""

    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)
