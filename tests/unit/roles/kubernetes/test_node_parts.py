"""What Kubernetes is told of a node's parts: the kubelet's settings, labels, and device plugins."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths
from platformctl.device_plugin.__main__ import HEALTH
from platformctl.device_plugin.offer import offers
from tests.ansible_files import load, rendered
from tests.unit.roles.device_health.package import module

parts = load("roles/kubernetes_kubelet/filter_plugins/node_parts.py")
classes = load("roles/kubernetes_addons/filter_plugins/device_classes.py")
state = module("state")
ROLES = paths.data_dir() / "roles"

FPGA = {"kind": "other", "name": "fpga", "files": ["/dev/xdma0"], "owner": "kubernetes"}
HOSTS: dict[str, dict[str, Any]] = {
    "n1": {"node_owner": "shared", "node_devices": [FPGA]},
    "n2": {"node_owner": "kubernetes", "node_devices": [FPGA]},
    "n3": {"node_owner": "kubernetes", "node_devices": [FPGA | {"files": ["/dev/xdma[0-1]"]}]},
    "n4": {"node_owner": "kubernetes"},
    "n5": {"node_owner": "shared", "node_devices": [FPGA | {"owner": "slurm"}]},
}


def test_a_node_without_shares_and_devices_has_no_settings_of_its_own() -> None:
    shares = {"node_owner": "shared", "node_slurm_cpus": "0", "node_slurm_memory_mib": 1024}
    assert parts.kubelet_shares(shares)["reservedSystemCPUs"] == "0"
    assert parts.kubelet_shares(HOSTS["n4"]) == parts.kubelet_shares(HOSTS["n5"]) == {}


def test_a_kubelet_with_devices_tells_soon_of_a_faulty_one() -> None:
    soon = {"nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "5m"}
    assert [parts.kubelet_shares(HOSTS[name]) for name in ("n1", "n2", "n3")] == [soon] * 3
    unchecked = {"node_owner": "kubernetes", "node_devices": [FPGA | {"health_check": "none"}]}
    assert parts.kubelet_shares(unchecked) == {}


def test_hosts_that_offer_the_same_have_one_plugin() -> None:
    found = classes.kubernetes_device_classes(list(HOSTS), HOSTS)
    assert sorted(len(one["rows"][0]["devices"]) for one in found) == [1, 2]
    labels = parts.kubernetes_node_labels(list(HOSTS), HOSTS).splitlines()
    of = {line.split()[0]: line.partition("device-class=")[2] for line in labels if "device-class" in line}
    assert of.keys() == {"n1", "n2", "n3"}
    assert of["n1"] == of["n2"] != of["n3"]
    assert {one["name"] for one in found} == set(of.values())


def test_the_plugin_of_a_class_gets_its_devices() -> None:
    found = classes.kubernetes_device_classes(list(HOSTS), HOSTS)
    text = rendered(
        "roles/kubernetes_addons/templates/device-plugins.yaml.j2",
        _kubernetes_addons_device_classes=found,
        _kubernetes_addons_images={"ghcr.io/platformctl/device-plugin": {"tag": "1"}},
    )
    manifests = [one for one in yaml.safe_load_all(text) if one]
    assert len(manifests) == 2
    for one, manifest in zip(found, manifests, strict=True):
        spec = manifest["spec"]["template"]["spec"]
        (variable,) = spec["containers"][0]["env"]
        assert json.loads(variable["value"]) == one["rows"]
        assert offers(variable["value"])[0].resource == "platformctl.io/fpga"
        places = {one["mountPath"]: one["name"] for one in spec["containers"][0]["volumeMounts"]}
        volumes = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"]}
        assert volumes[places[str(HEALTH.parent)]] == str(state.FOLDER)
        assert HEALTH.name == state.FILE
        assert spec["nodeSelector"] == {"platformctl.io/device-class": one["name"]}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's root with the folders of a kubelet, and a systemctl that notes its words."""
    for folder in ("var/lib/kubelet", "etc/kubernetes/kubelet.conf.d", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    program = tmp_path / "bin/systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    program.chmod(0o755)
    return tmp_path


def forget(host: Path, wanted: dict[str, Any]) -> str:
    text = (ROLES / "kubernetes_kubelet/files/forget_pods.py").read_text()
    for folder in ("var", "etc", "sys"):
        text = text.replace(f'"/{folder}/', f'"{host}/{folder}/')
    environment = {"PATH": f"{host}/bin:{os.environ['PATH']}"}
    command = ["python3", "-c", text, *parts.kubelet_checkpointed({})]
    done = subprocess.run(
        command, input=nice(wanted), capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def nice(settings: dict[str, Any]) -> str:
    """As Ansible's to_nice_yaml writes it."""
    return yaml.safe_dump(settings, indent=4, allow_unicode=True, default_flow_style=False)


STATIC = {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0-3", "kind": "KubeletConfiguration"}
MEMORY = {
    "memoryManagerPolicy": "Static",
    "reservedMemory": [{"numaNode": node, "limits": {"memory": "1048576"}} for node in (0, 1)],
}


@pytest.mark.parametrize(
    ("ran_with", "wanted", "forgets"),
    [
        ({"kind": "KubeletConfiguration"}, {"serverTLSBootstrap": True}, False),
        (STATIC, STATIC | {"serverTLSBootstrap": True, "evictionHard": {"memory.available": "1Gi"}}, False),
        (STATIC | {"reservedSystemCPUs": "0"}, STATIC | {"reservedSystemCPUs": "0"}, False),
        ({}, STATIC, True),
        (STATIC, STATIC | {"reservedSystemCPUs": "0-4"}, True),
        (STATIC, {}, True),
        (STATIC, STATIC | {"cpuManagerPolicyOptions": {"full-pcpus-only": "true"}}, True),
        (STATIC, STATIC | {"topologyManagerPolicy": "restricted"}, True),
        (STATIC, STATIC | MEMORY, True),
        (MEMORY, MEMORY, False),
        (MEMORY, MEMORY | {"reservedMemory": MEMORY["reservedMemory"][:1]}, True),
    ],
)
def test_the_kubelet_forgets_pods_only_when_they_get_other_cpus_or_memory(
    host: Path, ran_with: dict[str, Any], wanted: dict[str, Any], forgets: bool
) -> None:
    notes = [host / "var/lib/kubelet" / name for name in ("cpu_manager_state", "memory_manager_state")]
    for path in notes:
        path.write_text("{}")
    (host / "etc/kubernetes/kubelet.conf.d/50-platformctl.conf").write_text(nice(ran_with))
    assert forget(host, wanted) == ("forgot\n" if forgets else "")
    assert [path.exists() for path in notes] == [not forgets] * 2
    assert (host / "said").exists() == forgets


@pytest.mark.parametrize(("pages", "forgets"), [(8, False), (4, True)])
def test_the_kubelet_forgets_pods_if_the_kernel_keeps_other_huge_pages(
    host: Path, pages: int, forgets: bool
) -> None:
    folder = host / "sys/devices/system/node/node0/hugepages/hugepages-2048kB"
    folder.mkdir(parents=True)
    (folder / "nr_hugepages").write_text(f"{pages}\n")
    noted = {"hugepages-2Mi": {"total": 8 * 2**21}, "memory": {"total": 1}}
    notes = host / "var/lib/kubelet/memory_manager_state"
    notes.write_text(json.dumps({"policyName": "Static", "machineState": {"0": {"memoryMap": noted}}}))
    (host / "etc/kubernetes/kubelet.conf.d/50-platformctl.conf").write_text(nice(MEMORY))
    assert forget(host, MEMORY) == ("forgot\n" if forgets else "")
    assert notes.exists() == (not forgets)


def test_a_host_without_a_kubelet_forgets_nothing(host: Path) -> None:
    assert forget(host, STATIC) == ""


def label(host: Path, wanted: str, labels: dict[str, str]) -> list[str]:
    """What it asks kubectl to change, for node n1 with these labels."""
    program = host / "bin/kubectl"
    there = json.dumps(labels, separators=(",", ":"))
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = get ] && printf '%s' '{there}' || echo \"$@\" >> {host}/said\n"
    )
    program.chmod(0o755)
    text = (ROLES / "kubernetes_node/files/label_nodes.sh").read_text().replace("/run", str(host))
    environment = {"PATH": f"{host}/bin:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", text, "label", "n1"], input=wanted, text=True, check=True, env=environment)
    return (host / "said").read_text().splitlines() if (host / "said").exists() else []


OTHERS = {"platformctl.io/owner": "shared", "kubernetes.io/hostname": "n1"}


def test_labels_become_what_the_table_says(host: Path) -> None:
    wanted = parts.kubernetes_node_labels(["n2"], HOSTS).replace("n2 ", "n1 ")
    gone = {"devices.platformctl.io/gpu": "present", "runtimes.platformctl.io/kata": "present"}
    there = {**gone, "platformctl.io/device-class": "old", **OTHERS}
    changes = label(host, wanted, there)
    assert "label --overwrite node n1 devices.platformctl.io/fpga=present" in changes
    assert {f"label node n1 {name}-" for name in gone} <= set(changes)
    assert len(changes) == 4
    new = dict(line.split()[1].split("=") for line in wanted.splitlines())
    (host / "said").unlink()
    assert label(host, wanted, new | OTHERS) == []


def test_a_node_without_devices_loses_their_labels_and_no_others(host: Path) -> None:
    assert label(host, "", {"devices.platformctl.io/fpga": "present", **OTHERS}) == [
        "label node n1 devices.platformctl.io/fpga-"
    ]
