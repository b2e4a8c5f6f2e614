"""A node that is added to the site, belongs to one scheduler at a time, and moves between them.

While it moves, a watcher asks both schedulers several times a second whether they would give it work.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from platformctl import lab as labs
from tests.e2e.conftest import PLATFORMCTL, Site, changed_variables, hosts_of, platformctl
from tests.e2e.ownership import Story

SEED = int(os.environ.get("PLATFORMCTL_SEED") or random.randrange(10**6))
_NODE = "node3"
_KILLS = 40
_SEQUENCES = int(os.environ.get("PLATFORMCTL_SEQUENCES") or 200)
_UNPROVEN = "platformctl.io/moving"
_OFFERS = "{.spec.unschedulable}|{.spec.taints[*].key}|{.status.conditions[?(@.type=='Ready')].status}"


@pytest.fixture(scope="module")
def grown(site: Site) -> Iterator[Site]:
    """The site with a fourth host, a node of both schedulers that belongs to Slurm first."""
    path = site.inventory / "hosts.yml"
    before = path.read_text()
    lab = labs.find(site.lab)
    assert lab is not None
    document = yaml.safe_load(before)
    children = document["all"]["children"]
    document["all"]["hosts"][_NODE] = {"ansible_host": str(lab.slot[-12]), "node_owner": "slurm"}
    children["kubernetes"]["children"]["kubernetes_node"]["hosts"][_NODE] = {}
    sizes = {"slurm_node_cpus": 4, "slurm_node_memory_mib": 16384}
    children["slurm"]["children"]["slurm_node"]["hosts"][_NODE] = sizes
    try:
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        started = platformctl("lab", "up", "--name", site.lab)
        assert started.returncode == 0, started.stdout + started.stderr
        added = site.events("node", "add", _NODE)
        assert hosts_of(added, "host", "slurm_node") == {_NODE}
        assert hosts_of(added, "host", "base") == {_NODE, "ctl1"}
        # The other hosts learn its name.
        assert {"node1", "node2"} <= hosts_of(site.events("install", "--yes"), "host", "base")
        yield site
    finally:
        platformctl("node", "remove", "-i", str(site.inventory), _NODE, "--yes", _NODE, "--end-jobs")
        path.write_text(before)
        site.run("install", "--yes")


def _move(site: Site, to: str, *options: str, code: int = 0) -> str:
    done = platformctl("node", "move", "-i", str(site.inventory), _NODE, "--to", to, *options)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _offered(site: Site) -> set[str]:
    """The schedulers that would start work on the node now."""
    offers = set()
    slurm = site.host("ctl1", "sinfo", "--noheader", "--nodes", _NODE, "--format=%T").split()
    if slurm and slurm[0] in ("idle", "mixed", "allocated"):
        offers.add("slurm")
    node = site.kubectl("get", "node", _NODE, "--ignore-not-found", "--output", f"jsonpath={_OFFERS}")
    cordoned, taints, ready = node.split("|") if node else ("", "", "")
    if ready == "True" and not cordoned and not taints:
        offers.add("kubernetes")
    return offers


def _serves_slurm(site: Site) -> None:
    """Slurm gives work to the node, within half a minute after somebody put it back into service."""
    deadline = time.monotonic() + 30
    while _offered(site) != {"slurm"}:
        assert time.monotonic() < deadline, site.host("ctl1", "scontrol", "show", "node", _NODE)
        time.sleep(1)


@contextmanager
def _watched(site: Site) -> Iterator[list[set[str]]]:
    """What both schedulers offer, asked all the time."""
    found: list[set[str]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            found.append(_offered(site))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
    assert len(found) > 1
    assert {"slurm", "kubernetes"} not in found


def _owner(site: Site) -> str:
    hosts = {host["name"]: host for host in site.events("status")[-1]["hosts"]}
    return str(hosts[_NODE]["owner"])


def test_a_node_goes_to_kubernetes_and_back(grown: Site) -> None:
    with _watched(grown):
        said = _move(grown, "kubernetes")
        assert f"{_NODE} belongs to Kubernetes now: a pod ran on {_NODE}" in said
        assert _offered(grown) == {"kubernetes"}
        assert grown.host(_NODE, "sh", "-c", "systemctl is-active kubelet slurmd; true").split() == [
            "active",
            "inactive",
        ]
        # What install and status say of it.
        assert "nothing to do" in grown.run("install")
        grown.run("status")
        grown.run("verify")
        assert f"{_NODE} belongs to Kubernetes already" in _move(grown, "kubernetes")
        said = _move(grown, "slurm")
        assert f"{_NODE} belongs to Slurm now: a job ran on {_NODE}" in said
        assert _offered(grown) == {"slurm"}
        assert "nothing to do" in grown.run("install")
        grown.run("status")


def test_a_host_that_boots_stays_its_owners(grown: Site) -> None:
    _move(grown, "kubernetes")
    grown.host(_NODE, "systemctl", "start", "slurmd")
    assert grown.host(_NODE, "sh", "-c", "systemctl is-active slurmd; true").strip() == "inactive"
    _move(grown, "slurm")
    grown.host(_NODE, "systemctl", "start", "kubelet")
    assert grown.host(_NODE, "sh", "-c", "systemctl is-active kubelet; true").strip() == "inactive"


def test_work_stays_unless_it_may_end(grown: Site) -> None:
    submit = f"sbatch --parsable --output=/dev/null --nodelist={_NODE} --wrap='sleep 600'"
    job = grown.shell("ctl1", submit, "alice").strip()
    try:
        running = f"until squeue --noheader --states=running --jobs={job} | grep -q .; do sleep 0.2; done"
        grown.host("ctl1", "timeout", "60", "sh", "-c", running)
        said = _move(grown, "kubernetes", "--timeout", "1", code=3)
        assert f"{job} (alice" in said
        assert f"{_NODE} stays with Slurm" in said
        assert "DRAIN" not in grown.host("ctl1", "scontrol", "show", "node", _NODE)
        with _watched(grown):
            _move(grown, "kubernetes", "--requeue")
        assert "PENDING" in grown.host("ctl1", "squeue", "--noheader", "--format=%T", f"--jobs={job}")
    finally:
        grown.shell("ctl1", f"scancel {job}")
        _move(grown, "slurm")


def test_drains_and_cordons_of_others_stay(grown: Site) -> None:
    drained = "hands off, it belongs to Kubernetes"
    grown.host("ctl1", "scontrol", "update", f"nodename={_NODE}", "state=drain", f"reason={drained}")
    try:
        _move(grown, "kubernetes")
        grown.kubectl("cordon", _NODE)
        grown.kubectl("label", "node", _NODE, "example.org/rack=7")
        assert "somebody else has drained it" in _move(grown, "slurm")
        assert f"Reason={drained} " in grown.host("ctl1", "scontrol", "show", "node", _NODE)
        _move(grown, "kubernetes")
        node = grown.kubectl(
            "get", "node", _NODE, "--output", "jsonpath={.spec.unschedulable} {.metadata.labels}"
        )
        assert node.startswith("true ")
        assert '"example.org/rack":"7"' in node
        assert f"Reason={drained} " in grown.host("ctl1", "scontrol", "show", "node", _NODE)
    finally:
        grown.kubectl("uncordon", _NODE)
        _move(grown, "slurm")
        grown.host("ctl1", "scontrol", "update", f"nodename={_NODE}", "state=resume")
    _serves_slurm(grown)


def test_nodes_are_taken_out_of_service_and_put_back(grown: Site) -> None:
    def ask(*words: str, code: int = 0) -> str:
        done = platformctl("node", words[0], "-i", str(grown.inventory), *words[1:])
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "was not taken out of service" in ask("undrain", _NODE)
    reason = "new memory, 'soon'"
    assert f"{_NODE} is empty and takes no new work: {reason}" in ask("drain", _NODE, "--reason", reason)
    assert _offered(grown) == set()
    assert reason in grown.host("ctl1", "scontrol", "show", "node", _NODE)
    refused = _move(grown, "kubernetes", code=3)
    assert "was taken out of service" in refused
    assert f"platformctl node undrain -i {grown.inventory} {_NODE}" in refused
    assert f"{_NODE} is not drained any more" in ask("undrain", _NODE)
    _serves_slurm(grown)

    # A node of Kubernetes, on which somebody else has a cordon of their own.
    ask("drain", "node1", "--reason", "cables", "--timeout", "0", code=3)
    grown.kubectl("cordon", "node1")
    assert "cordoned, by somebody else" in ask("undrain", "node1")
    taints = grown.kubectl("get", "node", "node1", "--output", "jsonpath={.spec.taints[*].key}")
    assert "platformctl.io/drained" not in taints
    grown.kubectl("uncordon", "node1")


def test_nodes_that_are_needed_where_they_are_do_not_move(grown: Site) -> None:
    for host, words in (
        ("ctl1", "runs the Kubernetes control plane"),
        ("node2", "is not installed for both schedulers"),
        ("nobody", "the inventory has no host nobody"),
    ):
        done = platformctl("node", "move", "-i", str(grown.inventory), host, "--to", "kubernetes")
        assert done.returncode == 3
        assert words in done.stderr
    grown.host("ctl1", "scontrol", "update", "nodename=node2", "state=drain", "reason=test")
    try:
        assert f"{_NODE} is the last node in service of main" in _move(grown, "kubernetes", code=3)
    finally:
        grown.host("ctl1", "scontrol", "update", "nodename=node2", "state=resume")


def _balance(site: Site, code: int = 0) -> str:
    done = platformctl("node", "balance", "-i", str(site.inventory))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_idle_node_goes_to_the_side_whose_work_waits(grown: Site) -> None:
    assert "set node_balance" in _balance(grown, code=3)
    at_once = {"waits_minutes": 0, "idle_minutes": 0, "stays_minutes": 0}
    pods = [f"waits{number}" for number in range(3)]
    with changed_variables(grown, "site", node_balance={"enabled": True, **at_once}):
        assert "no work waits for nodes" in _balance(grown)
        image = grown.kubectl(
            "get", "pods", "-A", "--output", "jsonpath={.items[0].spec.containers[0].image}"
        )
        asks = {"containers": [{"name": "w", "image": image, "command": ["sleep", "600"]}]}
        asks["containers"][0]["resources"] = {"requests": {"cpu": "1200m"}}  # type: ignore[assignment]
        try:
            for pod in pods:
                grown.kubectl("run", pod, f"--image={image}", "--overrides", json.dumps({"spec": asks}))
            _waits(
                grown,
                "kubectl get pods --field-selector=status.phase=Pending -o yaml | grep -q Unschedulable",
            )
            said = _balance(grown)
            assert f"{_NODE} goes to Kubernetes: " in said
            assert _offered(grown) == {"kubernetes"}
            _waits(grown, f"kubectl get pods --field-selector=spec.nodeName={_NODE} | grep -q waits")
            # It has work now, so it stays.
            assert "goes to" not in _balance(grown)
        finally:
            grown.kubectl("delete", "pods", *pods, "--ignore-not-found", "--now")
        submit = "sbatch --parsable --output=/dev/null --nodes=2 --wrap=true"
        job = grown.shell("ctl1", submit, "alice").strip()
        _waits(grown, f"squeue --noheader --jobs={job} --format=%r | grep -Eq 'Resources|Node'")
        assert f"{_NODE} goes to Slurm: 1 job waits for 2 nodes" in _balance(grown)
        _waits(grown, f"sacct --noheader --jobs={job} --format=state | grep -q COMPLETED")
    assert _offered(grown) == {"slurm"}


def _waits(site: Site, condition: str) -> None:
    admin = "export KUBECONFIG=/etc/kubernetes/admin.conf"
    site.host("ctl1", "timeout", "90", "sh", "-c", f"{admin}; until {condition}; do sleep 0.5; done")


@pytest.mark.parametrize("rounds", [3, pytest.param(_KILLS, marks=pytest.mark.dirt)])
def test_a_move_that_is_killed_is_finished_or_undone(grown: Site, rounds: int) -> None:
    chosen = random.Random(SEED)
    sys.stdout.write(f"PLATFORMCTL_SEED={SEED}\n")
    with _watched(grown):
        for _ in range(rounds):
            to = chosen.choice(["kubernetes", "slurm"])
            command = [PLATFORMCTL, "node", "move", "-i", str(grown.inventory), _NODE, "--to", to]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(chosen.uniform(1.0, 15.0))
                process.send_signal(signal.SIGKILL)
            then = chosen.choice(["kubernetes", "slurm"])
            _move(grown, then)
            assert _offered(grown) == {then}
            assert _owner(grown) == then
    if _owner(grown) != "slurm":
        _move(grown, "slurm")
    assert "No reservations" in grown.host("ctl1", "scontrol", "show", "reservations")


@pytest.mark.dirt
@pytest.mark.parametrize("number", range(_SEQUENCES))
def test_whatever_happens_one_scheduler_has_the_node(grown: Site, number: int) -> None:
    story = Story(grown, _NODE, random.Random(SEED + number))
    with _watched(grown):
        try:
            for _ in range(3):
                story.step()
        finally:
            sys.stdout.write(f"PLATFORMCTL_SEED={SEED}, sequence {number}:\n{story.words}")
            story.settle("slurm")
    _serves_slurm(grown)
    assert _owner(grown) == "slurm"
    assert "No reservations" in grown.host("ctl1", "scontrol", "show", "reservations")
