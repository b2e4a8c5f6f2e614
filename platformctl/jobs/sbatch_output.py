"""Translates sbatch's file names, with `%j` and the like, to shell words that name the same file.

The values come from the job's environment, which has the ids on Slurm. On Kubernetes the pod's name is used
for the id. The rules are those of slurmstepd 24.11 (fname.c).
"""

import re
from dataclasses import dataclass

from platformctl.jobs.quoting import bash_word

_MAX_WIDTH = 10
_IDS = {"A": "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}", "J": "$SLURM_JOB_ID", "j": "$SLURM_JOB_ID"}
_INDICES = {"a": "$KFOUNDRY_INDEX", "b": "$((KFOUNDRY_INDEX % 10))"}
_ZEROS = ("n", "t")
_WORDS = {"N": '"$(hostname -s)"', "s": "batch", "u": '"$USER"'}
_TASK = re.compile(r"\s*[+-]?[0-9]+")
_PART = re.compile(r"(?P<literal>[^%]+)|%(?P<percent>%)|%(?P<width>[0-9]*)(?P<letter>[^%]?)")


@dataclass(frozen=True)
class Naming:
    """What is known when the script is imported. job_name: sbatch's; in_array: whether there is an index."""

    job_name: str
    in_array: bool


def redirect(value: str, naming: Naming) -> str:
    """The name as one shell word; ValueError if that is not possible.

    A backslash is removed, and turns off all patterns in the name; two backslashes are one literal backslash.
    """
    if not value:
        raise ValueError("names no file")
    if _TASK.fullmatch(value):
        raise ValueError(
            "is only a number, which Slurm reads as the number of a task: give the file another name"
        )
    if value.lower() == "none":
        return "/dev/null"
    if "\\" in value:
        return bash_word(re.sub(r"\\(\\?)", r"\1", value))
    return "".join(_word(part, naming) for part in _PART.finditer(value))


def _word(part: re.Match[str], naming: Naming) -> str:
    if part["literal"] or part["percent"]:
        return bash_word(part["literal"] or "%")
    letter, digits = part["letter"], part["width"]
    width = min(int(digits or 0), _MAX_WIDTH)
    if letter in _WORDS:
        return _WORDS[letter]
    if letter == "x":
        return bash_word(naming.job_name)
    if letter in _ZEROS:
        return "0".rjust(width, "0")
    if letter in _INDICES:
        if not naming.in_array:
            raise ValueError(f"%{letter} has a meaning in arrays only")
        return f'"{_padded(_INDICES[letter], width)}"'
    if letter in _IDS:
        return _id(_IDS[letter], width)
    if digits:
        raise ValueError(f"%{digits[:20]}{letter} is a width without a number behind it")
    return bash_word(f"%{letter}")


def _id(variable: str, width: int) -> str:
    """The id on Slurm; elsewhere the pod's name, which has no width."""
    if not width:
        nested = variable.replace("$SLURM_JOB_ID", "${SLURM_JOB_ID:-$HOSTNAME}")
        return f'"{nested}"'
    return f'"$([ "$SLURM_JOB_ID" ] && {_printf(variable, width)} || printf %s "$HOSTNAME")"'


def _padded(variable: str, width: int) -> str:
    return f"$({_printf(variable, width)})" if width else variable


def _printf(variable: str, width: int) -> str:
    return f'printf %0{width}d "{variable}"'
