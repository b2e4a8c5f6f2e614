"""The hosts that `--limit` selects, by Ansible's patterns.

A pattern is a host, a group, `all`, a name with wildcards (`n*`), or a regular expression after `~`. A group
may have a position or a range of positions (`slurm_node[0]`, `slurm_node[1:3]`, both ends included). Commas
and colons join patterns. `!` before a pattern excludes its hosts; `&` keeps only hosts that match it too.
Patterns without a sign are always applied first (if there are none, all hosts are selected), then those with
`&`, then those with `!`.
"""

import fnmatch
import re
from collections.abc import Sequence
from difflib import get_close_matches

from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError

_WORD = re.compile(r"(?:[^\s,:\[\]]|\[[^\]]*\])+")
_POSITIONS = re.compile(r"^(?P<group>[^\[]+)\[(?P<first>-?\d+)(?P<range>[:-](?P<last>\d*))?\]$")
_LISTED = 12


def hosts_of(fleet: Fleet, limit: Sequence[str], gone: str = "") -> list[str]:
    """The hosts that the limit selects, in inventory order; all if there is no limit.

    limit: patterns, or several joined in one text. gone: what else to do for a name that is unknown. Raises
    PlatformError if a name is unknown, or if no host is left.
    """
    words = [word for part in limit for word in _words(part)]
    if limit and not words:
        # An empty variable in a script must not select the whole site, above all not for `reset`.
        raise PlatformError(
            "--limit is empty, so it names no host",
            where=str(fleet.inventory),
            next="leave out the option for all hosts, or name some",
            code=ExitCode.INVALID,
        )
    if unknown := [word for word in words if _matches(fleet, word.lstrip("!&")) is None]:
        raise _unknown(fleet, [word.lstrip("!&") for word in unknown], gone)
    by_word = {word: set(_matches(fleet, word.lstrip("!&")) or ()) for word in words}
    named = [hosts for word, hosts in by_word.items() if word[0] not in "!&"]
    chosen = set().union(*named) if named else set(fleet.hosts)
    for word, hosts in by_word.items():
        if word.startswith("&"):
            chosen &= hosts
    for word, hosts in by_word.items():
        if word.startswith("!"):
            chosen -= hosts
    if words and not chosen:
        raise PlatformError(
            f"--limit {','.join(limit)} leaves no host of the site",
            where=str(fleet.inventory),
            next="leave out the option for all hosts, or select at least one host",
            code=ExitCode.INVALID,
        )
    return [host for host in fleet.hosts if host in chosen]


def _words(part: str) -> list[str]:
    """The patterns in one text. A regular expression may contain commas and colons, so it is not split."""
    return [part] if part.lstrip("!&").startswith("~") else _WORD.findall(part)


def _matches(fleet: Fleet, pattern: str) -> Sequence[str] | None:
    """The hosts of one pattern, in inventory order; None if it matches nothing in the inventory."""
    if pattern in fleet.hosts:
        return (pattern,)
    if pattern in ("all", "*") or pattern in fleet.groups:
        return fleet.members("all" if pattern == "*" else pattern)
    if match := _POSITIONS.match(pattern):
        return _positions(fleet, match)
    names = [*fleet.hosts, *fleet.groups]
    if pattern.startswith("~"):
        names = _searched(pattern[1:], names)
    elif any(sign in pattern for sign in "*?["):
        names = fnmatch.filter(names, pattern)
    else:
        return None
    return [
        host for name in names for host in ((name,) if name in fleet.hosts else fleet.members(name))
    ] or None


def _searched(expression: str, names: Sequence[str]) -> list[str]:
    try:
        wanted = re.compile(expression)
    except re.error as error:
        raise PlatformError(
            f"--limit ~{expression} is not a regular expression: {error}",
            next="write it as in --limit '~n[0-9]+', or name the hosts",
            code=ExitCode.INVALID,
        ) from error
    return [name for name in names if wanted.match(name)]


def _positions(fleet: Fleet, match: re.Match[str]) -> Sequence[str] | None:
    """Hosts of a group by their position in it, from 0."""
    hosts = _matches(fleet, match["group"])
    if hosts is None:
        return None
    first = int(match["first"])
    if not match["range"]:
        return hosts[first : first + 1 or None]
    return hosts[first : int(match["last"]) + 1 if match["last"] else None]


def _unknown(fleet: Fleet, words: Sequence[str], gone: str) -> PlatformError:
    names = [*fleet.hosts, *fleet.groups]
    stems = [word.partition("[")[0] for word in words]
    meant = [near for stem in stems for near in get_close_matches(stem, names, n=3, cutoff=0.5)]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    choice = f"choose from: {', '.join(names[:_LISTED])}{more}"
    return PlatformError(
        f"the inventory has no host or group {', '.join(words)}",
        where=str(fleet.inventory),
        next=(f"did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else choice)
        + (f" {gone} {' '.join(words)}" if gone else ""),
        code=ExitCode.INVALID,
    )
