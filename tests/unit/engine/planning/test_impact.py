"""What runs on hosts that a plan would touch."""

import asyncio
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.fleet import Connection
from platformctl.engine.planning import impact
from platformctl.engine.remote import Reply
from platformctl.engine.stages import Workload
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller", "kubernetes_control_plane"), "ctl2": ("slurm_controller",)})
BOTH = [Workload.JOBS, Workload.PODS]
JOBS = "n1\nn1\nn2\n"
PODS = "n1 team\nn1 kube-system\nn2 platform-system\nn2 platform-logs\n<none> team\n\n"


class Hosts:
    """Answers by what is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        self._code = code
        monkeypatch.setattr(remote, "run", self._run)

    async def _run(self, connection: Connection, script: str, **_: Any) -> Reply:
        program = script.split()[0]
        self.asked.append((connection.address, program))
        return Reply(self._code, {"squeue": JOBS, "kubectl": PODS}[program], "")


async def test_jobs_and_the_pods_of_users_are_counted_by_host(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    found = await impact.running(FLEET, BOTH)
    assert found[Workload.JOBS] == {"n1": 2, "n2": 1}
    assert found[Workload.PODS]["n1"] == 1
    assert "n2" not in found[Workload.PODS]
    assert sorted(hosts.asked) == [("192.0.2.11", "kubectl"), ("192.0.2.11", "squeue")]


async def test_only_what_is_wanted_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    assert set(await impact.running(FLEET, [Workload.PODS])) == {Workload.PODS}
    assert hosts.asked == [("192.0.2.11", "kubectl")]
    assert await impact.running(FLEET, []) == {}


async def test_a_scheduler_that_does_not_answer_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, code=255)
    assert await impact.running(FLEET, BOTH) == {Workload.JOBS: {}, Workload.PODS: {}}


async def test_a_site_without_the_scheduler_has_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    assert await impact.running(make_fleet({"n1": ("node",)}), BOTH) == {
        Workload.JOBS: {},
        Workload.PODS: {},
    }
    assert hosts.asked == []


async def test_jobs_are_counted_by_each_partition_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real script, with a squeue that says what Slurm's does."""

    async def run(_: Connection, script: str, **__: Any) -> Reply:
        squeue = 'squeue() { printf "main\\nmain\\nmain,fast\\n"; }\n'
        process = await asyncio.create_subprocess_exec("sh", "-c", squeue + script, stdout=PIPE)
        out, _err = await process.communicate()
        return Reply(0, out.decode(), "")

    monkeypatch.setattr(remote, "run", run)
    found = await impact.running(FLEET, [Workload.QUEUED])
    assert found == {Workload.QUEUED: {"main": 3, "fast": 1}}
