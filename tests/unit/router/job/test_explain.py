"""Why a Job waits, as its status answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Explanation, Ticket, Unavailable
from platformctl.router.job.explain import PAUSE, Line, asked, explain, pause
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import EXPLAIN_REQUESTED

NOW = "2026-11-22T21:00:00Z"
UID = "11924ac8-3932-46d6-ad0c-b5501999851a"
TICKET = Ticket(
    Claim(Token("lab", UID, 1), "default", "x", "alice"),
    JobSpec(script="#!/bin/sh\n"),
    User("alice", 10001, 10001, (), None, "/home/alice"),
)


NOBODY = Line({}, {}, 1.0)


class Backend:
    """A back end that explains, or is away."""

    def __init__(self, answer: Explanation | None) -> None:
        self.answer = answer

    async def explain(self, _ticket: Ticket, job_id: str) -> Explanation:
        assert job_id == "7"
        if self.answer is None:
            raise Unavailable("Slurm does not answer: slurmctld is away")
        return self.answer


def job(requested: str = NOW, **status: Any) -> JobResource:
    annotations = {EXPLAIN_REQUESTED: requested} if requested else {}
    metadata = {"namespace": "default", "name": "x", "uid": UID, "annotations": annotations}
    return JobResource({"metadata": metadata, "spec": {}, "status": status})


async def sentences(resource: JobResource, answer: Explanation | None = None, **options: Any) -> list[str]:
    backend: Any = Backend(answer)
    found = (await explain(resource, TICKET, backend, **{"line": NOBODY, **options}))["explanation"]
    assert found["requested"] == NOW
    said: list[str] = found["sentences"]
    return said


def test_an_explanation_is_asked_for_until_it_is_given() -> None:
    assert asked(job()) == NOW
    assert asked(job("")) == ""
    assert asked(job(explanation={"requested": NOW})) == ""
    assert asked(job(explanation={"requested": "before"})) == NOW
    assert len(asked(job("x" * 1000))) == 64


def test_not_more_often_than_every_few_seconds() -> None:
    then = datetime(2026, 11, 22, 21, 0, 0, tzinfo=UTC)
    assert pause(job()) == 0
    told = job(explanation={"requested": "before", "time": NOW})
    assert pause(told, then) == PAUSE
    assert pause(told, then + timedelta(seconds=2)) == PAUSE - 2
    assert pause(told, then + timedelta(minutes=2)) == 0


async def test_a_job_that_waits_in_a_back_end_is_explained_by_it() -> None:
    waits = job(phase="Queued", backendId="7", decision="slurm: chosen\nkubernetes: comes after")
    backend: Any = Backend(Explanation(("Slurm: waits.",), ("3", "4"), 1_800_000_000))
    found = (await explain(waits, TICKET, backend, NOBODY, named=lambda job_id: f"job-{job_id}"))[
        "explanation"
    ]
    assert found["sentences"] == ["Slurm: waits.", "Routing: slurm: chosen; kubernetes: comes after."]
    assert found["behind"] == ["job-3", "job-4"]
    assert found["start"] == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ["It is Pending."]),
        (
            {"phase": "Pending", "reason": "waits for the job a to have succeeded"},
            ["It is Pending: waits for the job a to have succeeded."],
        ),
        (
            {"phase": "Refused", "reason": "spec: kubernetes: no node"},
            ["It is Refused: spec: kubernetes: no node."],
        ),
        (
            {"phase": "Failed", "reason": "ended with an error", "exitCode": 3, "backendId": "7"},
            ["It is Failed: ended with an error.", "Its exit code is 3."],
        ),
        ({"phase": "Running", "backendId": "7"}, ["It is Running."]),
    ],
)
async def test_the_status_explains_what_it_knows(status: dict[str, Any], expected: list[str]) -> None:
    assert await sentences(job(**status)) == expected


async def test_a_back_end_that_is_away_is_an_answer() -> None:
    away = {"type": "Reachable", "status": "False"}
    waits = job(phase="Queued", reason="waits", backendId="7", conditions=[away])
    assert await sentences(waits) == [
        "It is Queued: waits.",
        "It continues by itself when the back end answers again; nothing is lost.",
        "Slurm does not answer: slurmctld is away.",
    ]


async def test_an_explanation_stays_short() -> None:
    waits = job(phase="Queued", backendId="7")
    long = Explanation(tuple("x" * 5000 for _ in range(100)), tuple("7" for _ in range(100)))
    said = await sentences(waits, long)
    assert len(said) == 12
    assert {len(sentence) for sentence in said} == {512}


async def test_who_else_waits_is_said_with_the_fair_share() -> None:
    crowd = {"alice": 1300, "bob": 1, "carol": 2, "dave": 2, "erin": 1}
    pending = job(phase="Pending", reason="waits until the user x holds less")
    ahead = await sentences(pending, line=Line(crowd, {}, 0.4321))
    assert (
        ahead[1]
        == "It is behind 1,300 Jobs of alice, 2 of carol, 2 of dave, 2 of others; your fair share is 0.43."
    )
    waits = job(phase="Queued", backendId="7")
    beside = await sentences(waits, Explanation(("Slurm: waits.",)), line=Line({}, {"": 1}, 1.0))
    assert beside == ["Slurm: waits.", "1 Job of yours waits there too; your fair share is 1."]
    slurms = Explanation(("Slurm: waits.",), fair_share=0.5)
    assert "share is 0.5." in (await sentences(waits, slurms, line=Line({}, {"alice": 7}, 1.0)))[1]
    assert await sentences(job(phase="Running", backendId="7"), line=Line(crowd, crowd, 0.4)) == [
        "It is Running."
    ]
