import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading, remote
from platformctl.engine.checking import status as checking
from platformctl.engine.checking.status import HostStatus, SiteStatus, gather
from platformctl.engine.fleet import Connection, Fleet
from platformctl.engine.planning import record
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet

Status = Callable[..., SiteStatus]


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Status:
    """gather(), with answers by the host's address and a word of the script; others know no such command.

    Hosts are installed and all of their units run, where the answers do not say otherwise.
    """

    def gathered(fleet: Fleet, answers: Mapping[tuple[str, str], Reply]) -> SiteStatus:
        async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
            found = (
                reply
                for (name, word), reply in answers.items()
                if fleet.hosts[name].connection == connection and word in script
            )
            fine = Reply(0, "installed\n", "")
            return next(found, fine if "digests.json" in script else Reply(127, "", "sh: not found"))

        monkeypatch.setattr(remote, "run", run)
        return asyncio.run(gather(fleet))

    return gathered


def sinfo(state: str, reason: str = "none") -> Reply:
    return Reply(0, f"Slurmctld(primary) at ctl1 is UP\n--\nn1|{state}|24.11.5|batch|{reason}\n", "")


SLURM = make_fleet({"ctl1": ("slurm_controller",), "n1": ("slurm_node",)})


# All that node_state_string of Slurm 24.11 says of nodes that are in use.
@pytest.mark.parametrize(
    ("states", "healthy"),
    [
        ("idle idle$ idle^ idle@ idle# idle% idle~ idle!", True),
        ("allocated allocated$ allocated+ mixed mixed- mixed~ completing completing$", True),
        ("reserved planned blocked maint reboot reboot^", True),
        ("drained drained$ drained~ draining draining@", True),
        ("idle* allocated* mixed* completing* maint* reboot* drained* draining*", False),
        ("inval", False),
        ("down down* down$ down^ down@ down# down% down~ down!", False),
        ("fail fail* failing failing*", False),
        ("unknown unknown* future future~ ?", False),
    ],
)
def test_which_states_of_slurm_are_healthy(status: Status, states: str, healthy: bool) -> None:
    for state in states.split():
        found = status(SLURM, {("ctl1", "sinfo"): sinfo(state)})
        assert (state, found.hosts[1].healthy) == (state, healthy)
        assert found.healthy is healthy


def test_a_node_that_slurm_refuses_is_shown_with_the_reason(status: Status) -> None:
    found = status(SLURM, {("ctl1", "sinfo"): sinfo("inval", "Low RealMemory (reported:1 < 100.00%)")})
    assert (found.hosts[1].slurm, found.hosts[1].healthy) == ("inval 24.11.5", False)
    assert found.hosts[1].remark.startswith("Low RealMemory")


def kubernetes(**ready: str) -> Reply:
    """What a control plane says of nodes; ready: status of the condition Ready, by node."""
    nodes = [
        {
            "metadata": {"name": name},
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": word, "message": f"kubelet says {word}"}],
                "nodeInfo": {"kubeletVersion": "v1.35.0"},
            },
        }
        for name, word in ready.items()
    ]
    version = {"serverVersion": {"gitVersion": "v1.35.0"}}
    answer = {"nodes": {"items": nodes}, "deployments": {"items": []}, "version": version}
    return Reply(0, json.dumps(answer), "")


def test_nodes_of_kubernetes_need_no_parent_group(status: Status) -> None:
    fleet = make_fleet({"ctl1": ("kubernetes_control_plane",), "n1": ("kubernetes_node",)})
    answers = {("ctl1", "kubectl"): kubernetes(ctl1="True", n1="Unknown")}
    control, node = status(fleet, answers).hosts
    assert (control.kubernetes, control.healthy) == ("Ready v1.35.0", True)
    assert (node.kubernetes, node.healthy) == ("NotReady v1.35.0", False)
    assert node.remark == "kubelet says Unknown"
    _, missing = status(fleet, {("ctl1", "kubectl"): kubernetes(ctl1="True")}).hosts
    assert (missing.healthy, missing.remark) == (False, "not known to kubernetes")


