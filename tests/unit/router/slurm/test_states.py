"""Records of Slurm in the shapes that the dialects give them."""

from typing import Any

import pytest

from platformctl.clients.slurmrestd import number, state_name
from platformctl.jobs.tokens import parse_token
from platformctl.router.backend import Claim, Seen, Tasks, Usage
from platformctl.router.slurm import states as slurm_states
from platformctl.vocabulary import Phase

TOKEN = "kf:lab:11924ac8-3932-46d6-ad0c-b5501999851a:1"


def record(state: Any, **fields: Any) -> dict[str, Any]:
    return {
        "job_id": 7,
        "job_state": state,
        "comment": TOKEN,
        "standard_output": "/home/a/x-%j.out",
        **fields,
    }


def seen(one: dict[str, Any]) -> Seen:
    return slurm_states.seen(slurm_states.run_of(one))


def array(*records: dict[str, Any]) -> Seen:
    return slurm_states.seen_array([slurm_states.run_of(one) for one in records])


def element(index: int, state: str, code: int = 0, **fields: Any) -> dict[str, Any]:
    start, end = fields.pop("times", (100, 160))
    return record(
        [state],
        array_job_id=7,
        array_task_id={"set": True, "number": index},
        exit_code={"return_code": {"set": True, "number": code}},
        start_time=start,
        end_time=end,
        tres_alloc_str="cpu=2,mem=100M,node=1,gres/gpu=1",
        nodes="n1",
        **fields,
    )


def waiting(indices: str, **fields: Any) -> dict[str, Any]:
    unset = {"set": False, "number": 0}
    return record(["PENDING"], array_job_id=7, array_task_id=unset, array_task_string=indices, **fields)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (["PENDING"], Phase.QUEUED),
        ("PENDING", Phase.QUEUED),
        ("RUNNING", Phase.RUNNING),
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
    assert seen(record(state)).phase is phase


def test_only_a_pending_job_is_held() -> None:
    assert seen(record(["PENDING"], hold=True)).held
    assert not seen(record(["CANCELLED"], hold=True)).held


def test_reasons_in_plain_words() -> None:
    assert seen(record(["PENDING"], state_reason="Resources")).reason == "waits for free resources"
    assert seen(record(["PENDING"], state_reason="None")).reason == ""
    assert seen(record(["OUT_OF_MEMORY"])).reason == "used more memory than it asked for"
    assert seen(record(["PENDING", "REQUEUE_HOLD"], state_reason="JobHeldUser")).reason == (
        "is held after it was requeued"
    )


@pytest.mark.parametrize(
    ("state", "again"),
    [
        (["NODE_FAIL"], True),
        (["PREEMPTED"], True),
        (["BOOT_FAIL"], True),
        (["FAILED", "LAUNCH_FAILED"], True),
        (["FAILED"], False),
        (["TIMEOUT"], False),
        (["COMPLETED"], False),
        (["CANCELLED"], False),
    ],
)
def test_what_another_attempt_may_mend(state: list[str], again: bool) -> None:
    assert seen(record(state)).again is again


def test_a_held_job_of_an_old_slurm_has_priority_zero() -> None:
    assert seen(record("PENDING", priority=0)).held
    assert not seen(record("PENDING", priority=5)).held


def test_the_estimated_start_is_of_a_job_that_waits() -> None:
    soon = {"set": True, "number": 1795382141}
    assert seen(record(["PENDING"], start_time=soon)).estimated_start == 1795382141
    assert seen(record(["PENDING"], start_time=soon, hold=True)).estimated_start is None
    assert seen(record(["RUNNING"], start_time=soon)).estimated_start is None


