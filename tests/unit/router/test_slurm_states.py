"""Records of Slurm in the shapes that the dialects give them."""

from typing import Any

import pytest

from platformctl.clients.slurmrestd import number, state_name
from platformctl.router import slurm_states
from platformctl.router.backend import Phase

TOKEN = "kf:lab:11924ac8-3932-46d6-ad0c-b5501999851a:1"


def record(state: Any, **fields: Any) -> dict[str, Any]:
    return {
        "job_id": 7,
        "job_state": state,
        "comment": TOKEN,
        "standard_output": "/home/a/x-%j.out",
        **fields,
    }


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (["PENDING"], Phase.QUEUED),
        ("PENDING", Phase.QUEUED),
        (["RUNNING"], Phase.RUNNING),
        (["COMPLETED", "COMPLETING"], Phase.SUCCEEDED),
        (["TIMEOUT"], Phase.FAILED),
        (["CANCELLED"], Phase.CANCELLED),
        (["SOMETHING_NEW"], Phase.QUEUED),
        ([], Phase.QUEUED),
        (None, Phase.QUEUED),
    ],
)
def test_phases(state: Any, phase: Phase) -> None:
    assert slurm_states.seen(record(state)).phase is phase


def test_only_a_pending_job_is_held() -> None:
    assert slurm_states.seen(record(["PENDING"], hold=True)).held
    assert not slurm_states.seen(record(["CANCELLED"], hold=True)).held


def test_reasons_in_plain_words() -> None:
    assert (
        slurm_states.seen(record(["PENDING"], state_reason="Resources")).reason == "waits for free resources"
    )
    assert slurm_states.seen(record(["PENDING"], state_reason="None")).reason == ""
    assert slurm_states.seen(record(["PENDING"], state_reason="QOSUsageThreshold")).reason == (
        "waits: QOSUsageThreshold"
    )
    assert slurm_states.seen(record(["OUT_OF_MEMORY"])).reason == "used more memory than it asked for"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"return_code": {"set": True, "number": 3}, "signal": {"id": {"set": False, "number": 0}}}, 3),
        ({"return_code": {"set": True, "number": 0}, "signal": {"id": {"set": True, "number": 9}}}, 137),
        ({"return_code": {"set": True, "number": 0}}, 0),
        (None, None),
        (0, None),
    ],
)
def test_exit_codes(value: Any, code: int | None) -> None:
    assert slurm_states.exit_code(value) == code


def test_numbers_and_states_of_all_dialects() -> None:
    assert number(5) == 5
    assert number({"set": True, "infinite": False, "number": 5}) == 5
    assert number({"set": True, "infinite": True, "number": 0}) is None
    assert number({"set": False, "number": 0}) is None
    assert number(None) is None
    assert state_name(["RUNNING", "COMPLETING"]) == "RUNNING"


def test_a_row_of_accounting_counts_once_it_tells_an_end() -> None:
    row = {"comment": {"job": TOKEN}, "time": {"start": 5, "end": 9}, "exit_code": {"return_code": 2}}
    assert slurm_states.accounted({**row, "state": {"current": ["RUNNING"]}}) is None
    seen = slurm_states.accounted({**row, "state": {"current": ["FAILED"]}})
    assert seen is not None
    assert (seen.phase, seen.exit_code, seen.started, seen.ended) == (Phase.FAILED, 2, 5, 9)
    assert str(slurm_states.comment_token(row)) == TOKEN
