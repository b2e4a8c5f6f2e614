"""Public workflows run the Makefile's targets, for a change those of `.ci/run`; labs take another source."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.artifacts.lock import lock_path, read_lock

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
# Parts of `make test` that answer sooner by themselves.
QUICK = {"lint", "unit"}


def made(text: str) -> set[str]:
    """Targets that a script makes."""
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", text))


def scripts(steps: list[dict[str, Any]]) -> str:
    """What the steps of a job run."""
    return "\n".join(step.get("run", "") for step in steps)


def jobs(name: str) -> dict[str, dict[str, Any]]:
    """The jobs of a workflow."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text())["jobs"]
    return found


def targets_of(name: str, event: str) -> set[str]:
    """Targets that a workflow makes for an event."""
    wanted = [
        job for job in jobs(name).values() if job.get("if") in {None, f"github.event_name == '{event}'"}
    ]
    return set().union(*(made(scripts(job["steps"])) for job in wanted))


def test_every_target_that_is_named_exists() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    names = [path.stem for path in GITHUB.glob("workflows/*.yml")]
    action = yaml.safe_load((GITHUB / "actions/prepare/action.yml").read_text())
    steps = {name: scripts([step for job in jobs(name).values() for step in job["steps"]]) for name in names}
    named = {name: made(run) for name, run in {**steps, "prepare": scripts(action["runs"]["steps"])}.items()}
    assert all(named.values()), "a file without a target would make this test idle"
    assert {name: found - known for name, found in named.items() if found - known} == {}


def test_a_change_passes_what_it_passes_here() -> None:
    here = made((ROOT / ".ci/run").read_text())
    assert here
    assert targets_of("ci", "pull_request") == QUICK | here
    assert targets_of("ci", "push") == QUICK | here | {"molecule"}


def test_the_whole_is_run_every_night() -> None:
    assert targets_of("nightly", "schedule") == {"molecule", "bench"}


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_no_job_runs_for_ever_or_keeps_credentials(name: str) -> None:
    for job in jobs(name).values():
        assert job["timeout-minutes"] <= 180
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"]["persist-credentials"] is False


def test_a_lab_takes_its_artefacts_from_elsewhere_with_pins(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(ROOT / "inventories/lab", lab, ignore=shutil.ignore_patterns("secrets.vault"))
    values = lab / "group_vars/all/artifacts.yml"
    values.write_text("artifacts_source: upstream\n")
    # Not those of the make that runs this test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # `modules` can be pinned without downloads. Setting up is done: it is no part of what is tested.
    command = ["make", "--old-file=setup", "source", f"LAB={lab}"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "SOURCE=upstream" in refused.stderr
    subprocess.run([*command, "SOURCE=modules"], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert yaml.safe_load(values.read_text()) == {"artifacts_source": "modules"}
    pinned = read_lock(lock_path(lab))
    assert pinned is not None
    assert pinned.source == "modules"
    assert pinned.pins
