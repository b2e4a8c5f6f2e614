"""Turns a command line into a script, and adds arguments and variables to a script: a Job has no such fields.

In a shell script, lines after the first set them. Any other interpreter is started by a shell that sets the
variables and passes the program text as /dev/fd/3, so that standard input does not change.
"""

import re
import shlex
from collections.abc import Sequence

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MARK = "KFOUNDRY_SCRIPT"

type Variables = Sequence[tuple[str, str]]
"""Names with their values, in order."""


class UnclearError(ValueError):
    """A request has no meaning, or more than one; the text says what to write instead."""


def as_script(words: Sequence[str]) -> str:
    """A script that runs one command. The shell passes each word unchanged."""
    if len(words) == 1 and re.search(r"\s", words[0]):
        raise UnclearError(
            f"{words[0]!r} is one word: write the command without quotes, or -- sh -c {shlex.quote(words[0])}"
        )
    return f"#!/bin/sh\nexec {shlex.join(words)}\n"


def with_context(script: str, variables: Variables, arguments: Sequence[str]) -> str:
    """The script with variables in its environment and with arguments; unchanged without any.

    A script that names no interpreter is unchanged too, as the check of Jobs refuses it.
    """
    if not (variables or arguments):
        return script
    for name, _ in variables:
        if not _NAME.fullmatch(name):
            raise UnclearError(f"{name!r} is not the name of a variable: letters, digits and '_'")
    first, _, body = script.partition("\n")
    if not first.startswith("#!") or not first[2:].strip().startswith("/"):
        return script
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables]
    if _program(first) in _SHELLS:
        lines = [*exports, *([f"set -- {shlex.join(arguments)}"] if arguments else [])]
        return "\n".join([first, *lines, body])
    start = shlex.join([*first[2:].strip().split(None, 1), "/dev/fd/3", *arguments])
    mark = _free_mark(script)
    text = script if script.endswith("\n") else f"{script}\n"
    return "\n".join(["#!/bin/sh", *exports, f"exec {start} 3<<'{mark}'", f"{text}{mark}", ""])


def _program(first_line: str) -> str:
    """The interpreter's name, also if it is started by env."""
    words = [word.rpartition("/")[2] for word in first_line[2:].split()]
    if words[:1] == ["env"]:
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def _free_mark(text: str) -> str:
    lines, mark = set(text.split("\n")), _MARK
    while mark in lines:
        mark += "_"
    return mark
