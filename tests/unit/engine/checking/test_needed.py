"""Services are asked before the first change: which ones, and what is said if one is away."""

import pytest

from platformctl.engine import graph, remote
from platformctl.engine.checking import needed
from platformctl.engine.fleet import Connection
from platformctl.engine.planning.plan import Plan, Step
from platformctl.engine.planning.record import Records
from platformctl.engine.remote import Reply
from platformctl.engine.stages import STAGES
from platformctl.errors import ExitCode
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet(
    {"c1": ("slurm_controller", "slurm_accounting", "registry"), "c2": ("slurm_controller",), "n1": ()}
)
APPLIED = {stage.name: {"parts": {"x": "y"}} for stage in STAGES}
TABLE = graph.ordered(STAGES)


def plan(*stages: str) -> Plan:
    return Plan(tuple(Step(stage, "n1", ("variable x changed",), fresh=False) for stage in stages), {})


def records(*without: str) -> Records:
    applied = {name: entry for name, entry in APPLIED.items() if name not in without}
    return Records({"c1": applied, "c2": applied, "n1": {}})


def test_what_planned_stages_need_and_the_plan_does_not_run_is_asked() -> None:
    asked = needed.needed(TABLE, plan("base", "slurm_controller"), records())
    assert "slurm_accounting" in asked
    assert "slurm_controller" not in asked
    assert "slurm_accounting" not in needed.needed(
        TABLE, plan("slurm_accounting", "slurm_controller"), records()
    )
    # A first installation has nothing to ask.
    assert needed.needed(TABLE, plan("slurm_controller"), Records({"c1": {}})) == []
    assert "slurm_accounting" not in needed.needed(
        TABLE, plan("slurm_controller"), records("slurm_accounting")
    )
    assert needed.needed(TABLE, plan(), records()) == []


def test_every_question_is_about_a_stage_of_the_table() -> None:
    names = {stage.name for stage in STAGES}
    assert set(needed.QUESTIONS) <= names
    assert {question.stage for question in needed.QUESTIONS.values()} <= names


@pytest.mark.parametrize(("fine", "away"), [((), True), (("192.0.2.12",), False)])
async def test_one_host_that_answers_is_enough(
    monkeypatch: pytest.MonkeyPatch, fine: tuple[str, ...], away: bool
) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return Reply(0 if connection.address in fine else 1, "", "sacctmgr: error: Connection refused")

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(needed, "_PAUSES", (0, 0))
    found = await needed.away(FLEET, ["slurm_accounting"], records())
    assert bool(found) is away
    if found:
        error = needed.refusal(FLEET, found)
        assert error.code is ExitCode.FAILED
        assert error.what.startswith("slurmdbd must answer")
        assert "--stage slurm_accounting" in error.next
        assert "Connection refused" in error.details[0]
