"""A node that both schedulers use: each offers and opens its own devices, CPUs and memory, and no others.

On a lab of its own of two hosts; PLATFORMCTL_TEST_DEVICES_LAB names one that is there already. The device
files of lab hosts have no driver. Opening one fails with "No such device or address" where that is allowed,
and with "Operation not permitted" where a control group forbids it.
"""

import contextlib
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths
from tests.e2e.conftest import Site, platformctl

NODE = "node1"
BUSYBOX = "docker.io/library/busybox:1.37"
MINE, FORBIDDEN, NOT_HERE = (
    "No such device or address",
    "Operation not permitted",
    "no such file",
)
SLURM_MIB = 2048
DEVICES = [
    {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/lab-gpu[0-1]"], "owner": "slurm"},
    {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/lab-gpu2"], "owner": "kubernetes"},
    {"kind": "other", "name": "fpga", "files": ["/dev/lab-fpga0"], "owner": "slurm"},
    {
        "kind": "other",
        "name": "fpga",
        "files": ["/dev/lab-fpga[1-2]"],
        "common_files": ["/dev/lab-fpga-control"],
        "owner": "kubernetes",
    },
]
FILES = [f"/dev/lab-{name}" for name in ("gpu0", "gpu1", "gpu2", "fpga0", "fpga1", "fpga2")]
FPGA = {"platformctl.io/fpga": "1"}
ADMIN = "--kubeconfig /etc/kubernetes/admin.conf"
OPEN = 'for file in {files}; do (: < $file) 2>&1 | sed "s#.*: #$file #"; done'


def write_inventory(folder: Path) -> None:
    """The lab's inventory with one node, which both schedulers share."""
    shutil.copytree(paths.data_dir() / "inventories/lab", folder, ignore=shutil.ignore_patterns("*.vault"))
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    everything = hosts["all"]
    del everything["hosts"]["node2"]
    everything["hosts"][NODE] |= {
        "node_owner": "shared",
        "node_slurm_cpus": "0",
        "node_slurm_memory_mib": SLURM_MIB,
        "node_devices": DEVICES,
    }
    everything["children"]["slurm"]["children"]["slurm_node"]["hosts"] = {NODE: {}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The installed site, whose node has half of the machine's CPUs for each scheduler."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("a CPU for each scheduler needs two")
    given = os.environ.get("PLATFORMCTL_TEST_DEVICES_LAB", "")
    name = given or f"test-{os.getpid()}-devices"
    inventory = tmp_path_factory.mktemp("devices") / "inventory"
    write_inventory(inventory)
    try:
        if not given:
            started = platformctl("lab", "up", "--name", name, "-i", str(inventory))
            assert started.returncode == 0, started.stdout + started.stderr
        lab = json.loads(platformctl("--output", "json", "lab", "status", "--name", name).stdout)
        site = Site(name, Path(lab["inventory"]), Path(lab["state"]))
        if not given:
            site.events("install", "--yes")
        yield site
    finally:
        if not given:
            platformctl("lab", "down", "--name", name)


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
    ]


def test_a_job_of_slurm_opens_its_own_devices_alone(shared: Site) -> None:
    script = OPEN.format(files=" ".join(FILES))
    without = opened(srun(shared, script=script))
    assert set(without.values()) == {FORBIDDEN}
    assert without.keys() == set(FILES)
    one = opened(srun(shared, "--gres=gpu:a100:1", script=script))
    assert sorted(one.values()).count(MINE) == 1
    assert MINE in (one["/dev/lab-gpu0"], one["/dev/lab-gpu1"])
    every = opened(srun(shared, "--gres=gpu:2,fpga:1", script=script))
    assert {file for file, said in every.items() if said == MINE} == {FILES[0], FILES[1], FILES[3]}


def test_no_job_gets_a_device_of_kubernetes(shared: Site) -> None:
    for gres in ("gpu:3", "fpga:2"):
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
        # A file of its own that has the number of Slurm's GPU does not help.
        number = shared.host(NODE, "stat", "-c", "%Hr %Lr", FILES[0]).split()
        made = inside(shared, pod, f"mknod /tmp/gpu c {' '.join(number)} 2>&1; (: < /tmp/gpu) 2>&1; true")
        assert FORBIDDEN in made


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


def test_a_restart_changes_no_number_and_takes_no_device(shared: Site) -> None:
    before = json.loads(shared.run("-o", "json", "node", "describe", NODE))
    script = OPEN.format(files=" ".join(FILES))
    with running(shared, "stays", **FPGA) as pod:
        mine = opened(inside(shared, pod, script))
        for unit in ("kubelet", "slurmd"):
            shared.host(NODE, "systemctl", "restart", unit)
        deadline = time.monotonic() + 60
        while (now := json.loads(shared.run("-o", "json", "node", "describe", NODE))) != before:
            assert time.monotonic() < deadline, now
            time.sleep(1)
        assert opened(inside(shared, pod, script)) == mine
    denied = opened(srun(shared, script=script))
    assert set(denied.values()) == {FORBIDDEN}


def test_a_device_that_is_gone_is_offered_again_when_it_is_back(shared: Site) -> None:
    def offered() -> int:
        node = json.loads(shared.run("-o", "json", "node", "describe", NODE))
        return int(node["devices"][3]["offered"])

    def until(count: int) -> None:
        deadline = time.monotonic() + 30
        while offered() != count:
            assert time.monotonic() < deadline
            time.sleep(0.5)

    label, there = "app.kubernetes.io/name=device-plugin", f"spec.nodeName={NODE}"
    of_plugin = ("get", "pods", "-n", "kube-system", "-l", label, "--field-selector", there, "-o", "name")
    pods = shared.kubectl(*of_plugin)
    shared.host(NODE, "mv", "/dev/lab-fpga2", "/dev/lab-fpga2-away")
    try:
        until(1)
    finally:
        shared.host(NODE, "mv", "/dev/lab-fpga2-away", "/dev/lab-fpga2")
    until(2)
    assert pods == shared.kubectl(*of_plugin)


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
