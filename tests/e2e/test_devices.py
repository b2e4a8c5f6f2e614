"""A node that both schedulers use: each offers and opens its own devices, CPUs and memory, and no others.

On the lab of the fixture `shared`. The device
files of lab hosts have no driver. Opening one fails with "No such device or address" where that is allowed,
and with "Operation not permitted" where a control group forbids it.
"""

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from platformctl import lab as labs
from platformctl.lab import Lab, faults
from platformctl.lab.devices import DRIVER
from tests.e2e.conftest import Site, platformctl
from tests.shared_node import (
    FILES,
    LINK,
    NODE,
    PORT,
    SLICE,
    SLICED,
    SLURM_MIB,
    drain,
    in_kubernetes,
    stamp,
)

BUSYBOX = "docker.io/library/busybox:1.37"
MINE, FORBIDDEN, NOT_HERE = (
    "No such device or address",
    "Operation not permitted",
    "no such file",
)
FPGA = {"platformctl.io/fpga": "1"}
ADMIN = "--kubeconfig /etc/kubernetes/admin.conf"
OPEN = 'for file in {files}; do (: < $file) 2>&1 | sed "s#.*: #$file #"; done'


def srun(site: Site, *options: str, script: str) -> str:
    """What a step of alice on the node prints."""
    return site.shell(
        "ctl1", f"srun --time=5 --nodelist={NODE} {' '.join(options)} sh -c {shlex.quote(script)}", "alice"
    )


@contextlib.contextmanager
def running(site: Site, name: str, **limits: str) -> Iterator[str]:
    """A pod of busybox on the node with these limits; it is removed after."""
    container: dict[str, Any] = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sleep", "1000"],
        "resources": {"limits": limits},
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "containers": [container],
    }
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    try:
        site.host("ctl1", "sh", "-c", f"kubectl {ADMIN} apply -f - <<'END'\n{json.dumps(manifest)}\nEND")
        site.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"pod/{name}")
        yield name
    finally:
        site.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=true")


def inside(site: Site, pod: str, script: str) -> str:
    """What a command in a pod prints."""
    return site.kubectl("exec", pod, "--", "sh", "-c", script)


def opened(printed: str) -> dict[str, str]:
    """What opening each file said, by file."""
    return dict(line.split(" ", 1) for line in printed.splitlines())


def cpus(text: str) -> set[int]:
    """The CPUs of a line of /proc/self/status."""
    numbers: set[int] = set()
    for part in text.split(":")[1].strip().split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


ALLOWED = "grep Cpus_allowed_list /proc/self/status"


def test_each_scheduler_offers_its_own_part(shared: Site) -> None:
    listed = json.loads(shared.run("-o", "json", "node", "list"))
    node = json.loads(shared.run("-o", "json", "node", "describe", NODE))
    for row in node["devices"]:
        # Only describe asks the host for it.
        assert row["faults"] == {}
        row["faults"] = None
    assert node in listed
    there = os.cpu_count() or 0
    assert (node["owner"], node["slurm"]["cpus"], node["kubernetes"]["cpus"]) == ("shared", 1, there - 1)
    assert node["slurm"]["memory_mib"] == SLURM_MIB
    total = (
        int(shared.host(NODE, "sed", "-n", "s/^MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo")) // 1024
    )
    assert total - SLURM_MIB - 1024 - 256 < node["kubernetes"]["memory_mib"] <= total - SLURM_MIB - 1024
    rows = [(row["known_as"], row["owner"], row["count"], row["offered"]) for row in node["devices"]]
    assert rows == [
        ("gpu:a100", "slurm", 2, 2),
        ("nvidia.com/gpu", "kubernetes", 1, 1),
        ("fpga", "slurm", 1, 1),
        ("platformctl.io/fpga", "kubernetes", 2, 2),
        ("gpu:1g.10gb", "slurm", 1, 1),
        (SLICE, "kubernetes", 1, 1),
        (LINK, "kubernetes", 1, 1),
    ]


def test_a_job_of_slurm_opens_its_own_devices_alone(shared: Site) -> None:
    script = OPEN.format(files=" ".join(FILES))
    without = opened(srun(shared, script=script))
    assert set(without.values()) == {FORBIDDEN}
    assert without.keys() == set(FILES)
    one = opened(srun(shared, "--gres=gpu:a100:1", script=script))
    assert sorted(one.values()).count(MINE) == 1
    assert MINE in (one["/dev/nvidia0"], one["/dev/nvidia1"])
    every = opened(srun(shared, "--gres=gpu:a100:2,fpga:1", script=script))
    assert {file for file, said in every.items() if said == MINE} == {FILES[0], FILES[1], FILES[3]}


