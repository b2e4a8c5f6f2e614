"""Nodes that the schedulers have and the inventory lacks."""

from pathlib import Path

import pytest

from platformctl.engine import remote
from platformctl.engine.cluster import membership
from platformctl.engine.cluster.membership import Membership
from tests.unit.engine.clusters import Clusters, pod_document
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller", "kubernetes_control_plane"), "n1": ("kubernetes_node",)})


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    found = Clusters({"ctl1": True, "n1": True}, {})
    monkeypatch.setattr(remote, "run", found.run)
    return found


async def test_a_site_as_its_inventory_has_no_strays(clusters: Clusters) -> None:
    assert await membership.strays(FLEET, await membership.ask(FLEET)) == ()


async def test_strays_are_named_with_their_work_and_the_command(clusters: Clusters) -> None:
    clusters.nodes |= {"n2": True, "n3": False}
    clusters.slurm = {"n4": "idle"}
    clusters.pods, clusters.jobs = {"n2": ["web-0", "web-1"]}, {"n4": ["7 (alice)"]}
    found = await membership.strays(FLEET, await membership.ask(FLEET))
    assert [stray.words(Path("/site")) for stray in found] == [
        "n2 is a node of Kubernetes (Ready, 2 pods), but the inventory has no such host; to end that:"
        " platformctl node remove -i /site n2",
        "n3 is a node of Kubernetes (NotReady, 0 pods), but the inventory has no such host; to end that:"
        " platformctl node remove -i /site n3",
        "n4 is a node of Slurm (idle, 1 job), but the inventory has no such host; to end that:"
        " platformctl node remove -i /site n4",
    ]


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        ("idle", True),
        ("drained", True),
        ("mixed", True),
        ("down*", False),
        ("idle*", False),
        ("unknown", False),
    ],
)
async def test_a_node_of_slurm_answers_or_not(clusters: Clusters, state: str, ready: bool) -> None:
    clusters.slurm = {"n4": state}
    (node,) = (await membership.ask(FLEET)).slurm.values()
    assert (node.ready, node.address) == (ready, "192.0.2.98")


async def test_pods_that_every_node_has_and_ended_ones_do_not_count(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters.pods = {"n1": ["web"]}
    assert await membership.pods_of(FLEET, "n1") == ["team/web"]
    assert not membership.leaves(pod_document("kube-apiserver", "Node"))
    assert not membership.leaves(pod_document("done", phase="Succeeded"))


async def test_a_scheduler_that_does_not_answer_has_no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: object, **__: object) -> remote.Reply:
        return remote.Reply(255, "n9\tTrue\n", "no route")

    monkeypatch.setattr(remote, "run", silent)
    assert await membership.ask(FLEET) == Membership()