def test_accounting_is_asked_from_the_controller(status: Status) -> None:
    groups = {"db1": ("slurm_accounting",), "ctl1": ("slurm_controller",), "n1": ("slurm_node",)}
    fleet, idle = make_fleet(groups), sinfo("idle")
    found = status(fleet, {("ctl1", "sinfo"): idle, ("ctl1", "sacctmgr"): Reply(0, "lab\n", "")})
    assert [(item.name, item.where, item.state) for item in found.services] == [
        ("slurmdbd", "db1", "up"),
        ("slurmctld", "ctl1", "up"),
    ]
    assert found.healthy
    down = Reply(1, "", "sacctmgr: error: Problem talking to the database")
    found = status(fleet, {("ctl1", "sinfo"): idle, ("ctl1", "sacctmgr"): down})
    assert not found.healthy
    assert found.services[0].state == f"asked from ctl1: {down.err}"


def test_a_site_without_accounting_has_no_slurmdbd(status: Status) -> None:
    assert [item.name for item in status(SLURM, {("ctl1", "sinfo"): sinfo("idle")}).services] == ["slurmctld"]


NODES = {"ctl1": ("kubernetes_control_plane", "slurm_controller"), "n1": ("kubernetes_node", "slurm_node")}


def test_a_host_without_power_is_shown_though_the_schedulers_still_trust_it(status: Status) -> None:
    answers = {
        ("ctl1", "kubectl"): kubernetes(ctl1="True", n1="True"),
        ("ctl1", "sinfo"): sinfo("idle"),
        ("n1", "digests.json"): Reply(255, "", "no answer within 8 s"),
    }
    control, node = status(make_fleet(NODES), answers).hosts
    assert (control.state, control.healthy) == ("up", True)
    assert (node.state, node.healthy) == ("no answer", False)
    assert node.remark == "does not answer: no answer within 8 s"
    assert (node.kubernetes, node.slurm) == ("Ready v1.35.0", "idle 24.11.5")


def test_a_daemon_that_does_not_run_is_named(status: Status) -> None:
    answers = {
        ("ctl1", "kubectl"): kubernetes(ctl1="True", n1="True"),
        ("ctl1", "sinfo"): sinfo("idle"),
        ("n1", "digests.json"): Reply(0, "installed\nkubelet failed\nslurmd inactive\n", ""),
    }
    _, node = status(make_fleet(NODES), answers).hosts
    assert (node.state, node.healthy, node.remark) == ("up", False, "kubelet is failed, slurmd is inactive")


def test_a_site_that_is_not_installed_says_so_in_words(status: Status) -> None:
    fresh = {(name, "digests.json"): Reply(0, "nothing\n", "") for name in NODES}
    found = status(make_fleet(NODES), fresh)
    assert {host.state for host in found.hosts} == {"not installed"}
    assert {host.remark for host in found.hosts} == {""}
    assert {service.state for service in found.services} == {"not installed"}
    assert not found.healthy


def test_hosts_are_asked_what_belongs_to_them_at_once_and_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, float]] = []

    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        if "digests.json" in script:
            asked.append((script, seconds))
            await asyncio.sleep(0.05)
        return Reply(0, "installed\n", "")

    monkeypatch.setattr(remote, "run", run)
    many = make_fleet({f"n{number}": () for number in range(40)} | {"k": ("kubernetes_node",)})
    started = time.monotonic()
    asyncio.run(gather(many))
    assert time.monotonic() - started < 1
    assert len(asked) == 41
    assert {seconds for _, seconds in asked} == {8}
    assert ["containerd kubelet" in script for script, _ in asked].count(True) == 1