def test_no_job_gets_a_device_of_kubernetes(shared: Site) -> None:
    for gres in ("gpu:a100:3", "fpga:2"):
        words = f"srun --nodelist={NODE} --gres={gres} --immediate=5 true 2>&1"
        said = shared.host("ctl1", "su", "-", "alice", "-c", words, code=1)
        assert "Requested node configuration is not available" in said


def test_a_pod_gets_its_own_devices_alone(shared: Site) -> None:
    script = OPEN.format(files=" ".join([*FILES, "/dev/lab-fpga-control"]))
    with running(shared, "plain") as pod:
        assert set(opened(inside(shared, pod, script)).values()) == {NOT_HERE}
    with running(shared, "fpga", **FPGA) as pod:
        found = opened(inside(shared, pod, script))
        mine = {file for file, said in found.items() if said == MINE}
        assert "/dev/lab-fpga-control" in mine
        assert len(mine) == 2
        assert mine <= {"/dev/lab-fpga1", "/dev/lab-fpga2", "/dev/lab-fpga-control"}
        # What the host's CDI file says of the device that it got, and nothing for the pod before.
        (device,) = mine - {"/dev/lab-fpga-control"}
        brought = inside(shared, pod, f"echo $LAB_DEVICE; test -s {DRIVER} && echo there").split()
        assert brought == [f"example.com/fpga={device[-1]}", "there"]
        # A file of its own that has the number of Slurm's GPU does not help.
        number = shared.host(NODE, "stat", "-c", "%Hr %Lr", FILES[0]).split()
        made = inside(shared, pod, f"mknod /tmp/gpu c {' '.join(number)} 2>&1; (: < /tmp/gpu) 2>&1; true")
        assert FORBIDDEN in made


def test_verify_proves_the_devices_unless_somebody_holds_them(shared: Site) -> None:
    def proven() -> dict[str, tuple[str, str]]:
        rows = json.loads(shared.run("-o", "json", "verify", "--devices"))
        return {row["proof"].rpartition(" ")[2]: (row["result"], row["found"]) for row in rows}

    found = proven()
    # GPUs 0 and 1, the FPGA, and the sliced GPU with its slice; the sliced GPU itself is both schedulers'.
    assert found["Slurm"] == ("ok", "5 device files open, 5 of others closed")
    assert found["Kubernetes"] == ("ok", "6 device files open, 4 of others closed")
    with running(shared, "holds", **FPGA):
        assert proven()["Kubernetes"] == ("skipped", "others hold some of them, so nothing was tried")


def test_jobs_and_pods_have_different_cpus(shared: Site) -> None:
    in_job = cpus(srun(shared, script=ALLOWED))
    with running(shared, "some") as pod:
        in_pod = cpus(inside(shared, pod, ALLOWED))
    assert in_job == {0}
    assert in_pod
    assert 0 not in in_pod
    daemons = shared.host(NODE, "sh", "-c", "grep -h Cpus_allowed_list /proc/$(pgrep -o slurmd)/status")
    assert cpus(daemons) == {0}


@pytest.mark.skipif((os.cpu_count() or 1) < 3, reason="the system's own pods leave no whole CPU of one")
def test_a_pod_with_a_whole_cpu_has_it_alone(shared: Site) -> None:
    with running(shared, "whole", cpu="1", memory="32Mi") as pod:
        whole = cpus(inside(shared, pod, ALLOWED))
        in_job = cpus(srun(shared, script=ALLOWED))
        with running(shared, "beside") as other:
            beside = cpus(inside(shared, other, ALLOWED))
    assert len(whole) == 1
    assert not whole & (in_job | beside)
    assert in_job == {0}


PLUGINS = ("get", "pods", "-n", "kube-system", "-l", "app.kubernetes.io/name=device-plugin", "-o", "name")
PLUGINS += ("--field-selector", f"spec.nodeName={NODE}")
OFFERED = {"nvidia.com/gpu": 1, "platformctl.io/fpga": 2, SLICE: 1, LINK: 1}


def until(wanted: Callable[[], bool], shown: Callable[[], object], seconds: float = 30) -> float:
    """Wait until something holds; returns the seconds that it took."""
    started = time.monotonic()
    while not wanted():
        assert time.monotonic() < started + seconds, shown()
        time.sleep(0.2)
    return time.monotonic() - started


