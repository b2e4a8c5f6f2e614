import pytest

from platformctl.engine.running import session
from platformctl.engine.running.outcome import HostResult, Status
from platformctl.engine.running.session import _Collected


def collected(**fields: object) -> _Collected:
    return _Collected(**{"stats": {"processed": {"a": 1, "b": 1}}, **fields})


def test_a_host_is_changed_or_ok_by_the_recap() -> None:
    found = collected(stats={"processed": {"a": 1, "b": 1}, "changed": {"a": 2}}, changes={"a": ["x", "y"]})
    assert session._verdict("a", 0, found) == HostResult(Status.CHANGED, changes=("x", "y"))
    assert session._verdict("b", 0, found).status is Status.OK


def test_a_host_that_the_playbook_never_reached_has_not_ended_well() -> None:
    assert session._verdict("c", 2, collected()).status is Status.FAILED
    assert session._verdict("c", 0, collected()).status is Status.OK


def test_others_are_stopped_by_a_task_that_all_share_and_only_then() -> None:
    failure = {"a": HostResult(Status.FAILED, "Decide for all", "no")}
    stats = {"processed": {"a": 1, "b": 1}, "failures": {"a": 1}}
    shared = collected(
        stats=stats, failures=failure, in_play={"a", "b"}, in_task={"a"}, last_task="Decide for all"
    )
    assert "another host" in session._verdict("b", 2, shared).message
    own = collected(stats=stats, failures=failure, in_play={"a", "b"}, in_task={"a", "b"})
    assert session._verdict("b", 2, own).status is Status.OK
    assert session._verdict("a", 2, own).message == "no"


def test_without_a_recap_every_host_has_failed_with_what_ansible_said() -> None:
    end = session._verdict("a", 4, _Collected(tail=["ERROR! the role 'x' was not found"]))
    assert (end.status, end.message) == (Status.FAILED, "ERROR! the role 'x' was not found")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"msg": "non-zero return code", "stderr": "boom\nbang"}, "non-zero return code\nboom\nbang"),
        ({"msg": "All items completed", "results": [{"failed": True, "msg": "item 2"}]}, "item 2"),
        ({"msg": "write: No space left on device"}, "the disk of this host is full: "),
        ({}, "failed without a message"),
    ],
)
def test_messages_say_what_the_task_said(result: dict, expected: str) -> None:
    assert expected in session._message(result)
