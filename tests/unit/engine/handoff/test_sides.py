"""What the schedulers say of a node that moves, and what is kept of it."""

import pytest

from platformctl.engine.handoff import kubernetes_side, slurm_side
from platformctl.engine.handoff.account import Drain
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller",), "n3": ("slurm_node", "kubernetes_node")})
_SHOWN = (
    "NodeName=n3 Arch=x86_64 CPUTot=4 State={state} ThreadsPerCore=1 Partitions=main"
    " BootTime=2026-11-29T15:12:40 SlurmdStartTime=2026-11-29T15:40:47 {reason}\n"
)


def _node(state, reason=""):
    return slurm_side.parse(FLEET, "n3", _SHOWN.format(state=state, reason=reason))


@pytest.mark.parametrize(
    ("state", "drained", "answers"),
    [
        ("IDLE", False, True),
        ("MIXED", False, True),
        ("IDLE+DRAIN", True, True),
        ("MIXED+DRAIN", True, True),
        ("IDLE*+DRAIN", True, False),
        ("DOWN*+DRAIN", True, False),
        ("IDLE+DRAIN+NOT_RESPONDING", True, False),
        ("DOWN", False, False),
        ("UNKNOWN*", False, False),
        ("IDLE+DRAIN+INVALID_REG", True, False),
    ],
)
def test_the_state_of_a_node_in_slurm(state, drained, answers):
    node = _node(state)
    assert (node.drained, node.answers) == (drained, answers)
    assert node.started == "2026-11-29T15:40:47"


@pytest.mark.parametrize("text", ["hands off", "two [words] and = signs", "platformctl: moves (ab12cd)"])
def test_a_drain_is_known_by_its_reason_and_by_who_set_it_when(text):
    stamp = "root@2026-11-29T15:42:01"
    assert _node("IDLE+DRAIN", f"Reason={text} [{stamp}]").drain == Drain(text, stamp)
    # Slurm keeps the reason of a node that is in service again.
    assert _node("IDLE", f"Reason={text} [{stamp}]").drain is None


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Node n3 not found\n",
        "slurm_load_node error: Unable to contact slurm controller\n",
        "NodeName=n33 State=IDLE",
    ],
)
def test_what_is_no_answer_about_the_node_is_unknown(said):
    with pytest.raises(PlatformError, match="nothing more is done"):
        slurm_side.parse(FLEET, "n3", said)


def test_no_two_drains_of_ours_have_one_reason():
    assert len({slurm_side.reason("moves") for _ in range(100)}) > 90


_LEFT = {
    "metadata": {
        "labels": {
            "kubernetes.io/hostname": "n3",
            "example.org/rack": "7",
            "platformctl.io/owner": "kubernetes",
        },
        "annotations": {"flannel.alpha.coreos.com/public-ip": "192.0.2.13", "example.org/note": "mine"},
    },
    "spec": {
        "unschedulable": True,
        "taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
            {"key": "example.org/gpu", "effect": "NoSchedule"},
            kubernetes_side.TAINT,
        ],
    },
}
_KEPT = {
    "labels": {"example.org/rack": "7", "platformctl.io/owner": "kubernetes"},
    "annotations": {"example.org/note": "mine"},
    "taints": [{"key": "example.org/gpu", "effect": "NoSchedule"}],
    "unschedulable": True,
}


def test_what_people_gave_a_node_is_kept():
    assert kubernetes_side.kept(_LEFT) == _KEPT


def test_a_node_that_leaves_before_all_is_back_loses_nothing():
    now = {
        "labels": {"example.org/new": "1"},
        "annotations": {},
        "taints": [{"key": "example.org/other", "effect": "NoExecute"}],
        "unschedulable": False,
    }
    both = kubernetes_side.joined(_KEPT, now)
    assert both["labels"] == {**_KEPT["labels"], "example.org/new": "1"}
    assert both["taints"] == [*_KEPT["taints"], *now["taints"]]
    assert both["unschedulable"]
    assert kubernetes_side.joined({}, now) == now
