"""`node remove`: what is refused, in which order a node leaves, and what is undone on its host."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.console import Format, Output
from platformctl.engine import loading, remote
from platformctl.engine.cluster import node_drain
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from platformctl.engine.running import removal
from platformctl.engine.running import reset as undo
from platformctl.engine.running.removal import Patience
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.clusters import Clusters
from tests.unit.engine.sites import Hosts, make_fleet

CONTROL = ("kubernetes_control_plane", "slurm_controller", "slurm_accounting", "registry", "slurm_rest")
FLEET = make_fleet(
    {"ctl1": CONTROL, "n1": ("kubernetes_node",), "n2": ("slurm_node",), "n3": ("slurm_node",)}
)
STAGES = (Stage("node", "kubernetes_node", ("node",)),)


class World:
    """The hosts of a site, its schedulers, and what was reset."""

    def __init__(self, hosts: Hosts, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts, self.data = hosts, data
        self.clusters = Clusters(
            {"ctl1": True, "n1": True}, {"n2": "idle", "n3": "idle"}, control_plane="ctl1"
        )
        self.undone: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        monkeypatch.setattr(remote, "run", self.run)
        monkeypatch.setattr(undo, "reset", self.reset)
        monkeypatch.setattr(node_drain, "_POLL_SECONDS", 0.01)

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        if "takeover.json" in script:
            return Reply(0, "", "")
        return await self.clusters.run(connection, script)

    async def reset(self, fleet: Any, found: undo.HostReset, *_: object) -> ExitCode:
        (host,) = found.roles
        self.undone.append((fleet.hosts[host].connection.address, found.roles[host], fleet.guests))
        return ExitCode.DONE

    def installed(self, address: str, name: str) -> None:
        folder = self.hosts.folder(address)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"identity": {"name": name}, "node": {"begun": "x"}}
        (folder / "digests.json").write_text(json.dumps(record))

    async def remove(self, *names: str, seconds: float = 0, end_jobs: bool = False) -> list[str]:
        found = await removal.planned(FLEET, names, STAGES, self.data)
        said: list[str] = []
        output = Output(Format.JSON)
        output.event = lambda event: said.append(str(event.get("message", "")))  # type: ignore[method-assign]
        await removal.remove(found, Patience(seconds, end_jobs), self.data, output)
        return [line for line in said if line]


@pytest.fixture
def world(hosts: Hosts, role: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    data = role("node")
    (data / "roles" / "node" / "tasks" / "reset.yml").write_text("[]")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return World(hosts, data, monkeypatch)


async def test_a_node_that_lives_is_drained_deleted_and_undone(world: World) -> None:
    world.installed("192.0.2.12", "n1")
    world.clusters.pods = {"n1": ["web"]}
    said = await world.remove("n1")
    assert world.clusters.done == ["drain n1 past budgets", "delete n1"]
    assert world.clusters.forgotten == ["n1"]
    assert world.undone == [("192.0.2.12", ("node", "preflight"), ())]
    assert (
        "n1: take it out of the inventory now; the next `platformctl install -i /tmp/inventory` adds it"
        in (" ".join(said))
    )


async def test_a_lost_node_is_deleted_with_its_pods_by_force(world: World) -> None:
    world.hosts.down = {"192.0.2.12"}
    world.clusters.nodes["n1"] = False
    said = " ".join(await world.remove("n1"))
    assert world.clusters.done == ["force delete n1"]
    assert world.undone == []
    assert "what install put on the host stays there: it does not answer" in said
    assert "platformctl reset -i /tmp/inventory --limit n1" in said


async def test_a_node_that_the_inventory_lacks_is_undone_where_the_cluster_has_it(world: World) -> None:
    world.clusters.nodes["n9"] = True
    world.installed("192.0.2.99", "n9")
    await world.remove("n9")
    assert world.clusters.done == ["drain n9", "delete n9"]
    assert world.undone == [("192.0.2.99", ("node", "preflight"), ("n9",))]


async def test_another_machine_at_the_address_is_left_alone(world: World) -> None:
    world.clusters.nodes["n9"] = True
    world.installed("192.0.2.99", "n8")
    said = " ".join(await world.remove("n9"))
    assert world.undone == []
    assert "the host at 192.0.2.99 was installed as n8" in said


async def test_a_host_that_has_another_name_now_is_undone_under_its_old_one(world: World) -> None:
    world.clusters.nodes["old1"] = True
    world.installed("192.0.2.12", "old1")
    await world.remove("old1")
    assert world.undone == [("192.0.2.12", ("node", "preflight"), ())]


async def test_pods_with_a_disruption_budget_are_named(world: World) -> None:
    world.clusters.nodes["n5"] = True
    world.clusters.pods, world.clusters.kept = {"n1": ["web", "db"]}, {"db"}
    with pytest.raises(PlatformError) as error:
        await world.remove("n1")
    assert error.value.code is ExitCode.REFUSED
    assert "team/db (its disruption budget)" in str(error.value)
    assert "kubectl uncordon n1" in str(error.value)
    assert "delete n1" not in world.clusters.done
    assert world.undone == []


async def test_jobs_may_end_or_are_ended(world: World) -> None:
    world.clusters.jobs = {"n2": ["7 (alice)"]}
    with pytest.raises(PlatformError) as error:
        await world.remove("n2")
    assert error.value.code is ExitCode.REFUSED
    assert "not ended on n2: 1 job: 7 (alice)" in str(error.value)
    assert "--end-jobs" in error.value.next
    await world.remove("n2", end_jobs=True)
    assert "scancel --nodelist=n2" in world.clusters.done
    assert "scontrol update nodename=n2 state=drain reason='platformctl: node remove'" in world.clusters.done


async def test_a_drain_of_somebody_else_keeps_its_reason(world: World) -> None:
    world.clusters.slurm["n2"] = "drained"
    await world.remove("n2")
    assert world.clusters.done == []


@pytest.mark.parametrize("end", [False, True])
async def test_slurm_gives_up_the_jobs_of_a_lost_node(world: World, end: bool) -> None:
    world.hosts.down = {"192.0.2.13"}
    world.clusters.slurm["n2"] = "down*"
    world.clusters.jobs = {"n2": ["7 (alice)"]}
    await world.remove("n2", end_jobs=end)
    assert world.clusters.done == ["scontrol update nodename=n2 state=down reason='platformctl: node remove'"]


async def test_hosts_that_the_site_needs_are_refused(world: World) -> None:
    with pytest.raises(PlatformError) as error:
        await world.remove("n1", "ctl1")
    assert error.value.code is ExitCode.REFUSED
    assert "ctl1 runs the Kubernetes control plane, and no other host does" in str(error.value)
    world.clusters.nodes["ctl0"] = True
    world.clusters.control_plane = "ctl0"
    with pytest.raises(PlatformError):
        await world.remove("ctl0")
    assert world.clusters.done == []


def test_the_command_says_what_would_end_and_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.installed("192.0.2.12", "n1")
    world.clusters.pods, world.clusters.volumes = {"n1": ["web"]}, {"n1": "data"}
    monkeypatch.setattr(loading, "load", lambda _: FLEET)
    words = ["node", "remove", "-i", "/tmp/inventory", "n1"]
    done = CliRunner().invoke(app, words, input="n2\n", env={"COLUMNS": "200"})
    for expected in ("ended, as no other node takes pods: 1 pod", "team/data", "Type the node's name (n1)"):
        assert expected in done.stdout
    assert isinstance(done.exception, PlatformError)
    assert done.exception.code is ExitCode.REFUSED
    assert world.clusters.done == []
    other = CliRunner().invoke(app, [*words, "--yes", "n2"]).exception
    assert isinstance(other, PlatformError)
    assert "--yes does not name n1" in str(other)


def test_nothing_is_done_a_second_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load", lambda _: FLEET)
    done = CliRunner().invoke(app, ["node", "remove", "-i", "/tmp/inventory", "n7"])
    assert done.exit_code == 0
    assert "nothing to do: neither scheduler nor a host has anything of n7" in done.stdout
    assert world.clusters.done == []
