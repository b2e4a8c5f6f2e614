"""What is remembered of arrays: elements that Slurm forgets, and whose an element is."""

from platformctl.router.slurm.arrays import Arrays
from platformctl.router.slurm.states import Run


def run(state: str, *indices: int) -> Run:
    return Run((state,), indices)


def states(*keys: str, state: str = "PENDING") -> dict[str, str]:
    return dict.fromkeys(keys, state)


def test_an_element_that_slurm_forgot_is_remembered() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("PENDING", 1, 2), run("COMPLETED", 0)], [7, 8])
    found, missing = arrays.merge(7, [run("RUNNING", 1), run("PENDING", 2)], [7, 9])
    assert sorted(index for one in found for index in one.indices) == [0, 1, 2]
    assert not missing


def test_an_element_that_nobody_saw_end_is_missing() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("PENDING", 0, 1)], [7])
    _, missing = arrays.merge(7, [run("PENDING", 1)], [7])
    assert missing
    found, missing = arrays.merge(7, [run("PENDING", 1), run("COMPLETED", 0)], [7])
    assert (len(found), missing) == (2, False)


def test_what_slurmctld_says_counts_before_what_accounting_says() -> None:
    arrays = Arrays()
    found, _ = arrays.merge(7, [run("RUNNING", 0), run("COMPLETED", 0)], [7])
    assert [one.state for one in found] == [("RUNNING",)]


def test_the_digest_of_an_array_changes_with_any_element() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("PENDING", 2), run("RUNNING", 0, 1)], [7, 8, 9])
    first = arrays.digests({"8_0": "RUNNING", "9_1": "RUNNING", "7_2": "PENDING", "3": "RUNNING"}, 0.0)
    assert first["3"] == "RUNNING"
    assert first["7"].startswith("array:")
    assert not {"8", "9"} & first.keys()
    later = arrays.digests({"8_0": "COMPLETED", "9_1": "RUNNING", "7_2": "PENDING"}, 1.0)
    assert later["7"] != first["7"]


def test_an_element_that_starts_is_missed_among_those_that_wait() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("PENDING", 0, 1)], [7])
    before = arrays.digests(states("7_0", "7_1"), 0.0)
    after = arrays.digests({"8_0": "RUNNING", "7_1": "PENDING"}, 1.0)
    assert before["7"] != after["7"]


def test_a_large_array_does_not_change_every_second() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("PENDING", *range(1000))], [7])
    first = arrays.digests(states(*(f"7_{index}" for index in range(1000))), 0.0)
    fewer = states(*(f"7_{index}" for index in range(999)))
    assert arrays.digests(fewer, 4.0) == first
    assert arrays.digests(fewer, 6.0) != first


def test_what_ended_is_forgotten() -> None:
    arrays = Arrays()
    arrays.merge(7, [run("COMPLETED", 0)], [8])
    arrays.forget(7)
    assert not arrays.knows(7)
    assert "8" in arrays.digests({"8_0": "COMPLETED"}, 0.0)
