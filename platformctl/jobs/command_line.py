"""Turns a command line into a script."""

import re
import shlex
from collections.abc import Sequence


class UnclearError(ValueError):
    """A request has no meaning, or more than one; the text says what to write instead."""


def as_script(words: Sequence[str]) -> str:
    """A script that runs one command. The shell passes each word unchanged."""
    if len(words) == 1 and re.search(r"\s", words[0]):
        raise UnclearError(
            f"{words[0]!r} is one word: write the command without quotes, or -- sh -c {shlex.quote(words[0])}"
        )
    return f"#!/bin/sh\nexec {shlex.join(words)}\n"
