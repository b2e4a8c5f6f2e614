"""What `plan` shows of what it does to running work."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.disturbances import Daemon
from platformctl.engine.planning.impact import Hurt, Impact, Restart
from platformctl.engine.planning.plan import Plan, Step
from platformctl.engine.planning.work import Budget, Job, Pod
from platformctl.engine.running import install
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet

JOB = Hurt(Job("7", "alice", ("main",), "RUNNING", "9:00", ("n1",)), "fails")
POD = Hurt(
    Pod("team", "web", "n1", datetime(2026, 1, 1, tzinfo=UTC), "ReplicaSet web", (Budget("web", 0),)), "ends"
)
RESTART = Restart(Daemon("slurmctld", service="Slurm's queue", seconds=10), True)


def planned(monkeypatch: pytest.MonkeyPatch, *impacts: Impact) -> None:
    steps = (Step("slurm_controller", "n1", ("variable x changed",), fresh=False),)

    async def draft(_: install.Installation) -> install.Draft:
        return install.Draft(Plan(steps, {}), impacts, fetched=True)

    monkeypatch.setattr(install.Installation, "draft", draft)
    monkeypatch.setattr(loading, "load", lambda _: make_fleet({"n1": ()}))


def plan(*options: str) -> str:
    done = CliRunner().invoke(app, [*options, "plan", "-i", "site"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_work_that_is_harmed_is_named_with_what_becomes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, Impact("n1", "slurm_controller", "1 slurm jobs", "x", (RESTART,), (JOB, POD)))
    text = " ".join(plan().split())
    assert "slurmctld restarts: about 10 s without Slurm's queue" in text
    assert "job 7 of alice (partition main, on n1, at most 9:00 left) fails" in text
    assert "pod team/web (on n1, ReplicaSet web, budget web allows 0 evictions now) ends" in text
    assert "install refuses this unless" in text


def test_a_program_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, Impact("n1", "slurm_controller", "1 slurm jobs", "x", (RESTART,), (JOB, POD)))
    (row,) = json.loads(plan("--output", "json"))
    assert (row["host"], row["stage"], row["impact"]) == ("n1", "slurm_controller", "1 slurm jobs: x")
    daemon = {"daemon": "slurmctld", "sure": True, "interrupts": "Slurm's queue", "seconds": 10}
    assert row["restarts"] == [daemon]
    job, pod = row["harms"]
    assert (job["kind"], job["id"], job["user"], job["left"]) == ("job", "7", "alice", "9:00")
    assert (pod["kind"], pod["namespace"], pod["name"]) == ("pod", "team", "web")
    assert pod["budgets"] == [{"name": "web", "allowed": 0}]


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, Impact("n1", "slurm_controller", unknown="Slurm does not say"))
    text = " ".join(plan().split())
    assert "unknown Slurm does not say" in text
    assert json.loads(plan("--output", "json"))[0]["unknown"] == "Slurm does not say"


def test_a_harmless_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, Impact("n1", "slurm_controller", restarts=(RESTART,)))
    assert "no job and no pod is harmed" in plan()


@pytest.mark.parametrize("options", [["--requeue"], ["--deadline", "2h"], ["--timeout", "5"], ["--now"]])
def test_how_nodes_are_drained_needs_the_drain(options: list[str]) -> None:
    done = CliRunner().invoke(app, ["install", "-i", "site", *options])
    assert isinstance(done.exception, PlatformError)
    assert (done.exception.code, done.exception.next) == (ExitCode.INVALID, "give --drain too")


def test_more_work_than_people_read_is_counted_by_its_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        Hurt(Job(str(number), f"user{number % 2}", ("main",), "RUNNING", "9:00", ("n1",)), "fails")
        for number in range(1, 101)
    ]
    planned(monkeypatch, Impact("n1", "slurm_controller", "100 slurm jobs", "x", (RESTART,), (*jobs, POD)))
    text = " ".join(plan().split())
    assert "50 jobs of user0: 2, 4, 6 ... fails" in text
    assert "1 pods in team: web ends" in text
    assert "platformctl -v plan -i " in text
    assert "job 7 of user1" not in text
    assert "job 7 of user1 (partition main, on n1, at most 9:00 left) fails" in " ".join(plan("-v").split())
    assert len(json.loads(plan("--output", "json"))[0]["harms"]) == 101