@pytest.mark.parametrize(
    ("fields", "gpus"),
    [
        ({"tres_alloc_str": "cpu=4,mem=400M,node=2,gres/gpu=2,gres/gpu:a100=2"}, 2),
        ({"tres_alloc_str": "cpu=4,node=2", "tres_per_node": "gres/gpu:a100:1", "node_count": 2}, 2),
        ({"tres_alloc_str": "cpu=4,node=2"}, 0),
    ],
)
def test_usage_is_what_was_held_times_the_seconds(fields: dict[str, Any], gpus: int) -> None:
    ended = record(["COMPLETED"], start_time=100, end_time=160, **fields)
    assert seen(ended).usage == Usage(4 * 60, gpus * 60)


def test_a_job_that_never_ran_used_nothing() -> None:
    cancelled = record(["CANCELLED"], start_time=900, end_time=160, tres_alloc_str="")
    assert seen(cancelled).usage == Usage(0, 0)
    assert seen(record(["RUNNING"], tres_alloc_str="cpu=4")).usage is None


def test_an_array_that_waits() -> None:
    found = array(waiting("0-5%2", hold=True, standard_output="/home/a/x-7_4294967294.out"))
    assert (found.phase, found.held, found.tasks) == (Phase.QUEUED, True, Tasks(waiting=6))
    assert found.output == "/home/a/x-7_%a.out"
    assert array(waiting("0-5", standard_output="/home/a/x-%A_%a.out")).output == "/home/a/x-7_%a.out"
    assert slurm_states.run_of(waiting("0-1..."), (0, 1, 2)).indices == (0, 1, 2)


def test_an_array_runs_while_any_element_is_not_ended() -> None:
    found = array(
        waiting("4-5%2", state_reason="JobArrayTaskLimit"), element(0, "RUNNING"), element(1, "FAILED", 3)
    )
    assert (found.phase, found.held, found.started, found.ended) == (Phase.RUNNING, False, 100, None)
    assert found.tasks == Tasks(waiting=2, running=1, failed=1, exit_codes=((1, 3),))
    assert found.reason == "2 of 4 elements wait: as many elements of its array run as it allows at once"
    assert array(waiting("1"), element(0, "COMPLETED")).phase is Phase.RUNNING


def test_an_array_has_ended_when_all_its_elements_have() -> None:
    found = array(element(0, "COMPLETED"), element(2, "FAILED", 3, times=(110, 200)), element(9, "TIMEOUT"))
    assert (found.phase, found.exit_code, found.started, found.ended) == (Phase.FAILED, 3, 100, 200)
    assert found.reason == "2 of 3 elements failed: ended with an error"
    assert found.tasks == Tasks(succeeded=1, failed=2, exit_codes=((2, 3),))
    assert found.usage == Usage(2 * (60 + 90 + 60), 60 + 90 + 60)
    assert found.overran
    done = array(element(0, "COMPLETED"), element(1, "COMPLETED"))
    assert (done.phase, done.exit_code) == (Phase.SUCCEEDED, 0)
    gone = array(element(0, "COMPLETED"), {**waiting("1-3"), "job_state": ["CANCELLED"]})
    assert (gone.phase, gone.tasks) == (Phase.CANCELLED, Tasks(succeeded=1, failed=3))


def test_where_elements_write_is_one_pattern() -> None:
    found = array(element(1, "RUNNING", standard_output="/home/a/x1-7_1.out"))
    assert found.output == "/home/a/x1-7_%a.out"


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0-5%2", (0, 1, 2, 3, 4, 5)),
        ("1,3,7", (1, 3, 7)),
        ("0-20:5", (0, 5, 10, 15, 20)),
        ("[4-5]", (4, 5)),
        ("1,3,40,5...", (1, 3, 40)),
        ("", ()),
    ],
)
def test_indices_as_slurm_writes_them(text: str, indices: tuple[int, ...]) -> None:
    assert slurm_states.parse_indices(text) == indices


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"return_code": {"set": True, "number": 3}, "signal": {"id": {"set": False, "number": 0}}}, 3),
        ({"return_code": {"set": True, "number": 0}, "signal": {"id": {"set": True, "number": 9}}}, 137),
        ({"return_code": {"set": True, "number": 0}}, 0),
        ({"return_code": {"set": True, "number": 0}, "signal": {"signal_id": 9}}, 137),
        (None, None),
        (0, 0),
        (256, 1),
        (9, 137),
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


