"""What both schedulers say in one look."""

from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.balance import look
from platformctl.engine.balance.look import Seen
from platformctl.engine.balance.waiting import Waiting
from platformctl.engine.cluster import nodes
from platformctl.engine.handoff import account as accounts
from platformctl.engine.handoff.account import Account
from platformctl.engine.remote import Reply
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet

BOTH = ("slurm_node", "kubernetes_node")
OWN: dict[str, dict[str, Any]] = {name: {"node_owner": "slurm"} for name in ("n1", "n2", "n3", "n4")}
FLEET = make_fleet({"ctl1": ("slurm_controller",), **dict.fromkeys(OWN, BOTH)}, own=OWN)
SINFO = (
    "n1|main|4|8000|avx|idle\nn1|long|4|8000|avx|idle\nn2|main|4|8000||mixed\n"
    "n3|main|4|8000||drained\nn4|main|4|8000||drained\n"
)


def node(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"zone": "b"}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def pod(name: str, where: str | None, namespace: str = "default") -> dict[str, Any]:
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": where, "containers": []},
        "status": {"phase": "Running"} if where else {"phase": "Pending", "conditions": [waits]},
    }


class Client:
    """The API of a cluster with these pods and nodes."""

    def __init__(self, pods: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
        self.pods, self.nodes = pods, items

    async def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/nodes"
        return {"items": self.nodes}

    async def list_pages(self, path: str) -> Any:
        assert path == "/api/v1/pods"
        yield {"items": self.pods}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the controller answers, by the command's first word."""
    answers = {"sinfo": SINFO, "squeue": ""}

    async def run(_connection: object, script: str, seconds: float = 0) -> Reply:
        return Reply(0, answers[script.split()[0]], "")

    async def read(fleet: object, names: list[str]) -> list[nodes.Node]:
        owners = {"n1": "slurm", "n2": "slurm", "n3": "kubernetes", "n4": "kubernetes"}
        return [nodes.Node(name, owners[name], None, None, ()) for name in names]

    async def read_all(_client: object) -> dict[str, Account]:
        return {"n2": Account("n2", held="new memory")}

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(nodes, "read", read)
    monkeypatch.setattr(accounts, "read_all", read_all)
    monkeypatch.setattr(look.loading, "evaluated", lambda fleet: fleet)
    return answers


async def seen(pods: list[dict[str, Any]], *items: dict[str, Any]) -> look.View:
    return await look.look(FLEET, Client(pods, list(items)))  # type: ignore[arg-type]


async def test_nodes_are_idle_without_work_of_users(asked: dict[str, str]) -> None:
    pods = [pod("web", "n4"), pod("dns", "n3", "kube-system")]
    view = await seen(pods, node("n3"), node("n4"))
    assert view.nodes == [
        Seen("n1", "slurm", True, ""),
        Seen("n2", "slurm", False, "it was taken out of service: new memory"),
        Seen("n3", "kubernetes", True, ""),
        Seen("n4", "kubernetes", False, ""),
    ]
    assert view.serving == {"slurm": 2, "kubernetes": 2}


async def test_a_cordoned_node_stays_and_serves_nobody(asked: dict[str, str]) -> None:
    taint = {"key": "x", "effect": "NoSchedule"}
    view = await seen([], node("n3", unschedulable=True), node("n4", taints=[taint]))
    assert [one.fixed for one in view.nodes[2:]] == ["it takes no pods", "it takes no pods"]
    assert view.serving["kubernetes"] == 0


async def test_what_waits_is_compared_with_the_nodes_that_can_move(asked: dict[str, str]) -> None:
    asked["squeue"] = "7;long;1;4;0;N/A;(null);Resources\n8;main;2;16;0;N/A;(null);Resources\n"
    view = await seen([pod("web", None)], node("n3"))
    assert view.waiting == {
        "slurm": Waiting(1, "1 job waits for 1 node"),
        "kubernetes": Waiting(1, "1 pod waits for 1 node"),
    }


@pytest.mark.parametrize(("command", "said"), [("sinfo", ""), ("sinfo", "error"), ("squeue", "error")])
async def test_what_is_no_answer_ends_the_look(asked: dict[str, str], command: str, said: str) -> None:
    asked[command] = said
    with pytest.raises(PlatformError, match="nothing moves"):
        await seen([], node("n3"))
