"""NVIDIA's own device plugin, and a DRA driver, offer the GPUs of a node as the table says.

The lab's GPUs have a driver that a small library of ours stands in for (`platformctl/lab/driver.py`), so what
runs is NVIDIA's plugin itself, with CDI. Each test begins with what the one before has left.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from platformctl import lab as labs
from platformctl.lab import driver, faults
from tests.e2e.conftest import Site, platformctl, variables

NODE = "node1"
BUSYBOX = "docker.io/library/busybox:1.37"
GPU = {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia[0-1]"]}
NVIDIA = GPU | {"offered_by": "nvidia-device-plugin", "sharing": {"how": "time", "holders": 2}}
DRA = GPU | {"offered_by": "dra", "dra_driver": "gpu.example.com"}
METRICS = "/var/lib/prometheus/node-exporter"
ADMIN = "--kubeconfig /etc/kubernetes/admin.conf"
LIMIT = {"limits": {"nvidia.com/gpu": "1"}}


@pytest.fixture(scope="module")
def offering(site: Site) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives the node a table of one row and installs it. Afterwards the site is as it was."""
    path = site.inventory / "hosts.yml"
    before = path.read_text()

    def install(row: dict[str, Any]) -> None:
        hosts = yaml.safe_load(before)
        hosts["all"]["hosts"][NODE]["node_devices"] = [row]
        path.write_text(yaml.safe_dump(hosts, sort_keys=False))
        started = platformctl("lab", "up", "--name", site.lab)
        assert started.returncode == 0, started.stdout + started.stderr
        site.host(NODE, "mkdir", "-p", METRICS)
        site.events("install", "--yes")

    try:
        yield install
    finally:
        path.write_text(before)
        site.events("install", "--yes")


@pytest.fixture(scope="module", autouse=True)
def _from_modules(site: Site) -> None:
    if variables(site, "artifacts")["artifacts_source"] != "modules":
        pytest.skip("the site's lock pins no images of vendors")


def node(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.kubectl("get", "node", NODE, "--output=json"))
    return found


def offered(site: Site) -> int:
    return int(node(site)["status"]["allocatable"].get("nvidia.com/gpu", 0))


def until(wanted: Callable[[], bool], shown: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, shown()
        time.sleep(0.5)


@contextmanager
def running(site: Site, name: str, resources: dict[str, Any], **spec: Any) -> Iterator[str]:
    """A pod on the node; yields its environment and device files."""
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"], "resources": resources}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "containers": [container],
            **spec,
        },
    }
    try:
        site.host("ctl1", "sh", "-c", f"kubectl {ADMIN} apply -f -", data=json.dumps(pod))
        site.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"pod/{name}")
        yield site.kubectl(
            "exec", name, "--", "sh", "-c", "env; ls /dev/nvidia* /usr/lib/x86_64-linux-gnu/libcuda*; true"
        )
    finally:
        site.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=true")


def test_nvidias_plugin_offers_the_table(site: Site, offering: Callable[[dict[str, Any]], None]) -> None:
    offering(NVIDIA)
    assert offered(site) == 4
    with running(site, "nvidia", LIMIT) as inside:
        assert f"libcuda.so.{driver.VERSION}" in inside
        assert len([line for line in inside.splitlines() if line.startswith("/dev/nvidia")]) == 1
        until(
            lambda: 'scheduler="kubernetes",resource="nvidia.com/gpu"} 1' in metrics(site),
            lambda: metrics(site),
        )
    labels = node(site)["metadata"]["labels"]
    assert (labels["nvidia.com/gpu.product"], labels["nvidia.com/gpu.replicas"]) == ("NVIDIA-A100", "2")
    assert labels["nvidia.com/cuda.driver-version.full"] == driver.VERSION


def metrics(site: Site) -> str:
    return site.host(NODE, "sh", "-c", f"cat {METRICS}/platformctl-devices.prom || true")


def test_an_xid_takes_a_gpu_away_from_nvidias_plugin_too(site: Site) -> None:
    lab = labs.find(site.lab)
    assert lab is not None
    with faults.gpu_error(lab, NODE, "/dev/nvidia1"):
        # Of a shared GPU, version 0.19.0 takes one turn away.
        until(lambda: offered(site) < 4, lambda: node(site)["status"])
        until(lambda: "nvidia1: Xid 79" in fault(site), lambda: fault(site))
    until(lambda: fault(site) == "", lambda: fault(site))
    with faults.gpu_lost(lab, NODE, "/dev/nvidia0"):
        until(lambda: "nvidia0: NVML says that the GPU is lost" in fault(site), lambda: fault(site))
    until(lambda: fault(site) == "", lambda: fault(site))


def fault(site: Site) -> str:
    conditions = {one["type"]: one for one in node(site)["status"]["conditions"]}
    found = conditions.get("DeviceFault", {"status": "False"})
    return str(found["message"]) if found["status"] == "True" else ""


def test_preflight_names_a_driver_that_is_missing(site: Site) -> None:
    version = "/run/lab-hardware/proc/driver/nvidia/version"
    site.host(NODE, "mv", version, f"{version}-away")
    try:
        refused = platformctl("-o", "json", "preflight", "-i", str(site.inventory))
        assert refused.returncode != 0
        assert "NVIDIA's kernel driver is not loaded" in refused.stdout + refused.stderr
    finally:
        site.host(NODE, "mv", f"{version}-away", version)


def test_a_dra_driver_takes_the_node_over(site: Site, offering: Callable[[dict[str, Any]], None]) -> None:
    offering(DRA)
    sets = site.kubectl("get", "daemonsets", "-n", "kube-system", "-o", "name")
    assert "nvidia-device-plugin" not in sets
    request = {"name": "gpu", "exactly": {"deviceClassName": "nvidia.com-gpu"}}
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "one"},
        "spec": {"devices": {"requests": [request]}},
    }
    site.host("ctl1", "sh", "-c", f"kubectl {ADMIN} apply -f -", data=json.dumps(claim))
    try:
        claims = [{"name": "gpu", "resourceClaimName": "one"}]
        with (
            running(site, "claims", {"claims": [{"name": "gpu"}]}, resourceClaims=claims) as by_claim,
            # The same name as of a device plugin: Jobs need not know who offers a node's GPUs.
            running(site, "asks", LIMIT) as by_resource,
        ):
            got = [line for text in (by_claim, by_resource) for line in text.splitlines() if "=gpu-" in line]
            assert len(set(got)) == 2
    finally:
        site.kubectl("delete", "resourceclaim", "one")