def test_a_row_of_accounting_tells_the_end() -> None:
    row = {
        "comment": {"job": TOKEN},
        "time": {"start": 5, "end": 9},
        "exit_code": {"return_code": 2},
        "state": {"current": ["FAILED"]},
        "nodes": "n1",
        "array": {"job_id": 0, "task_id": {"set": False}},
        "tres": {
            "allocated": [
                {"type": "cpu", "name": "", "count": 4},
                {"type": "gres", "name": "gpu", "count": 1},
            ]
        },
    }
    found = slurm_states.seen(slurm_states.accounted_run(row))
    assert (found.phase, found.exit_code, found.started, found.ended) == (Phase.FAILED, 2, 5, 9)
    assert found.usage == Usage(16, 4)
    assert str(slurm_states.comment_token(row)) == TOKEN
    assert found.output == ""
    one = {
        **row,
        "array": {"job_id": 7, "task_id": {"set": True, "number": 3}},
        "stdout": "/home/a/x-%A_%a.out",
    }
    assert slurm_states.accounted_run(one).indices == (3,)
    assert slurm_states.accounted_run(one).output == "/home/a/x-7_%a.out"
    never = {**row, "state": {"current": ["CANCELLED"]}, "array": {"job_id": 7, "task": "4-5%2"}, "tres": {}}
    assert slurm_states.accounted_run(never).indices == (4, 5)


def test_the_runners_own_exit_code_means_that_it_had_no_image() -> None:
    assert "image could not be fetched or unpacked" in array(element(0, "FAILED", 125)).reason
    assert "image" not in array(element(0, "FAILED", 1)).reason


def test_the_code_of_a_failed_copy_says_so() -> None:
    assert "files could not be copied" in array(element(0, "FAILED", 74)).reason
    assert "copied" not in array(element(0, "FAILED", 1)).reason


def test_a_job_says_where_it_runs_and_writes() -> None:
    running = record(["RUNNING"], nodes="n[1-2]", start_time=100, end_time=900, exit_code=0)
    found = seen(running)
    assert (found.nodes, found.output) == ("n[1-2]", "/home/a/x-7.out")
    assert (found.started, found.ended, found.exit_code) == (100, None, None)


def test_a_job_that_was_put_back_into_the_queue_has_nothing_of_its_last_run() -> None:
    held = {"tres_alloc_str": "cpu=4,gres/gpu=1"}
    again = record(["PENDING"], nodes="n1", start_time=100, end_time=160, exit_code=256, **held)
    found = slurm_states.run_of(again)
    assert (found.nodes, found.started, found.ended, found.code) == ("", None, None, None)
    assert (found.cpus, found.gpus) == (0, 0)
    for nothing in ("node=1", ""):
        ended = record(["COMPLETED"], start_time=100, end_time=160, tres_alloc_str=nothing)
        assert seen(ended).usage == Usage(0, 0)


def test_other_states_that_people_ask_about() -> None:
    assert seen(record(["SUSPENDED"])).reason == "is suspended"
    assert seen(record(["PENDING", "SPECIAL_EXIT"])).reason == "is held after it was requeued"
    assert seen(record(["RUNNING"])).reason == ""
    assert seen(record(["COMPLETED"])).reason == ""
    assert seen(record(["TIMEOUT"])).overran
    assert not seen(record(["FAILED"])).overran


