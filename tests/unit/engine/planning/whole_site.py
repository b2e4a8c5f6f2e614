"""A site on which the real table of stages is applied, and what an edit of it does."""

from typing import Any

from platformctl import paths
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import digest, impact, plan
from platformctl.engine.planning.impact import Impact
from platformctl.engine.planning.plan import Plan, RunSelection
from platformctl.engine.planning.record import Records
from platformctl.engine.planning.work import Work
from platformctl.engine.stages import STAGES
from tests.unit.engine.sites import make_fleet

SITE = {
    "ctl1": ("kubernetes_control_plane", "containerd", "munge", "slurm_controller"),
    "k1": ("kubernetes_node", "containerd"),
    "n1": ("slurm_node", "munge"),
    "n2": ("slurm_node", "munge"),
    "s1": ("kubernetes_node", "containerd", "slurm_node", "munge"),
}
VARIABLES: dict[str, Any] = {
    "site_domain": "old.example",
    "slurm_partitions": [{"name": "main"}, {"name": "fast", "nodes": ["n1", "n2"]}],
}
OWN: dict[str, dict[str, Any]] = {
    "s1": {
        "node_owner": "shared",
        "node_slurm_cpus": "0-1",
        "node_slurm_memory_mib": 4096,
        "node_devices": [
            {"kind": "other", "name": "fpga", "files": ["/dev/fpga[0-1]"], "owner": "kubernetes"}
        ],
    }
}


def site_records(fleet: Fleet) -> Records:
    """Records of a site on which the real table is applied."""
    records = Records({name: {} for name in fleet.hosts})
    for stage in STAGES:
        present = digest.StageDigest(stage, fleet, paths.data_dir(), {})
        for host in stage.targets(fleet):
            if keeper := stage.recorded_on(fleet, host):
                records.stages[keeper][stage.name] = {"parts": present.parts(host)}
    return records


def edited(
    variables: dict[str, Any] | None = None,
    hosts: dict[str, tuple[str, ...]] | None = None,
    own: dict[str, dict[str, Any]] | None = None,
    away: dict[str, frozenset[str]] | None = None,
    earlier: dict[str, dict[str, Any]] | None = None,
) -> tuple[Plan, Fleet]:
    """The plan after an edit of the site, and the site then. earlier: variables of hosts before it."""
    fleet = make_fleet(hosts or SITE, VARIABLES | (variables or {}), OWN | (own or {}))
    selection = RunSelection(frozenset(fleet.hosts), frozenset(stage.name for stage in STAGES))
    records = site_records(make_fleet(SITE, VARIABLES, OWN | (earlier or {})))
    records.away = away or {}
    return plan.make(STAGES, fleet, records, selection, paths.data_dir(), {}), fleet


def impacts(work: Work, *edit: Any, **further: Any) -> tuple[Impact, ...]:
    """What an edit does to what runs."""
    found, fleet = edited(*edit, **further)
    return impact.impacts(STAGES, found, work, fleet)
