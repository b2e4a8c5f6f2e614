"""What the schedulers say of the work that runs."""

import json
from fractions import Fraction
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.disturbances import Workload
from platformctl.engine.fleet import Connection
from platformctl.engine.planning import work
from platformctl.engine.planning.work import Budget
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller", "kubernetes_control_plane"), "ctl2": ("slurm_controller",)})
BOTH = {Workload.JOBS, Workload.PODS}
JOBS = (
    "42|alice|main|RUNNING|59:30|n[1-2,07]|(null)\n"
    "43_1|bob|main,fast|PENDING|1-00:00:00||(null)\n"
    "44|bob|main|COMPLETING|INVALID|n1|upkeep\n"
    "-- further --\n"
    "42      cpu=2,mem=1G,node=3,billing=2,gres/gpu=2,gres/gpu:a100=2,gres/fpga=1   \n"
)
CONTAINER = json.dumps({"limits": {"cpu": "500m"}, "requests": {"cpu": "500m", "memory": "1Gi"}})
FIRST = json.dumps({"requests": {"cpu": "2"}})
LABELS = json.dumps({"app": "web"})
CLUSTER = (
    f"team|web-1|k1|2026-01-02T03:04:05Z|ReplicaSet|web|{LABELS}|{CONTAINER} {CONTAINER}|{FIRST}\n"
    "team|bare|k1|2026-01-02T03:04:05Z||||{}|\n"
    "kube-system|coredns|k1|2026-01-02T03:04:05Z||||{}|\n"
    "-- further --\n"
    'team|web|0|{"matchLabels":{"app":"web"}}\n'
    "team|all|1|{}\n"
    "team|none|1|\n"
    'other|web|1|{"matchLabels":{"app":"web"}}\n'
    "-- further --\n"
    'k1|{"cpu":"4","memory":"8Gi"}|{"cpu":"3","memory":"7Gi"}\n'
)


class Hosts:
    """Answers by what is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        self._code = code
        monkeypatch.setattr(remote, "run", self._run)

    async def _run(self, connection: Connection, script: str, **_: Any) -> Reply:
        program = script.split()[0]
        self.asked.append((connection.address, program))
        return Reply(self._code, {"squeue": JOBS, "kubectl": CLUSTER}[program], "no answer")


async def test_jobs_with_their_nodes_and_pods_with_what_protects_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = Hosts(monkeypatch)
    found = await work.ask(FLEET, BOTH)
    assert sorted(hosts.asked) == [("192.0.2.11", "kubectl"), ("192.0.2.11", "squeue")]
    assert found.unknown == {}
    first, second, third = found.jobs
    assert (first.id, first.user, first.left, first.nodes) == ("42", "alice", "59:30", ("n1", "n2", "n07"))
    assert (second.waits, second.partitions, second.nodes) == (True, ("main", "fast"), ())
    assert (first.devices, third.devices) == ({"gpu", "fpga"}, frozenset())
    assert (first.reservation, third.reservation) == ("", "upkeep")
    web, bare, system = found.pods
    assert (web.controller, bare.controller) == ("ReplicaSet web", "")
    assert (web.budgets, bare.budgets) == ((Budget("web", 0), Budget("all", 1)), (Budget("all", 1),))
    assert web.requests == {"cpu": 2, "memory": 2 * 2**30}
    assert (web.users, system.users) == (True, False)
    assert found.nodes["k1"].capacity["cpu"] == Fraction(4)
    assert [found.running(Workload.JOBS, name) for name in ("", "n1", "n2", "n9")] == [2, 2, 1, 0]
    assert [found.running(Workload.PODS, name) for name in ("", "k1", "n1")] == [2, 2, 0]


async def test_only_what_is_wanted_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    assert (await work.ask(FLEET, {Workload.PODS})).jobs == ()
    assert hosts.asked == [("192.0.2.11", "kubectl")]
    assert await work.ask(FLEET, set()) == work.Work()


async def test_a_site_without_the_schedulers_has_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    assert await work.ask(make_fleet({"n1": ("node",)}), BOTH) == work.Work()
    assert hosts.asked == []


async def test_a_scheduler_that_does_not_answer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, code=1)
    found = await work.ask(FLEET, BOTH)
    assert set(found.unknown) == BOTH
    assert all("no answer" in why for why in found.unknown.values())


@pytest.mark.parametrize("said", ["", "nonsense\n", "1|alice|main\n-- further --\n"])
def test_what_is_no_list_of_jobs_is_unknown(said: str) -> None:
    assert set(work.read(Reply(0, said, ""), None).unknown) == {Workload.JOBS}


@pytest.mark.parametrize(
    "said", ["", "nonsense", CLUSTER.replace("500m", "many"), CLUSTER.replace("{}", "}")]
)
def test_what_is_no_list_of_pods_is_unknown(said: str) -> None:
    assert set(work.read(None, Reply(0, said, "")).unknown) == {Workload.PODS}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-3],ctl1", ["n1", "n2", "n3", "ctl1"]),
        ("n[08-10,12]", ["n08", "n09", "n10", "n12"]),
        ("r[1-2]n[1,3]", ["r1n1", "r1n3", "r2n1", "r2n3"]),
        ("n[1-2]-ib", ["n1-ib", "n2-ib"]),
    ],
)
def test_lists_of_hosts_are_taken_apart_as_slurm_does(text: str, names: list[str]) -> None:
    assert list(work.expand(text)) == names