@pytest.mark.parametrize(
    ("fields", "mine"),
    [
        ({"user_name": "alice"}, True),
        ({"user": "alice"}, True),
        ({}, True),
        ({"user_name": "mallory"}, False),
        ({"user": "mallory"}, False),
        ({"user_name": "alice", "comment": TOKEN + "1"}, False),
        ({"user_name": "alice", "comment": TOKEN + ":0a1b2c3d"}, False),
        ({"user_name": "alice", "comment": ""}, False),
        ({"user_name": "alice", "comment": {"job": TOKEN}}, True),
        ({"user": "mallory", "comment": {"job": TOKEN}}, False),
    ],
)
def test_a_token_in_the_comment_of_somebody_elses_job_proves_nothing(
    fields: dict[str, Any], mine: bool
) -> None:
    token = parse_token(TOKEN)
    assert token is not None
    claim = Claim(token, "default", "x", "alice")
    assert slurm_states.carries(record(["RUNNING"], **fields), claim) is mine


def test_an_array_says_on_which_nodes_it_runs_and_when_the_rest_starts() -> None:
    later = waiting("4-5", start_time=900)
    found = array(
        later, element(0, "RUNNING"), {**element(1, "RUNNING"), "nodes": "n2"}, element(2, "RUNNING")
    )
    assert (found.nodes, found.estimated_start) == ("n1,n2", 900)
    assert array(waiting("4-5", start_time=900, hold=True), element(0, "RUNNING")).estimated_start is None
    assert not array(waiting("4-5", hold=True), element(0, "RUNNING")).held
    assert not array(waiting("4-5")).held
    assert array(waiting("4-5")).output == "/home/a/x-7.out"
    assert found.usage is None


def test_an_array_on_many_nodes_names_whole_nodes() -> None:
    records = [{**element(number, "RUNNING"), "nodes": f"node{number:04}"} for number in range(60)]
    names = array(*records).nodes
    assert len(names) <= 204
    assert names.endswith(",node0021,...")
    assert array(*records[:22]).nodes.endswith(",node0021")


@pytest.mark.parametrize(
    ("states", "again"),
    [
        (["COMPLETED", "NODE_FAIL"], True),
        (["NODE_FAIL", "FAILED"], False),
        (["COMPLETED"], False),
        (["NODE_FAIL", "PREEMPTED"], True),
    ],
)
def test_an_array_is_worth_another_attempt_when_nothing_in_it_failed_by_itself(
    states: list[str], again: bool
) -> None:
    assert array(*(element(number, state) for number, state in enumerate(states))).again is again


def test_why_an_array_waits() -> None:
    assert array(waiting("0-5", state_reason="Resources")).reason == "waits for free resources"
    assert array(element(0, "COMPLETED")).reason == ""
    assert array(element(0, "CANCELLED")).reason == "was cancelled"
    assert array(element(0, "RUNNING"), waiting("1-2")).reason == ""


def test_the_codes_of_a_thousand_failed_elements_have_an_end() -> None:
    found = array(*(element(number, "FAILED", 3) for number in range(150)))
    assert found.tasks is not None
    assert (found.tasks.failed, len(found.tasks.exit_codes)) == (150, 100)


@pytest.mark.parametrize(
    ("fields", "gpus"),
    [
        ({"tasks": 3, "tres_per_task": "gres/gpu:2"}, 6),
        ({"tres_per_node": "gres:gpu:a100:2,gres:nvme:5"}, 2),
        ({"tres_per_node": "gres/gpu:1", "tres_per_task": "gres/gpu:1", "tasks": 2}, 3),
        ({"tres_per_task": "gres/gpu:2"}, 2),
    ],
)
def test_gpus_that_slurm_does_not_account_are_those_asked_for(fields: dict[str, Any], gpus: int) -> None:
    ended = record(["COMPLETED"], start_time=100, end_time=101, tres_alloc_str="cpu=4", **fields)
    assert seen(ended).usage == Usage(4, gpus)


