"""In which order a stage's hosts are tried, so that a change that breaks a daemon breaks few of them.

Hosts that are new run nothing yet, so all of them are done at once. Of those in service one comes first, then
growing groups. Pure: it knows no Ansible.
"""

from collections.abc import Collection, Sequence
from math import ceil

from platformctl.engine.stages import Stage

_SHARE = 0.1


def waves(stage: Stage, hosts: Sequence[str], fresh: Collection[str]) -> list[tuple[str, ...]]:
    """The hosts in groups, to be done one after the other. fresh: hosts that do not have the stage yet."""
    if stage.one_by_one:
        return [(host,) for host in hosts]
    new = tuple(host for host in hosts if host in fresh)
    serving = [host for host in hosts if host not in fresh]
    if not stage.restarts or len(serving) < 2:
        return [tuple(hosts)] if hosts else []
    groups = [(*new, serving[0])]
    done, size = 1, 1
    while done < len(serving):
        size = max(2 * size, ceil(_SHARE * len(serving)))
        groups.append(tuple(serving[done : done + size]))
        done += size
    return groups
