"""Which scheduler a host belongs to now, as the host itself says.

A host that is a node of both schedulers and has `node_owner: slurm` or `kubernetes` is installed for both and
runs the daemon of one. The host has a file named like its owner in OWNER; units look for it, so a host that
boots stays its owner's. While a node moves, it has both files, and runs neither daemon.
"""

import re
from collections.abc import Collection, Mapping

from platformctl.engine.fleet import Fleet
from platformctl.site import devices

OWNER = "/var/lib/platformctl/owner"
"""The folder with the file that names the host's owner; a host without it is run by all that is installed."""

_STAGES: Mapping[str, tuple[str, ...]] = {
    "kubernetes": ("kubernetes_node", "kubernetes_network"),
    "slurm": ("slurm_node",),
}

_ANSWER = re.compile(r"^away (.*)\n", re.MULTILINE)

ASK = "; ".join(
    [
        'away=""',
        *(
            f'[ ! -e {OWNER}/{owner} ] || away="$away {" ".join(stages)}"'
            for owner, stages in (("slurm", _STAGES["kubernetes"]), ("kubernetes", _STAGES["slurm"]))
        ),
        '[ -z "$away" ] || echo "away $away"',
    ]
)
"""Shell that prints the stages of the side that is not the host's owner, if any, as `away STAGE ...`.

They are in $away too.
"""

LEAVE_OUT = 'for stage in $away; do applied=$(printf %s "$applied" | sed "s/ $stage / /g"); done'
"""Shell that takes them out of $applied."""


def home(fleet: Fleet, name: str) -> str:
    """The owner that the inventory names for a host that can move; empty for any other host."""
    host = fleet.hosts.get(name)
    if host is None or not devices.moves(devices.on_host(host.variables, host.groups)):
        return ""
    return str(host.variables["node_owner"])


def other(scheduler: str) -> str:
    """The other of the two schedulers."""
    return next(name for name in _STAGES if name != scheduler)


def owner(away: Collection[str], named: str) -> str:
    """The present owner. away: stages that the host says are not in service. named: the inventory's owner."""
    out = [name for name, stages in _STAGES.items() if set(stages) & set(away)]
    if len(out) == len(_STAGES):
        return "moving"
    return other(out[0]) if out else named


def split(answer: str) -> tuple[frozenset[str], str]:
    """The stages that are out of service in what a host answered to ASK, and the rest of the answer."""
    match = _ANSWER.search(answer)
    if match is None:
        return frozenset(), answer
    return frozenset(match[1].split()), answer[: match.start()] + answer[match.end() :]
