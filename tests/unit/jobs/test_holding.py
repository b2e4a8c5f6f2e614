"""What live Jobs hold."""

from typing import Any

import pytest

from platformctl.jobs.holding import Held, amounts, cores, held, totals


def job(spec: dict[str, Any], user: str = "alice", **status: Any) -> dict[str, Any]:
    metadata = {"name": "x", "annotations": {"kfoundry.io/submitter": user}}
    shown = {"phase": "Running", "backend": "slurm", "user": user, **status}
    return {"metadata": metadata, "spec": {"script": "#!/bin/sh\n", **spec}, "status": shown}


def asking(cpu: str, gpus: int = 0) -> dict[str, Any]:
    return {"resources": {"cpu": cpu} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})}


@pytest.mark.parametrize(
    ("spec", "tasks", "expected"),
    [
        ({}, {}, Held(1000)),
        (asking("2", 1), {}, Held(2000, 1)),
        (asking("2", 1) | {"tasks": 3}, {}, Held(6000, 3)),
        (asking("1") | {"nodes": 2}, {}, Held(2000)),
        (asking("1") | {"nodes": 2, "tasksPerNode": 4}, {}, Held(8000)),
        (asking("1") | {"tasks": 3, "nodes": 2, "tasksPerNode": 4}, {}, Held(3000)),
        (asking("1") | {"array": "0-9"}, {"running": 4}, Held(4000)),
        (asking("1", 1) | {"array": "0-9", "tasks": 2}, {"running": 4}, Held(8000, 8)),
        (asking("1") | {"array": "0-9"}, {}, Held(0)),
        (asking("1") | {"tasks": 5}, {"running": 3}, Held(3000)),
        (asking("1") | {"tasks": 5}, {"running": 0}, Held(0)),
    ],
)
def test_what_runs_of_a_job_holds_what_it_asked_for(
    spec: dict[str, Any], tasks: dict[str, int], expected: Held
) -> None:
    assert held(job(spec, tasks=tasks)) == expected


@pytest.mark.parametrize("phase", ["Pending", "Queued", "Succeeded", "Failed", "Cancelled", "Refused"])
def test_what_does_not_run_holds_nothing(phase: str) -> None:
    assert held(job(asking("4", 2), phase=phase)) == Held()


def test_amounts_are_for_people() -> None:
    assert amounts(job(asking("1500m", 1))) == {"cpus": 1.5, "gpus": 1}
    assert (cores(2000), cores(1250), cores(333)) == (2, 1.2, 0.3)


def test_users_are_listed_by_what_they_hold() -> None:
    rows = totals(
        [
            job({}, "dora", phase="Succeeded"),
            job(asking("1"), "carol"),
            job({}, "bob", phase="Queued"),
            job({}, "bob", phase="Pending"),
            job(asking("2", 1), "alice"),
            job(asking("2", 1), "alice", backend="kubernetes"),
            job(asking("1"), "alice"),
            job(asking("500m"), "erin"),
            job(asking("500m"), "erin"),
        ]
    )
    assert [row["user"] for row in rows] == ["alice", "erin", "carol", "bob"]
    assert rows[0] == {
        **{"user": "alice", "running": 3, "slurm": 2, "kubernetes": 1, "queued": 0, "pending": 0},
        **{"cpus": 5, "gpus": 2},
    }
    assert (rows[3]["queued"], rows[3]["pending"], rows[3]["cpus"]) == (1, 1, 0)
