"""Which idle nodes change owner, and the words for it."""

from dataclasses import replace

import pytest

from platformctl.engine.balance.decide import Bounds, Decision, Demand, Movable, decide

BOUNDS = Bounds({"slurm": 1, "kubernetes": 1}, waits=300, idle=600, stays=1800, at_once=2)
NODES = [
    Movable("n1", "slurm", None),
    Movable("n2", "slurm", 700),
    Movable("n3", "slurm", 900),
    Movable("n4", "kubernetes", 900),
]
PODS = Demand(1, 400, "3 pods wait for 1 node")
SERVING = {"slurm": 5, "kubernetes": 2}


NOTHING = Demand()


def given(nodes=NODES, slurm=NOTHING, kubernetes=PODS, serving=SERVING, bounds=BOUNDS) -> Decision:
    return decide(nodes, {"slurm": slurm, "kubernetes": kubernetes}, serving, bounds)


def test_the_node_goes_that_was_idle_for_longest():
    found = given()
    assert found.moves == {"kubernetes": ("n3",)}
    assert found.words == (
        "n3 goes to Kubernetes: 3 pods wait for 1 node for 7 min in Kubernetes, "
        "and it was idle in Slurm for 15 min",
    )


def test_nodes_go_to_slurm_too():
    found = given(slurm=Demand(1, 400, "1 job waits for 1 node"), kubernetes=Demand())
    assert found.moves == {"slurm": ("n4",)}


def test_no_more_nodes_go_than_work_needs_or_than_may_at_once():
    assert given(kubernetes=replace(PODS, nodes=2)).moves == {"kubernetes": ("n3", "n2")}
    assert given(kubernetes=replace(PODS, nodes=9)).moves == {"kubernetes": ("n3", "n2")}
    one = replace(BOUNDS, at_once=1)
    assert given(kubernetes=replace(PODS, nodes=9), bounds=one).moves == {"kubernetes": ("n3",)}


def test_a_side_keeps_its_least():
    found = given(kubernetes=replace(PODS, nodes=2), serving={"slurm": 2, "kubernetes": 2})
    assert found.moves == {"kubernetes": ("n3",)}
    assert "n2 stays with Slurm: it keeps at least 1 in service" in found.words
    assert given(serving={"slurm": 1, "kubernetes": 2}).moves == {}
    assert given(serving={"slurm": 0, "kubernetes": 2}).moves == {}


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (Movable("n1", "slurm", None), "it has work"),
        (Movable("n1", "slurm", 599), "it is idle for 10 min only, of 10 min"),
        (Movable("n1", "slurm", 60), "it is idle for 1 min only, of 10 min"),
        (Movable("n1", "slurm", 900, moved=1700), "it came 28 min ago, and stays for 30 min"),
        (Movable("n1", "slurm", 900, fixed="a move of it has not ended"), "a move of it has not ended"),
    ],
)
def test_a_node_that_stays_is_explained(node, why):
    found = given(nodes=[node])
    assert found.moves == {}
    assert found.words == (f"n1 stays with Slurm: {why}",)


def test_work_must_have_waited():
    found = given(kubernetes=replace(PODS, waited=299))
    assert found == Decision({}, ("3 pods wait for 1 node for 5 min in Kubernetes; nodes move after 5 min",))


def test_nothing_moves_while_both_sides_wait_or_none_does():
    both = given(slurm=Demand(4, 900, "1 job waits for 4 nodes"))
    assert both.moves == {}
    assert "both sides" in both.words[0]
    assert given(kubernetes=Demand()) == Decision({}, ("no work waits for nodes",))


def test_a_side_without_nodes_that_can_move_is_named():
    assert given(nodes=NODES[3:]).words == (
        "3 pods wait for 1 node for 7 min in Kubernetes; Slurm has no node that can move",
    )
