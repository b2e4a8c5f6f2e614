"""What Slurm's nodes could ever run, and their load, from lists of slurmrestd's."""

from types import SimpleNamespace
from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Policy, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Load, Ticket
from platformctl.router.loop import cached
from platformctl.router.slurm.cluster import Cluster

CLAIM = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")


def node(name: str, cpus: int, *partitions: str, **fields: Any) -> dict[str, Any]:
    there = {"name": name, "cpus": cpus, "real_memory": 8192, "partitions": list(partitions)}
    return {**there, "alloc_cpus": 0, "gres": "", "gres_used": "", "state": ["IDLE"], **fields}


class Rest:
    """A slurmrestd with these nodes."""

    def __init__(self, *nodes: dict[str, Any]) -> None:
        self.there = list(nodes)
        self.asked = 0

    async def nodes(self, _user: str) -> list[dict[str, Any]]:
        self.asked += 1
        return self.there

    async def partitions(self, _user: str) -> list[dict[str, Any]]:
        names = sorted({name for found in self.there for name in found["partitions"]} | {"empty"})
        return [{"name": name} for name in names]


def cluster(rest: Any) -> Cluster:
    return Cluster(rest, "slurm")


def ticket(**spec: Any) -> Ticket:
    job = parse({"script": "#!/bin/sh\n", **spec})
    assert isinstance(job, JobSpec), job
    return Ticket(CLAIM, job, ALICE)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"resources": {"cpu": "8"}}, ""),
        ({"resources": {"cpu": "9"}}, "no node of Slurm has cpu 9 (the most is 8)"),
        ({"resources": {"cpu": "5"}, "queue": "large"}, ""),
        (
            {"resources": {"cpu": "5"}, "queue": "small"},
            "no node of the partition small has cpu 5 (the most is 4)",
        ),
        ({"nodes": 4}, ""),
        # Two tasks want room for two, though a node may have four.
        ({"tasks": 2, "tasksPerNode": 4, "resources": {"cpu": "4"}}, ""),
        # As many nodes as there are, not as there are kinds of them.
        ({"nodes": 3, "queue": "small"}, ""),
        (
            {"nodes": 4, "queue": "small"},
            "the partition small has fewer nodes (3) than it asks for (4)",
        ),
        ({"queue": "empty"}, "the partition empty has fewer nodes (0) than it asks for (1)"),
        ({"queue": "other"}, "Slurm has no partition other; it has empty, large, small"),
    ],
)
async def test_what_no_node_could_ever_run(spec: dict[str, Any], expected: str) -> None:
    rest = Rest(*(node(f"s{number}", 4, "small") for number in range(3)), node("l", 8, "large"))
    assert await cluster(rest).unfit(ticket(**spec)) == expected


async def test_nothing_is_refused_for_an_old_list(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(cached, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    rest = Rest(node("a", 4, "main"))
    nodes = cluster(rest)
    assert "cpu 8" in await nodes.unfit(ticket(resources={"cpu": "8"}))
    rest.there = [node("b", 8, "main", state=["DOWN"])]
    clock[0] += 2
    assert await nodes.unfit(ticket(resources={"cpu": "8"})) == ""


async def test_a_list_serves_all_who_ask_until_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(cached, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    rest = Rest(node("a", 4, "main", alloc_cpus=1), node("b", 4, "main", state=["DOWN"]))
    nodes = cluster(rest)
    assert await nodes.load() == Load(cpus=0.75, gpus=None)
    assert await nodes.unfit(ticket(resources={"cpu": "8"})) == "no node of Slurm has cpu 8 (the most is 4)"

    rest.there = [node("c", 8, "main", alloc_cpus=4, gres="gpu:a:4", gres_used="gpu:a:3(IDX:0-2)")]
    assert await nodes.load() == Load(cpus=0.75, gpus=None)
    assert rest.asked == 1

    clock[0] += 15
    assert await nodes.load() == Load(cpus=0.5, gpus=0.25)
    assert not await nodes.unfit(ticket(resources={"cpu": "8"}, queue="main"))
    assert rest.asked == 2


def shared_node(name: str) -> dict[str, Any]:
    """A node of which Kubernetes has half, and some devices."""
    kept = {"specialized_memory": 4096, "effective_cpus": {"set": True, "number": 4}}
    return node(name, 8, "main", gres="gpu:a100:2(S:0),fpga:1", **kept)


@pytest.mark.parametrize(
    ("resources", "labels", "lacking"),
    [
        ({"cpu": "4", "memory": "4Gi", "platformctl.io/fpga": "1"}, {}, ""),
        ({"cpu": "5"}, {}, "cpu 5 (the most is 4)"),
        ({"memory": "5Gi"}, {}, "memory 5Gi (the most is 4Gi)"),
        ({"platformctl.io/fpga": "2"}, {}, "gres/fpga 2 (the most is 1)"),
        ({"nvidia.com/gpu": "2"}, {"devices.platformctl.io/gpu-type": "a100"}, ""),
        (
            {"nvidia.com/gpu": "1"},
            {"devices.platformctl.io/gpu-type": "h100"},
            "gres/gpu:h100 1 (none has any)",
        ),
    ],
)
async def test_what_is_kubernetes_of_a_shared_node_is_no_room_for_jobs(
    resources: dict[str, str], labels: dict[str, str], lacking: str
) -> None:
    container = {"name": "m", "image": "d:1", "resources": {"limits": resources}}
    job = parse({"template": {"spec": {"containers": [container], "nodeSelector": labels}}})
    assert isinstance(job, JobSpec)
    settled = settle(job, ALICE, Policy(devices={"platformctl.io/fpga": "fpga"}))
    assert isinstance(settled, JobSpec)
    why = await cluster(Rest(shared_node("n1"))).unfit(Ticket(CLAIM, settled, ALICE))
    assert why == (f"no node of Slurm has {lacking}" if lacking else "")


async def test_the_load_of_a_shared_node_is_that_of_slurms_part() -> None:
    busy = shared_node("n1") | {"alloc_cpus": 2, "gres_used": "gpu:a100:1(IDX:0),fpga:0"}
    assert await cluster(Rest(busy)).load() == Load(cpus=0.5, gpus=0.5)
