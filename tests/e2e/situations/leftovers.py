"""What somebody else has left on the hosts."""

from platformctl.lab.dirt import leftovers
from tests.e2e.situations.situation import Result, Situation, When

SITUATIONS = (
    Situation(
        "a worker has the files of another cluster's kubeadm",
        When.BARE,
        Result.REFUSED,
        lambda place: leftovers.kubeadm_leftovers(place.lab, "node1"),
        ("node1", "kubernetes is there"),
        quick=True,
    ),
    Situation(
        "a Slurm host has the configuration of an earlier Slurm",
        When.BARE,
        Result.REFUSED,
        lambda place: leftovers.slurm_leftovers(place.lab, "node2"),
        ("node2", "slurm is there"),
        quick=True,
    ),
    Situation(
        "a host belongs to another site",
        When.BARE,
        Result.REFUSED,
        lambda place: leftovers.other_site(place.lab, "node1", "elsewhere"),
        ("node1", "belongs to site elsewhere"),
        quick=True,
    ),
)
