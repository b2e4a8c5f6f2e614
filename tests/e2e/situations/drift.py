"""What breaks on the hosts of an installed site: it is named, and repaired or left to whoever did it."""

from platformctl.lab import faults
from platformctl.lab.dirt import drift
from tests.e2e.situations.situation import Place, Result, Situation, When

_SIZE = "Low RealMemory (reported:1 < 100.00% of configured:2)"
_PERSON = "new disk, back on Monday"


def _still_drained(place: Place) -> None:
    found = place.site.host("ctl1", "sinfo", "--noheader", "--nodes=node2", "--format=%T %E").strip()
    assert found.startswith(f"drained {_PERSON}")


SITUATIONS = (
    Situation(
        "the packet rules of a node are flushed",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.flushed(place.lab, "node1"),
        ("node1", "the packet rules of kube-proxy and flannel are gone"),
        quick=True,
    ),
    Situation(
        "slurmd does not run",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.stopped(place.lab, "node2", "slurmd"),
        ("node2", "slurmd is inactive"),
    ),
    Situation(
        "munged does not run",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.stopped(place.lab, "node2", "munge"),
        ("node2", "munge is inactive"),
    ),
    Situation(
        "the registry does not run",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.stopped(place.lab, "ctl1", "docker-registry"),
        ("ctl1", "docker-registry is inactive"),
    ),
    Situation(
        "users may not read the command for container images",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.closed(place.lab, "node2", "/usr/local/lib/platform-run-image"),
        ("node2", "cannot run platform-run-image"),
    ),
    Situation(
        "Slurm drained a node for its size, and accepts it now",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: drift.drained(place.lab, "ctl1", "node2", _SIZE),
        ("node2 out of service for its size",),
    ),
    Situation(
        "a person drained a node",
        When.INSTALLED,
        Result.NAMED,
        lambda place: drift.drained(place.lab, "ctl1", "node2", _PERSON),
        ("drained",),
        command=("status",),
        code=0,
        kept=_still_drained,
    ),
    Situation(
        "the pods of two nodes do not reach each other",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: faults.parted_pods(place.lab, "node1", "ctl1"),
        ("pods do not reach those of",),
        command=("status",),
        code=1,
    ),
    Situation(
        "CoreDNS asks itself for names",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: drift.looping_names(place.lab, "ctl1"),
        ("coredns",),
        command=("verify",),
        code=1,
    ),
    Situation(
        "a node loses power",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: faults.killed(place.lab, "node1"),
        ("node1", "no answer"),
        command=("status",),
        code=1,
    ),
)
