"""sbatch's names of files, with `%j` and the like, as words of a shell that name the same file.

What Slurm would put in is taken from the environment of the job, which has its ids on Slurm. On
Kubernetes the pod's name stands for the id.
"""

import re
from dataclasses import dataclass

from platformctl.jobs.quoting import bash_word

_ID = '"${SLURM_JOB_ID:-$HOSTNAME}"'
_PATTERNS = {
    "%": "%",
    "A": '"${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-$HOSTNAME}}"',
    "J": _ID,
    "j": _ID,
    "N": '"$(hostname -s)"',
    "n": "0",
    "s": "batch",
    "t": "0",
    "u": '"$USER"',
}
_OF_ARRAYS = {"a": '"$KFOUNDRY_INDEX"', "b": '"$((KFOUNDRY_INDEX % 10))"'}


@dataclass(frozen=True)
class Naming:
    """What is known when the script is imported. job_name: sbatch's; in_array: whether there is an index."""

    job_name: str
    in_array: bool


def redirect(value: str, naming: Naming) -> str:
    """One word of a shell; ValueError when the name cannot be made there.

    A backslash is left out, and keeps all patterns of the name from being read; two of them are one letter.
    """
    if not value:
        raise ValueError("names no file")
    if value.lower() == "none":
        return "/dev/null"
    if "\\" in value:
        return bash_word(re.sub(r"\\(\\?)", r"\1", value))
    words = []
    for literal, letter in re.findall(r"([^%]+)|%(.?)", value):
        words.append(bash_word(literal) if literal else _pattern(letter, naming))
    return "".join(words)


def _pattern(letter: str, naming: Naming) -> str:
    if letter == "x":
        return bash_word(naming.job_name)
    if letter in _OF_ARRAYS:
        if not naming.in_array:
            raise ValueError(f"%{letter} has a meaning in arrays only")
        return _OF_ARRAYS[letter]
    if letter not in _PATTERNS:
        known = ", ".join(f"%{name}" for name in sorted({*_PATTERNS, *_OF_ARRAYS, "x"}))
        raise ValueError(f"%{letter} cannot be known in the script; what can is {known}")
    return _PATTERNS[letter]
