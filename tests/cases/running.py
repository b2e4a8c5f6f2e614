"""Runs the scripts that are accepted both ways on a lab, by sbatch and as Jobs, and counts which differ."""

import tempfile
from pathlib import Path
from typing import Any

from platformctl.jobs.sbatch import Imported, convert
from tests.both_ways import Script, differences, run_both
from tests.both_ways.larger import larger
from tests.both_ways.wanted import Wanted, why_not
from tests.cases import scripts
from tests.cases.case import Case, share
from tests.e2e.conftest import Site
from tests.labs import inventory


def table(folder: Path | None, lab: str) -> str:
    """How many of the scripts run as under sbatch, what differs, and what a lab cannot run."""
    wanted, tried, left_out = Wanted(), list[Script](), list[str]()
    for name, text in scripts.of(folder / scripts.KIND if folder else None):
        spec = _spec(name, text)
        if spec is None:
            continue
        why = why_not(spec)
        if why:
            left_out.append(f"  {name}: {why}")
            continue
        wanted.add(spec)
        tried.append(Script(name, text, file=name, whole="exclusive" in (spec.get("slurm") or {})))
    cases = _compared(lab, wanted, tried)
    return "\n".join(
        [
            f"sbatch on a lab that has what they name: run as under sbatch {share(cases)}",
            *(f"  {case.file}: {reason}" for case in cases for reason in case.reasons),
            f"not tried: {len(left_out)}",
            *left_out,
        ]
    )


def _spec(name: str, text: str) -> dict[str, Any] | None:
    """The Job's spec; None for a script that is not accepted."""
    found = convert(text, name, caller=scripts.CALLER)
    return found.job["spec"] if isinstance(found, Imported) else None


def _compared(lab: str, wanted: Wanted, tried: list[Script]) -> list[Case]:
    place = inventory(lab)
    site = Site(lab, place, place.parent)
    with tempfile.TemporaryDirectory() as folder, larger(site, wanted):
        kubeconfig = Path(folder, "kubeconfig")
        site.run("kubeconfig", "--user", "alice", "--file", str(kubeconfig))
        ran = run_both(site, tried, kubeconfig, seconds=1800)
    return [
        Case(scripts.KIND, script.name, "slurm", tuple(differences(*ran[script.name], ordered=False)))
        for script in tried
    ]
