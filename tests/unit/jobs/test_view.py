"""What people read about a Job, from the resource alone."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from platformctl.jobs import view

NOON = 1767268800.0
"""2026-01-01 12:00:00 UTC."""


@pytest.fixture(autouse=True)
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in UTC wherever the reader is."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def job(phase: str = "Queued", spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "pi", "namespace": "team"},
        "spec": spec or {},
        "status": {"phase": phase, **status},
    }


def rows(shown: Any, title: str = "") -> dict[str, str]:
    (section,) = [section for section in shown if section.title == title]
    return {row[0]: " ".join(row[1:]) for row in section.rows}


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("2026-01-01T12:05:00Z", "It should start at 2026-01-01 12:05 UTC, in 5m."),
        ("2026-01-01T11:00:00Z", "It should have started at 2026-01-01 11:00 UTC."),
        ("2026-01-01T12:00:00Z", "It should have started at 2026-01-01 12:00 UTC."),
        (None, "Its start cannot be estimated."),
    ],
)
def test_when_a_job_should_start(start: str | None, said: str) -> None:
    assert view.explain(job(estimatedStart=start), None, NOON).endswith(said)


def test_whoever_goes_before_is_named_and_the_rest_counted() -> None:
    others = [
        {"metadata": {"name": f"j{number}"}, "status": {"backendId": str(number), "user": "bob"}}
        for number in range(7)
    ]
    six = {"sentences": ["it waits for a node"], "behind": [str(number) for number in range(6)]}
    five = {**six, "behind": six["behind"][:5]}
    assert "Among those before it: j0 of bob (0), " in view.explain(job(), six, NOON, others)
    assert view.explain(job(), six, NOON, others).endswith("j4 of bob (4) and 1 more.")
    assert view.explain(job(), five, NOON, others).endswith("j4 of bob (4).")
    assert view.explain(job(), {**six, "behind": ["99"]}, NOON, others) == (
        "pi is queued. It waits for a node."
    )


def test_why_this_back_end_is_the_decision_or_what_accepted_the_job() -> None:
    accepted = {"type": "Accepted", "status": "True", "message": "slurm: chosen\nkubernetes: later\n"}
    other = {"type": "Released", "status": "True", "message": "x"}
    assert view.decision(job(conditions=[other, accepted])) == ["slurm: chosen", "kubernetes: later"]
    assert view.decision(job(conditions=[{**accepted, "status": "False"}])) == []
    assert view.decision(job(conditions=[accepted], decision="slurm: asked for")) == ["slurm: asked for"]
    assert view.decision(job()) == []


def test_a_description_tells_times_and_what_is_going_on() -> None:
    running = job("Running", startTime="2026-01-01T11:59:00Z", estimatedStart="2026-01-01T12:30:00Z")
    running["metadata"]["deletionTimestamp"] = "2026-01-01T11:59:30Z"
    found = rows(view.describe(running, NOON))
    assert found["started"] == "2026-01-01 11:59:00 UTC (1m ago)"
    assert found["being deleted since"] == "2026-01-01 11:59:30 UTC (30s ago)"
    assert "should start" not in found
    later = rows(view.describe(job(estimatedStart="2026-01-01T12:30:00Z"), NOON))
    assert later["should start"] == "2026-01-01 12:30:00 UTC (in 30m)"


@pytest.mark.parametrize(("count", "end"), [(20, "19: 1"), (21, "19: 1 and 1 more")])
def test_exit_codes_have_an_end(count: int, end: str) -> None:
    codes = [{"index": index, "code": 1} for index in range(count)]
    (shown,) = [
        row[1]
        for section in view.describe(job("Failed", exitCodes=codes), NOON)
        for row in section.rows
        if row[0] == "exit codes by index"
    ]
    assert shown.endswith(end)


def test_the_fields_of_slurm_are_shown_without_the_values_of_variables() -> None:
    block = {
        "qos": "long",
        "mailType": ["END", "FAIL"],
        "environment": {"SEED": "1"},
        "plugins": {"uenv": "x"},
    }
    spec = {"script": "#!/bin/sh\n", "args": ["a b"], "slurm": {**block, "requeue": True, "components": [{}]}}
    (asked,) = [part for part in view.describe({"spec": spec}, 0) if part.title == "asked for"]
    shown = dict(asked.rows)  # type: ignore[arg-type]
    assert shown["arguments"] == "'a b'"
    assert {name: text for name, text in shown.items() if name.startswith("slurm.")} == {
        "slurm.qos": "long",
        "slurm.mailType": "END, FAIL",
        "slurm.environment": "1 variables",
        "slurm.plugins": "uenv=x",
        "slurm.requeue": "true",
        "slurm.components": "1 further components",
    }
