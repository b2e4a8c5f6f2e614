import asyncio
import json
from collections.abc import Callable, Mapping

import pytest

from platformctl.engine import remote
from platformctl.engine.checking.status import SiteStatus, gather
from platformctl.engine.fleet import Connection, Fleet
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet

Status = Callable[..., SiteStatus]


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Status:
    """gather(), with answers by the host's address and a word of the script; others know no such command."""

    def gathered(fleet: Fleet, answers: Mapping[tuple[str, str], Reply]) -> SiteStatus:
        async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
            found = (
                reply
                for (name, word), reply in answers.items()
                if fleet.hosts[name].connection == connection and word in script
            )
            return next(found, Reply(127, "", "sh: not found"))

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
        ("slurmctld", "ctl1", "up"),
        ("slurmdbd", "db1", "up"),
    ]
    assert found.healthy
    down = Reply(1, "", "sacctmgr: error: Problem talking to the database")
    found = status(fleet, {("ctl1", "sinfo"): idle, ("ctl1", "sacctmgr"): down})
    assert not found.healthy
    assert found.services[1].state == f"asked from ctl1: {down.err}"


def test_a_site_without_accounting_has_no_slurmdbd(status: Status) -> None:
    assert [item.name for item in status(SLURM, {("ctl1", "sinfo"): sinfo("idle")}).services] == ["slurmctld"]