def test_a_large_site_is_asked_through_ssh_only_where_that_tells_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = make_fleet(
        {"ctl1": ("slurm_controller",)} | {f"n{number}": ("slurm_node",) for number in range(300)}
    )
    asked: list[str] = []

    async def knock(connection: Connection, seconds: float) -> bool:
        return connection != fleet.hosts["n7"].connection

    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        if "digests.json" in script:
            asked.append(next(host.name for host in fleet.hosts.values() if host.connection == connection))
        down = connection == fleet.hosts["n7"].connection
        return Reply(255, "", "No route to host") if down else Reply(0, answer, "")

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(remote, "knock", knock)
    answer = "installed\n"
    found = {host.name: host.state for host in asyncio.run(gather(fleet)).hosts}
    assert sorted(asked) == ["ctl1", "n0", "n7"]
    assert (found["n7"], found["n8"]) == ("no answer", "up")
    assert list(found) == list(fleet.hosts)
    monkeypatch.setattr(remote, "knock", lambda *_: asyncio.sleep(0, True))
    answer = "nothing\n"
    fresh = {host.name: host.state for host in asyncio.run(gather(fleet)).hosts}
    assert fresh["n8"] == "not installed"


def test_the_question_to_a_host_is_a_script_that_sh_understands(tmp_path: Path) -> None:
    programs = tmp_path / "systemctl"
    programs.write_text("#!/bin/sh\n[ $2 = slurmd ] && echo failed || echo active\n")
    programs.chmod(0o755)
    script = checking._SELF.replace("UNITS", "munge slurmd").replace(record.FOLDER, str(tmp_path))

    def ask() -> str:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(["sh", "-c", script], env=environment, stdout=subprocess.PIPE, text=True).stdout

    assert ask() == "nothing\nslurmd failed\n"
    (tmp_path / "digests.json").write_text('{"base": {"digest": "x"}}')
    assert ask() == "installed\nslurmd failed\n"


def test_a_host_that_is_no_node_is_asked_about_no_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\n[ $# -gt 1 ] && echo active\n")
    program.chmod(0o755)
    (tmp_path / "digests.json").write_text('{"base": {"digest": "x"}}')

    def answer(script: str) -> Reply:
        script = script.replace(record.FOLDER, str(tmp_path))
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
        return Reply(done.returncode, done.stdout, done.stderr)

    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return answer(script)

    monkeypatch.setattr(remote, "run", run)
    found = asyncio.run(gather(make_fleet({"reg1": ("registry",), "login1": ("site_login",)})))
    assert [(host.state, host.healthy, host.remark) for host in found.hosts] == [("up", True, "")] * 2


def test_the_command_says_what_to_do_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gathered(_: Fleet) -> SiteStatus:
        host = HostStatus("n1", "192.0.2.11", "shared", "not installed", "", "", False)
        return SiteStatus("test", (host,), ())

    monkeypatch.setattr(checking, "gather", gathered)
    monkeypatch.setattr(loading, "load", lambda _: SLURM)
    done = CliRunner().invoke(app, ["status", "-i", "mysite"])
    assert done.exit_code == 1
    assert "nothing is installed yet: platformctl install -i mysite" in done.stderr


def test_the_services_of_the_stage_table_are_asked_of_the_first_host_of_their_group(status: Status) -> None:
    fleet = make_fleet({"reg1": ("registry",), "rest1": ("slurm_rest",), "rest2": ("slurm_rest",)})
    answers = {
        ("reg1", "systemctl is-active docker-registry"): Reply(0, "active\n", ""),
        ("rest1", "systemctl is-active slurmrestd"): Reply(0, "active\n", ""),
        ("rest1", "systemctl is-active slurm-rest-tls"): Reply(3, "failed\n", ""),
    }
    found = status(fleet, answers)
    assert [(item.name, item.where, item.state, item.healthy) for item in found.services] == [
        ("docker-registry", "reg1", "up", True),
        ("slurmrestd", "rest1", "up", True),
        ("slurm-rest-tls", "rest1", "failed", False),
    ]
    assert not found.healthy
