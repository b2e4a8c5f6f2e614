"""What sbatch takes along from the shell that it is called in: folder, variables, limits.

A Job can be read by everybody who may read Jobs of its namespace; the environment of a job of sbatch cannot.
So variables that look like secrets stay behind unless --export names them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

_SECRET = re.compile(
    r"token|secret|passw|passphrase|credential|private|(api|access|auth|encryption)_?key|(^|_)auth|(^|_)pat$",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_QUOTES = ("'", '"')
# Of the shell itself, of its user, who is the same on the nodes, or of the job that this shell runs in.
_NOT_TAKEN = re.compile(r"_|HOME|USER|LOGNAME|PWD|SLURM_(?!CONF$).*|_SLURM_SPANK_.*")


def _no_files(path: str) -> str:
    raise OSError(f"{path} cannot be read here")


@dataclass(frozen=True)
class Caller:
    """The shell in which the command was typed.

    folder: absolute. limits: soft limits by Slurm's names (NOFILE), in its units. umask: as 0022. now: with
    the time zone. read: the text of a file. whole: whether all variables are taken along, as sbatch does;
    otherwise only those that --export names.
    """

    folder: str
    host: str
    now: datetime
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    umask: str = ""
    whole: bool = False
    read: Callable[[str], str] = _no_files


@dataclass(frozen=True)
class Taken:
    """Variables for the Job. login: whether the login environment comes first. left: names that stay."""

    variables: Mapping[str, str]
    login: bool
    left: tuple[str, ...] = ()


def exported(text: str, caller: Caller | None) -> Taken:
    """What --export means: ALL (the default), NONE, NIL in any case, or a list of names and of NAME=value.

    Names that are not set are ignored, as sbatch does. ValueError.
    """
    kind = text.upper()
    if kind == "NIL":
        return Taken({"SLURM_EXPORT_ENV": text}, login=False)
    if kind == "NONE":
        return Taken({"SLURM_EXPORT_ENV": text}, login=True)
    if kind == "ALL":
        variables, left = _shell(caller)
        return Taken(variables, login=not variables, left=left)
    found: dict[str, str] = {}
    left = ()
    named: set[str] = set()
    for item in quoted_items(text):
        name, equals, value = item.partition("=")
        if item.upper() == "ALL":
            variables, left = _shell(caller)
            found |= variables
        elif not _VARIABLE.fullmatch(name):
            raise ValueError(f"{item[:40]!r} is neither a name, NAME=value, ALL, NONE nor NIL")
        else:
            named.add(name)
            if equals:
                found[name] = value
            elif caller and name in caller.environment:
                found[name] = caller.environment[name]
    found["SLURM_EXPORT_ENV"] = text
    return Taken(found, login=True, left=tuple(name for name in left if name not in named))


def from_file(text: str) -> dict[str, str]:
    """The variables of a file for --export-file: NAME=value, each ended by NUL, or on a line. ValueError."""
    found = {}
    for item in filter(None, text.split("\0") if "\0" in text else text.splitlines()):
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ValueError(f"holds {item[:40]!r}, which is not NAME=value")
        found[name] = value
    return found


def of_client(caller: Caller, propagate: str | None) -> dict[str, str]:
    """The variables that tell Slurm about the shell: folder, host, umask and limits.

    propagate: the value of the option, None without it. ValueError.
    """
    variables = {"SLURM_SUBMIT_DIR": caller.folder}
    if not caller.whole:
        return variables
    variables |= {"SLURM_SUBMIT_HOST": caller.host, "SLURM_PRIO_PROCESS": "0"}
    if caller.umask:
        variables["SLURM_UMASK"] = caller.umask
    names = set(caller.limits)
    if propagate and propagate.upper() not in ("ALL", "NONE"):
        asked = [name.upper().removeprefix("RLIMIT_") for name in propagate.split(",")]
        unknown = [name for name in asked if name not in _LIMITS]
        if unknown:
            raise ValueError(
                f"{unknown[0][:40]!r} is not a limit: ALL, NONE, or some of {', '.join(_LIMITS)}"
            )
        names &= set(asked)
    if propagate is not None and propagate.upper() == "NONE":
        return variables
    # U: asked for by the user, so that it counts although the site's configuration does not propagate limits.
    mark = "U" if propagate is not None else ""
    return variables | {f"SLURM_RLIMIT_{name}": mark + caller.limits[name] for name in sorted(names)}


_LIMITS: Sequence[str] = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")


def _shell(caller: Caller | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The shell's variables, and the names of those that look like secrets and stay behind."""
    if caller is None or not caller.whole:
        return {}, ()
    taken = {name: text for name, text in caller.environment.items() if not _NOT_TAKEN.fullmatch(name)}
    left = [name for name, text in taken.items() if _SECRET.search(name) or _WITH_PASSWORD.search(text)]
    return {name: text for name, text in taken.items() if name not in left}, tuple(sorted(left))


def quoted_items(text: str) -> list[str]:
    """The items between commas outside of quotes; quotes around a whole item are not part of it.

    As in sbatch: inside one kind of quote the other kind is an ordinary character. A quote that is not closed
    is an ordinary character of an item that continues to the end.
    """
    items: list[str] = []
    start, within = 0, dict.fromkeys(_QUOTES, False)
    for index, letter in enumerate(text):
        if letter in within:
            within[letter] = not within[letter]
        elif letter == "," and not any(within.values()):
            items.append(_bare(text[start:index]))
            start = index + 1
    last = text[start:]
    return [*items, last if any(within.values()) else _bare(last)]


def _bare(item: str) -> str:
    return item[1:-1] if item[:1] in _QUOTES and item[:1] == item[-1:] else item
