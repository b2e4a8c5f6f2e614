"""What the answers to health checks mean."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine.checking.proofs import TABLE, kubernetes, slurm
from platformctl.engine.checking.proofs.health_check import GLOBAL, SKIPPED, Outcome, Scene, plain
from tests.unit.engine.sites import make_fleet

NODES = {"ctl1": ("kubernetes_control_plane",), "n1": ("kubernetes_node",), "n2": ("kubernetes_node",)}
FLEET = make_fleet(NODES, own={"n2": {"base_address": "10.0.0.2"}})
APPLIED = dict(NODES)


def scene(*without: str) -> Scene:
    return Scene(FLEET, {name: stages for name, stages in APPLIED.items() if name not in without})


@pytest.mark.parametrize(
    ("code", "output", "wanted"),
    [
        (0, "a\nfine\n", Outcome(True, "fine")),
        (SKIPPED, "the node is busy\n", Outcome(True, "the node is busy", skipped=True)),
        (1, "one\n\ntwo\n", Outcome(False, "one / two")),
        (7, "", Outcome(False, "exit status 7")),
        (124, "so far\n", Outcome(False, "so far / no answer in time")),
    ],
)
def test_the_usual_reading(code: int, output: str, wanted: Outcome) -> None:
    assert plain(scene(), "n1", code, output) == {"n1": wanted}


def node(name: str, ready: str = "True", address: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "message": f"kubelet says {ready}"}],
            "addresses": [{"type": "InternalIP", "address": address}] if address else [],
            "nodeInfo": {"kubeletVersion": "v1.35.0"},
        },
    }


def document(
    nodes: list[Any], *, deployments: Sequence[Any] = (), services: Sequence[Any] = ()
) -> Mapping[str, Any]:
    return {
        "nodes": {"items": nodes},
        "deployments": {"items": list(deployments)},
        "services": {"items": list(services)},
        "version": {"serverVersion": {"gitVersion": "v1.35.0"}},
    }


def test_a_node_is_ready_at_the_address_of_the_inventory() -> None:
    known = [node("ctl1", address="192.0.2.11"), node("n1", "Unknown"), node("n2", address="192.0.2.13")]
    found = kubernetes.judge_nodes(scene(), document(known))
    assert found["ctl1"] == Outcome(True, "Ready at 192.0.2.11")
    assert found["n1"] == Outcome(False, "NotReady: kubelet says Unknown")
    assert found["n2"] == Outcome(False, "Kubernetes has it at 192.0.2.13, but the inventory at 10.0.0.2")
    assert kubernetes.judge_nodes(scene(), document([]))["n1"] == Outcome(
        False, "Kubernetes does not know n1"
    )


def test_a_host_that_is_not_installed_is_no_node_yet() -> None:
    assert set(kubernetes.judge_nodes(scene("n2"), document([]))) == {"ctl1", "n1"}


def test_each_pair_of_a_small_site_is_neighbours_and_a_few_of_a_large_one() -> None:
    pairs = {
        frozenset((name, peer.name))
        for name in NODES
        for peer in kubernetes.neighbours(FLEET, FLEET.hosts[name])
    }
    assert len(pairs) == 3
    large = make_fleet({f"n{number}": ("kubernetes_node",) for number in range(50)})
    last = kubernetes.neighbours(large, large.hosts["n49"])
    assert [peer.name for peer in last] == ["n0", "n1", "n2"]
    assert kubernetes.neighbours(large, FLEET.hosts["ctl1"]) == []


PODS = "! n2 pods do not reach those of n2\nthe pod network uses 192.0.2.12 and reaches 1 neighbours\n"


def test_a_neighbour_that_is_not_in_service_is_not_missed() -> None:
    read = TABLE["pod_network"].read
    assert read(scene(), "n1", 0, PODS) == {"n1": Outcome(False, "pods do not reach those of n2")}
    assert read(scene("n2"), "n1", 0, PODS)["n1"].fine
    assert read(scene(), "n1", 1, "there is no device flannel.1\n") == {
        "n1": Outcome(False, "there is no device flannel.1")
    }
    assert read(scene(), "n1", 124, "") == {"n1": Outcome(False, "no answer in time")}


def deployment(namespace: str, ready: int, available: str = "True") -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": namespace},
        "spec": {"replicas": 2},
        "status": {
            "readyReplicas": ready,
            "updatedReplicas": 2,
            "conditions": [{"type": "Available", "status": available}],
        },
    }


@pytest.mark.parametrize(
    ("ready", "available", "away", "fine"),
    [(2, "True", 0, True), (1, "True", 0, False), (1, "True", 1, True), (1, "False", 1, False)],
)
def test_a_node_that_is_away_may_take_a_pod(ready: int, available: str, away: int, fine: bool) -> None:
    nodes = [node("n1"), *(node(f"away{number}", "Unknown") for number in range(away))]
    found = TABLE["addons"].read(
        scene(),
        "ctl1",
        0,
        json.dumps(document(nodes, deployments=[deployment("kube-system", ready, available)])),
    )
    assert found[GLOBAL].fine is fine
    assert fine or "coredns has 1 of 2 ready" in found[GLOBAL].found


def test_a_change_that_is_not_rolled_out_is_not_done() -> None:
    found = deployment("kube-system", 2)
    assert kubernetes.workload(found).fine
    found["metadata"]["generation"], found["status"]["observedGeneration"] = 5, 4
    assert kubernetes.workload(found) == Outcome(False, "2 of 2 ready, 0 of 2 changed")
    found["status"] |= {"observedGeneration": 5, "updatedReplicas": 1}
    assert kubernetes.workload(found) == Outcome(False, "2 of 2 ready, 1 of 2 changed")
    pods = {"numberReady": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 2}
    flannel = {"kind": "DaemonSet", "metadata": {}, "status": pods}
    assert (kubernetes.workload(flannel).fine, kubernetes.workload(flannel, away=1).fine) == (False, True)


def test_an_api_that_a_service_of_the_site_serves_must_answer() -> None:
    api = {
        "metadata": {"name": "v1.logs"},
        "spec": {"service": {"namespace": "platform-logs", "name": "logs"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "message": "no endpoints"}]},
    }
    answer = document([], deployments=[deployment("platform-system", 2)], services=[api])
    found = TABLE["platform"].read(scene(), "ctl1", 0, json.dumps(answer))[GLOBAL]
    assert found == Outcome(False, "the API v1.logs is not available: no endpoints")
    api["status"]["conditions"][0]["status"] = "True"
    assert TABLE["platform"].read(scene(), "ctl1", 0, json.dumps(answer))[GLOBAL].fine


def test_a_site_whose_services_are_not_there_is_not_fine() -> None:
    found = TABLE["platform"].read(scene(), "ctl1", 0, json.dumps(document([])))[GLOBAL]
    assert (found.fine, "nothing is in" in found.found) == (False, True)


@pytest.mark.parametrize("name", ["node", "addons", "platform", "flannel"])
@pytest.mark.parametrize(
    ("code", "output"), [(1, "connection refused\n"), (0, "no JSON"), (0, "[]"), (124, "")]
)
def test_an_api_that_does_not_answer_is_never_fine(name: str, code: int, output: str) -> None:
    found = TABLE[name].read(scene(), "ctl1", code, output)
    assert not found[GLOBAL].fine
    assert "does not answer on ctl1" in found[GLOBAL].found


SLURM = make_fleet({"ctl1": ("slurm_controller",), "n1": ("slurm_node",), "n2": ("slurm_node",)})
SLURM_SCENE = Scene(SLURM, {"ctl1": {"slurm_controller"}, "n1": {"slurm_node"}})


def sinfo(state: str, reason: str = "none") -> str:
    return f"Slurmctld(primary) at ctl1 is UP\n--\nn1|{state}|24.11.5|batch|{reason}\n"


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
def test_which_states_of_slurm_are_healthy(states: str, healthy: bool) -> None:
    for state in states.split():
        found = TABLE["slurm_node"].read(SLURM_SCENE, "ctl1", 0, sinfo(state))
        assert {name: outcome.fine for name, outcome in found.items()} == {"n1": healthy}, state


@pytest.mark.parametrize(
    ("reason", "healthy"),
    [
        ("Kill task failed", False),
        ("Low RealMemory (reported:15900 < 100.00% of configured:16000)", False),
        ("gres/gpu count reported lower than configured (0 < 1)", False),
        ("new disk, back on Monday", True),
        ("low on disk, says bob", True),
        ("none", True),
    ],
)
def test_a_drain_of_slurm_itself_is_no_drain_on_purpose(reason: str, healthy: bool) -> None:
    found = TABLE["slurm_node"].read(SLURM_SCENE, "ctl1", 0, sinfo("drained", reason))["n1"]
    assert found.fine is healthy
    assert reason == "none" or reason in found.found


def test_a_reason_may_contain_anything() -> None:
    assert slurm.states(sinfo("drained", "a|b")) == {"n1": ("drained", "24.11.5", "a|b")}


def test_the_controller_names_nodes_that_it_refuses() -> None:
    found = TABLE["slurmctld"].read(SLURM_SCENE, "ctl1", 0, sinfo("inval", "Low RealMemory"))
    assert found == {GLOBAL: Outcome(False, "slurmctld refuses what nodes report: n1 (Low RealMemory)")}
    assert TABLE["slurmctld"].read(SLURM_SCENE, "ctl1", 0, sinfo("idle"))[GLOBAL].fine


@pytest.mark.parametrize("name", ["slurmctld", "slurm_node"])
def test_a_controller_that_does_not_answer_is_never_fine(name: str) -> None:
    found = TABLE[name].read(SLURM_SCENE, "ctl1", 1, "slurm_load_node error: Unable to contact\n")
    assert "Unable to contact" in found[GLOBAL].found
    assert not found[GLOBAL].fine


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("drained n1 Low RealMemory (reported:1 < 100.00% of configured:2)", 1),
        ("draining n1 Low CPUs", 1),
        ("inval n1 Low RealMemory", 0),
        ("drained* n1 Low RealMemory", 0),
        ("drained n1 low on disk, says bob", 0),
        ("drained n1 Kill task failed", 0),
        ("", 0),
    ],
)
def test_a_drain_whose_cause_is_gone_is_drift(tmp_path: Path, lines: str, code: int) -> None:
    program = tmp_path / "sinfo"
    program.write_text(f"#!/bin/sh\necho '{lines}'\n")
    program.chmod(0o755)
    script = TABLE["drains"].script(SLURM, SLURM.hosts["ctl1"])
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, "Slurm took n1 out" in done.stdout) == (code, bool(code))
    assert done.stderr == ""


STATES = {
    "idle": (0, "a job step ran on n1"),
    "mixed": (SKIPPED, "not tried: the node is mixed"),
    "drained": (SKIPPED, "not tried: the node is drained"),
    "down*": (1, "no job can start: Slurm says down*"),
    "inval": (1, "no job can start: Slurm says inval"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_job_step_is_tried_on_an_idle_node_alone(tmp_path: Path, state: str) -> None:
    for name, text in {
        "sinfo": f'case "$*" in *%R*) echo main ;; *) echo "{state}" ;; esac',
        "srun": f'echo "$*" >> {tmp_path}/ran; echo n1',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = TABLE["job_step"].script(SLURM, SLURM.hosts["n1"])
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == STATES[state]
    ran = tmp_path / "ran"
    assert ran.exists() is (state == "idle")
    if ran.exists():
        assert "--nodelist=n1" in ran.read_text()
        assert "--partition=main" in ran.read_text()


def test_a_controller_that_is_down_is_told_without_its_stars() -> None:
    said = "Slurmctld(primary) at ctl1 is DOWN\n*******\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n*******\n"
    found = TABLE["slurmctld"].read(SLURM_SCENE, "ctl1", 1, said)[GLOBAL].found
    assert found == "slurmctld does not answer on ctl1: Slurmctld(primary) at ctl1 is DOWN"


def test_drains_are_not_judged_while_the_controller_is_away(tmp_path: Path) -> None:
    (tmp_path / "sinfo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sinfo").chmod(0o755)
    script = TABLE["drains"].script(SLURM, SLURM.hosts["ctl1"])
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["sh", "-c", script], env=environment, capture_output=True).returncode == SKIPPED
