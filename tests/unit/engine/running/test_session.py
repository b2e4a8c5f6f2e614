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


def test_failures_after_which_the_playbook_went_on_are_failures() -> None:
    passed = [HostResult(Status.FAILED, "a : Stop", "busy"), HostResult(Status.FAILED, "b : Remove", "no")]
    end = session._verdict("a", 0, collected(passed={"a": passed}))
    assert end.status is Status.FAILED
    assert end.failed == ("a : Stop", "b : Remove")
    assert end.message == "a : Stop: busy\nb : Remove: no"
    single = session._verdict("a", 0, collected(passed={"a": passed[:1]}))
    assert (single.task, single.message, single.failed) == ("a : Stop", "busy", ("a : Stop",))


def test_another_host_that_does_not_answer_is_a_failure_here() -> None:
    away = {"a": HostResult(Status.UNREACHABLE, "n : Tell the control plane", "no route")}
    end = session._verdict("a", 0, collected(failures=away))
    assert (end.status, end.message) == (Status.FAILED, "no route")
