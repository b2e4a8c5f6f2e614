"""What was seen in several looks decides, and what the inventory says."""

import pytest

from platformctl.engine.balance import rounds
from platformctl.engine.balance.decide import Bounds, Demand, Movable
from platformctl.engine.balance.look import Seen, View
from platformctl.engine.balance.memory import Memory
from platformctl.engine.balance.waiting import Waiting
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet


def test_times_count_from_the_first_of_the_looks_that_found_it_so():
    memory = Memory().seen(1000, ["n1"], ["slurm"], 600).seen(1060, ["n1", "n2"], ["slurm"], 600)
    assert memory.idle == {"n1": 1000, "n2": 1060}
    assert memory.waits == {"slurm": 1000}
    # Not idle in between: it begins anew.
    memory = memory.seen(1120, ["n2"], [], 600).seen(1180, ["n1", "n2"], ["slurm"], 600)
    assert memory.idle == {"n1": 1180, "n2": 1060}
    assert memory.waits == {"slurm": 1180}


def test_after_a_long_time_without_a_look_all_begins_anew_but_moves_stay():
    memory = Memory().seen(1000, ["n1"], ["slurm"], 600).with_moved(["n9"], 1000)
    late = memory.seen(1601, ["n1"], ["slurm"], 600)
    assert (late.idle, late.waits, late.moved) == ({"n1": 1601}, {"slurm": 1601}, {"n9": 1000})


def test_a_sides_own_idle_nodes_come_first():
    nodes = [
        Seen("n1", "slurm", True, ""),
        Seen("n2", "slurm", True, "a move of it has not ended"),
        Seen("n3", "kubernetes", True, ""),
    ]
    waiting = {
        "slurm": Waiting(3, "3 jobs wait for 3 nodes"),
        "kubernetes": Waiting(1, "1 pod waits for 1 node"),
    }
    view, memory = View(nodes, waiting, {"slurm": 3, "kubernetes": 2}), Memory(1000, waits={"slurm": 940})
    assert rounds.demands(view, memory) == {
        "slurm": Demand(2, 60, "3 jobs wait for 3 nodes"),
        "kubernetes": Demand(0, 0, "1 pod waits for 1 node"),
    }


def test_nodes_have_the_times_that_were_seen():
    view = View([Seen("n1", "slurm", True, ""), Seen("n2", "slurm", False, "")], {}, {})
    memory = Memory(1000, idle={"n1": 400}, moved={"n2": 900})
    assert rounds.movable(view, memory) == [
        Movable("n1", "slurm", 600),
        Movable("n2", "slurm", None, moved=100),
    ]


def test_it_is_off_unless_the_inventory_says_otherwise():
    hosts = {"n1": ("slurm_node", "kubernetes_node")}
    with pytest.raises(PlatformError, match="do not move by themselves"):
        rounds.bounds(make_fleet(hosts))
    fleet = make_fleet(hosts, variables={"node_balance": {"enabled": True, "slurm_at_least": 4}})
    assert rounds.bounds(fleet) == Bounds(
        {"slurm": 4, "kubernetes": 1}, waits=300, idle=600, stays=1800, at_once=1
    )