def test_twenty_restarts_change_no_number_and_take_no_device(shared: Site) -> None:
    before = json.loads(shared.run("-o", "json", "node", "describe", NODE))
    script = OPEN.format(files=" ".join(FILES))
    with running(shared, "stays", **FPGA) as pod:
        mine = opened(inside(shared, pod, script))
        shared.host(NODE, "systemctl", "restart", "slurmd")
        for number in range(20):
            if number % 2:
                shared.kubectl(
                    "delete", "-n", "kube-system", "--wait=true", *shared.kubectl(*PLUGINS).split()
                )
            else:
                shared.host(NODE, "systemctl", "restart", "kubelet", "platformctl-device-health")
            until(
                lambda: bool(shared.kubectl(*PLUGINS)) and in_kubernetes(shared.host)[0] == OFFERED,
                lambda: in_kubernetes(shared.host),
                60,
            )
        deadline = time.monotonic() + 60
        while (now := json.loads(shared.run("-o", "json", "node", "describe", NODE))) != before:
            assert time.monotonic() < deadline, now
            time.sleep(1)
        assert opened(inside(shared, pod, script)) == mine
    denied = opened(srun(shared, script=script))
    assert set(denied.values()) == {FORBIDDEN}


def offered(site: Site, resource: str) -> int:
    """How many devices Kubernetes offers under a name."""
    return in_kubernetes(site.host)[0].get(resource, 0)


def test_a_device_that_is_gone_is_offered_again_when_it_is_back(shared: Site) -> None:
    name = "platformctl.io/fpga"
    pods = shared.kubectl(*PLUGINS)
    shared.host(NODE, "mv", "/dev/lab-fpga2", "/dev/lab-fpga2-away")
    try:
        until(lambda: offered(shared, name) == 1, lambda: in_kubernetes(shared.host))
    finally:
        shared.host(NODE, "mv", "/dev/lab-fpga2-away", "/dev/lab-fpga2")
    until(lambda: offered(shared, name) == 2, lambda: in_kubernetes(shared.host))
    assert pods == shared.kubectl(*PLUGINS)


def lab_of(site: Site) -> Lab:
    """The lab of a site, for faults."""
    lab = labs.find(site.lab)
    assert lab is not None
    return lab


def said(site: Site) -> tuple[object, ...]:
    """What both schedulers say of the node's devices."""
    return (*in_kubernetes(site.host), drain(site.host))


@contextlib.contextmanager
def job(site: Site, *options: str) -> Iterator[Callable[[], str]]:
    """A job of alice on the node that runs until the end of the block; yields what says its state."""
    words = f"sbatch --parsable --nodelist={NODE} {' '.join(options)} --output=/dev/null --wrap='sleep 600'"
    number = site.shell("ctl1", words, "alice").strip()

    def state() -> str:
        return site.host("ctl1", "squeue", "--noheader", "--jobs", number, "--format=%T").strip()

    try:
        until(lambda: state() == "RUNNING", state)
        yield state
    finally:
        site.host("ctl1", "scancel", number)


def test_one_fault_takes_a_device_out_on_both_sides_until_it_is_over(shared: Site) -> None:
    until(lambda: said(shared) == (OFFERED, "", ""), lambda: said(shared))
    words = "GPU has fallen off the bus."
    told = "platformctl: device fault: nvidia3: Xid 79, GPU has fallen off the bus"
    out = (OFFERED | {SLICE: 0}, told, told)
    pods = shared.kubectl(*PLUGINS)
    with running(shared, "sliced", **{SLICE: "1"}) as pod, job(shared, "--gres=gpu:1g.10gb:1") as state:
        with faults.gpu_error(lab_of(shared), NODE, SLICED, 79, words):
            until(lambda: said(shared) == out, lambda: said(shared), 15)
            before = stamp(shared.host)
            shared.host(NODE, "systemctl", "restart", "platformctl-device-health", "kubelet")
            time.sleep(3)
            until(lambda: said(shared) == out, lambda: said(shared), 15)
            assert stamp(shared.host) == before
            shown = json.loads(shared.run("-o", "json", "node", "describe", NODE))
            assert shown["devices"][4]["faults"] == {SLICED: "Xid 79, GPU has fallen off the bus"}
            assert shown["kubernetes"]["reason"] == told
            assert shown["slurm"]["reason"].startswith(f"{told} [root@")
            assert state() == "RUNNING"
        until(lambda: said(shared) == (OFFERED, "", ""), lambda: said(shared), 20)
        assert state() == "RUNNING"
        assert inside(shared, pod, "echo lives") == "lives\n"
    assert pods == shared.kubectl(*PLUGINS)


@pytest.mark.parametrize("xid", [13, 31, 43, 94])
def test_an_error_of_an_application_changes_nothing(shared: Site, xid: int) -> None:
    until(lambda: said(shared) == (OFFERED, "", ""), lambda: said(shared))
    with faults.gpu_error(lab_of(shared), NODE, SLICED, xid):
        time.sleep(3)
        assert said(shared) == (OFFERED, "", "")
    assert shared.host(NODE, "platformctl-device-health", "--show") == ""


