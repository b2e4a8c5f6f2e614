"""Which waiting jobs are read again, when users have different numbers of them."""

from platformctl.router.slurm.waiting import Waiting


def test_users_take_turns() -> None:
    waiting = Waiting()
    for number in range(1, 1501):
        waiting.add(number, "alice")
    waiting.add(2000, "bob")
    states = {str(number): "PENDING" for number in [*range(1, 1501), 2000]}
    marked = waiting.marked(states, lambda _: True)
    assert marked["2000"] != "PENDING"
    assert sum(state != "PENDING" for state in marked.values()) < 20


def test_what_no_longer_waits_is_not_looked_at() -> None:
    waiting = Waiting()
    waiting.add(1, "alice")
    waiting.add(2, "alice")
    assert waiting.marked({"1": "RUNNING", "2": "PENDING"}, lambda _: True)["1"] == "RUNNING"