def test_accounting_names_the_end_the_node_and_the_file() -> None:
    row = {
        "job_id": 9,
        "state": {"current": ["OUT_OF_MEMORY"]},
        "nodes": "n1",
        "stdout_expanded": "/home/a/x-9.out",
        "exit_code": {"return_code": 125},
        "tres": {"allocated": [{"type": "gres", "name": "nvme", "count": 1}, {"type": "cpu"}]},
        "time": {"start": 5, "end": 9},
    }
    found = slurm_states.seen(slurm_states.accounted_run(row))
    assert (found.reason, found.nodes) == ("used more memory than it asked for", "n1")
    assert (found.output, found.usage) == ("/home/a/x-9.out", Usage(0, 0))
    failed = slurm_states.accounted_run({**row, "state": {"current": ["FAILED"]}, "nodes": "None assigned"})
    assert "image could not be fetched or unpacked" in failed.reason
    assert failed.nodes == ""
    assert slurm_states.accounted_run({**row, "tres": {}}).usage == Usage(0, 0)
    runs = slurm_states.accounted_run({**row, "state": {"current": ["RUNNING"]}})
    assert (runs.code, runs.reason) == (None, "")
    element = {**row, "array": {"job_id": 7, "task_id": 1}, "stdout": "/home/a/x-%j.out"}
    assert slurm_states.accounted_run(element).output == "/home/a/x-9.out"


@pytest.mark.parametrize("state", ["CANCELLED", "DEADLINE", "BOOT_FAIL"])
def test_what_ended_before_its_start_has_no_exit_code(state: str) -> None:
    zero = {"return_code": {"set": True, "number": 0}}
    times = {"start_time": 160, "end_time": 160}
    never = seen(record([state], nodes="", exit_code=zero, **times))
    assert (never.exit_code, never.started, never.ended) == (None, None, 160)
    # Of one that was cancelled while it ran Slurm says 0 as well.
    known = None if state == "CANCELLED" else 0
    began = seen(record([state], nodes="n1", exit_code=zero, **times))
    assert (began.exit_code, began.started) == (known, 160)
    row = {"state": {"current": [state]}, "time": {"start": 160, "end": 160}, "exit_code": zero}
    for nodes, code, started in (("None assigned", None, None), ("", None, None), ("n1", known, 160)):
        run = slurm_states.accounted_run({**row, "nodes": nodes})
        assert (run.code, run.started) == (code, started)


def test_a_component_of_a_heterogeneous_job_belongs_to_the_first_one() -> None:
    assert slurm_states.whole_id(record(["RUNNING"])) == 7
    unset = {"set": True, "number": 0}
    assert slurm_states.whole_id(record(["RUNNING"], het_job_id=unset)) == 7
    assert slurm_states.whole_id(record(["PENDING"], het_job_id={"set": True, "number": 6})) == 6
    assert slurm_states.whole_id(waiting("0-1")) == 7


def test_a_heterogeneous_job_holds_what_all_its_components_hold() -> None:
    ended = {"start_time": 100, "end_time": 160, "het_job_id": {"set": True, "number": 7}}
    first = record(["COMPLETED"], nodes="n1", tres_alloc_str="cpu=1", **ended)
    second = record(["COMPLETED"], nodes="n[2-3]", tres_alloc_str="cpu=4,gres/gpu=1", **ended) | {"job_id": 8}
    runs = [slurm_states.run_of(one) for one in (first, second)]
    found = slurm_states.seen_components(runs)
    assert (found.phase, found.nodes, found.usage) == (Phase.SUCCEEDED, "n1,n[2-3]", Usage(300, 60))
    assert slurm_states.seen_components(runs[:1]) == slurm_states.seen(runs[0])


def test_a_heterogeneous_job_is_held_while_one_of_its_components_is() -> None:
    runs = [slurm_states.run_of(record(["PENDING"], hold=held)) for held in (False, True)]
    assert slurm_states.seen_components(runs).held
    assert not slurm_states.seen_components([runs[0], runs[0]]).held