def test_a_lost_link_takes_only_what_kubernetes_has_out_of_service(shared: Site) -> None:
    told = "platformctl: device fault: infiniband/uverbs0: link down, port 1 is DOWN (mlx5_0)"
    with faults.link_down(lab_of(shared), NODE, PORT):
        until(lambda: said(shared) == (OFFERED | {LINK: 0}, told, ""), lambda: said(shared), 15)
    until(lambda: said(shared) == (OFFERED, "", ""), lambda: said(shared), 20)


def test_a_drain_of_somebody_else_stays(shared: Site) -> None:
    update = ("ctl1", "scontrol", "update", f"nodename={NODE}")
    theirs = "new memory on Friday"
    shared.host(*update, "state=drain", f"reason={theirs}")
    try:
        with faults.gpu_error(lab_of(shared), NODE, "/dev/nvidia0"):
            until(lambda: "nvidia0" in in_kubernetes(shared.host)[1], lambda: said(shared), 15)
            time.sleep(3)
            assert drain(shared.host) == theirs
            # Once it is over, the fault alone keeps the node out of service.
            shared.host(*update, "state=resume")
            until(lambda: "nvidia0" in drain(shared.host), lambda: said(shared), 15)
            shared.host(*update, f"reason={theirs}")
        until(lambda: not in_kubernetes(shared.host)[1], lambda: said(shared), 20)
        time.sleep(3)
        assert drain(shared.host) == theirs
    finally:
        shared.host(*update, "state=resume")


def test_an_administrator_says_that_a_gpu_is_repaired(shared: Site) -> None:
    with faults.gpu_error(lab_of(shared), NODE, "/dev/nvidia2"):
        until(lambda: offered(shared, "nvidia.com/gpu") == 0, lambda: said(shared), 15)
        shared.host(NODE, "platformctl-device-health", "--repaired", "/dev/nvidia2")
        until(lambda: said(shared) == (OFFERED, "", ""), lambda: said(shared), 20)


JOB = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {{name: {name}, namespace: default}}
spec:
  target: {target}
  script: |
    #!/bin/sh
    for file in {files}; do (: < $file) 2>&1 | sed "s#.*: #$file #"; done
  resources: {{platformctl.io/fpga: 1}}
"""


@pytest.mark.parametrize(("target", "mine"), [("slurm", {FILES[3]}), ("kubernetes", {FILES[4], FILES[5]})])
def test_a_job_asks_by_one_name_on_either_scheduler(
    shared: Site, tmp_path: Path, target: str, mine: set[str]
) -> None:
    kubeconfig = tmp_path / "alice"
    shared.run("kubeconfig", "--user", "alice", "--file", str(kubeconfig))
    manifest = tmp_path / "job.yml"
    name = f"fpga-{target}-{os.getpid()}"
    manifest.write_text(JOB.format(name=name, target=target, files=" ".join(FILES)))
    base = ("--kubeconfig", str(kubeconfig))
    done = platformctl("job", "submit", *base, str(manifest))
    assert done.returncode == 0, done.stdout + done.stderr
    waited = platformctl("job", "wait", *base, name, seconds=180)
    assert waited.returncode == 0, waited.stdout + waited.stderr
    found = opened(platformctl("job", "logs", *base, name).stdout)
    got = {file for file, said in found.items() if said == MINE}
    assert len(got) == 1
    assert got <= mine


RDMA = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {{name: {name}, namespace: default}}
spec:
  target: kubernetes
  script: |
    #!/bin/sh
    env | grep -E 'UCX|NCCL|OMPI'
  resources: {{rdma/hca: 1}}
  slurm: {{environment: {{NCCL_NET: Socket}}}}
"""


def test_a_job_with_rdma_has_no_tcp_to_fall_back_to(shared: Site, tmp_path: Path) -> None:
    kubeconfig, manifest = tmp_path / "alice", tmp_path / "job.yml"
    shared.run("kubeconfig", "--user", "alice", "--file", str(kubeconfig))
    name = f"rdma-{os.getpid()}"
    manifest.write_text(RDMA.format(name=name))
    base = ("--kubeconfig", str(kubeconfig))
    done = platformctl("job", "submit", *base, str(manifest))
    assert done.returncode == 0, done.stdout + done.stderr
    waited = platformctl("job", "wait", *base, name, seconds=180)
    assert waited.returncode == 0, waited.stdout + waited.stderr
    printed = set(platformctl("job", "logs", *base, name).stdout.split())
    # The user's own value takes precedence.
    assert printed == {"UCX_TLS=^tcp", "NCCL_IB_DISABLE=0", "NCCL_NET=Socket", "OMPI_MCA_pml=ucx"}
    status = json.loads(shared.kubectl("get", "jobs.kfoundry.io", name, "-o", "jsonpath={.status}"))
    (told,) = [one for one in status["conditions"] if one["type"] == "Transport"]
    assert told["message"].startswith("RDMA (rdma/hca: 1)")
