"""A day that is played with and without moves of nodes."""

import random

from tests.benchmarks import balance
from tests.benchmarks.balance import Work


def test_work_waits_for_nodes_of_its_own_side_if_nodes_stay():
    day = [Work("kubernetes", 0, 6, 3600), Work("kubernetes", 60, 1, 60), Work("slurm", 60, 1, 60)]
    waits, moves = balance.play(day, None)
    assert waits == {"kubernetes": [0, 3540], "slurm": [0]}
    assert moves == 0


def test_an_idle_node_comes_when_work_has_waited():
    day = [Work("kubernetes", 0, 6, 7200), Work("kubernetes", 60, 1, 60)]
    waits, moves = balance.play(day, balance._BOUNDS)
    # Ten minutes idle, and a minute for the move; its own work waited for five.
    assert waits["kubernetes"] == [0, 600]
    assert moves == 1


def test_a_made_day_is_the_same_each_time():
    assert list(balance.made(random.Random(1))) == list(balance.made(random.Random(1)))
