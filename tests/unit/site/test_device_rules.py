"""Mistakes of tables of devices, and of the shares of a node."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.site.conftest import Sandbox

Spoil = Callable[[Sandbox], object]
FPGA = {"kind": "other", "name": "fpga", "files": ["/dev/xdma0"]}
GPU = {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia[0-1]"]}
NODE1, NODE2 = "all.hosts.node1", "all.hosts.node2"


def share(box: Sandbox, *rows: dict[str, Any], **variables: Any) -> None:
    """Make node1 a shared node with these devices and variables."""
    box.groups["slurm_node"].append("node1")
    box.groups["munge"].append("node1")
    box.hosts["node1"].update(node_owner="shared", **variables)
    if rows:
        box.hosts["node1"]["node_devices"] = list(rows)


def of_slurm(box: Sandbox, *rows: dict[str, Any], **variables: Any) -> None:
    box.hosts["node2"].update(node_devices=list(rows), **variables)


SPLIT = {"node_slurm_cpus": "0-3", "node_slurm_memory_mib": 4096}

CASES: dict[str, tuple[Spoil, str, str, str]] = {
    "a device of a shared node without an owner": (
        lambda b: share(b, FPGA),
        f"{NODE1}.node_devices[0]",
        "has no owner, and node1 is a shared node",
        "owner: kubernetes",
    ),
    "an owner that the host is no node of": (
        lambda b: of_slurm(b, FPGA | {"owner": "kubernetes"}),
        f"{NODE2}.node_devices[0].owner",
        "node2 is no node of Kubernetes",
        "put node2 into kubernetes_node",
    ),
    "an owner that contradicts the host's": (
        lambda b: (share(b, FPGA | {"owner": "slurm"}), b.hosts["node1"].update(node_owner="kubernetes")),
        f"{NODE1}.node_devices[0].owner",
        "contradicts node_owner of node1, which is kubernetes",
        "shared",
    ),
    "a device with two owners": (
        lambda b: share(
            b, GPU | {"owner": "slurm"}, GPU | {"owner": "kubernetes", "files": ["/dev/nvidia1"]}
        ),
        f"{NODE1}.node_devices[1].files",
        "/dev/nvidia1 is listed twice, for kubernetes and for slurm",
        "that of its owner",
    ),
    "Xids of a device that is no GPU": (
        lambda b: of_slurm(b, FPGA | {"health_check": "xid"}),
        f"{NODE2}.node_devices[0].health_check",
        "is for GPUs of nvidia",
        "use command",
    ),
    "ports of a device that has none": (
        lambda b: of_slurm(b, GPU | {"health_check": "link"}),
        f"{NODE2}.node_devices[0].health_check",
        "is for devices of kind rdma",
        "use command",
    ),
    "a health check of things without files": (
        lambda b: of_slurm(
            b,
            {"kind": "other", "name": "seat", "count": 2}
            | {"health_check": "command", "health_command": ["check"]},
        ),
        f"{NODE2}.node_devices[0].health_check",
        "judges devices with files only",
        "remove it",
    ),
    "a health check without its command": (
        lambda b: of_slurm(b, FPGA | {"health_check": "command"}),
        f"{NODE2}.node_devices[0]",
        "has no health_command",
        "write the health_command",
    ),
    "a command without its health check": (
        lambda b: of_slurm(b, FPGA | {"health_command": ["check", "{file}"]}),
        f"{NODE2}.node_devices[0]",
        "has no health_check: command",
        "remove the other one",
    ),
    "a device twice in one row": (
        lambda b: of_slurm(b, FPGA | {"files": ["/dev/xdma0", "/dev/xdma0"]}),
        f"{NODE2}.node_devices[0].files",
        "/dev/xdma0 is listed twice",
        "leave it in one row",
    ),
    "a GPU whole and in slices": (
        lambda b: of_slurm(b, GPU, GPU | {"slices": "1g.10gb", "files": ["/dev/nvidia0,/dev/cap1"]}),
        f"{NODE2}.node_devices[0].files",
        "/dev/nvidia0 is listed twice",
        "either whole or by its slices",
    ),
    "a name that CDI does not have": (
        lambda b: of_slurm(b, FPGA | {"cdi": ["fpga0"]}),
        f"{NODE2}.node_devices[0].cdi",
        "'fpga0' is no name of CDI, such as nvidia.com/gpu=0",
        "nvidia-ctk cdi list",
    ),
    "fewer names of CDI than devices": (
        lambda b: of_slurm(b, GPU | {"cdi": ["nvidia.com/gpu=0"]}),
        f"{NODE2}.node_devices[0].cdi",
        "has 1 names for 2 devices",
        "one for each",
    ),
    "another kind without a name": (
        lambda b: of_slurm(b, {"kind": "other", "count": 1}),
        f"{NODE2}.node_devices[0]",
        "has no name",
        "such as fpga",
    ),
    "a name of another kind": (
        lambda b: of_slurm(b, FPGA | {"name": "gpu"}),
        f"{NODE2}.node_devices[0].name",
        "is the name of another kind",
        "set kind to gpu",
    ),
    "a name for GPUs": (
        lambda b: of_slurm(b, GPU | {"name": "card"}),
        f"{NODE2}.node_devices[0].name",
        "does not count: Jobs ask for gpu",
        "type",
    ),
    "neither files nor a count": (
        lambda b: of_slurm(b, {"kind": "other", "name": "fpga"}),
        f"{NODE2}.node_devices[0]",
        "has neither files nor a count",
        "count",
    ),
    "files and a count": (
        lambda b: of_slurm(b, FPGA | {"count": 1}),
        f"{NODE2}.node_devices[0]",
        "has both files and a count",
        "device files",
    ),
    "counted GPUs": (
        lambda b: of_slurm(b, {"kind": "gpu", "count": 2}),
        f"{NODE2}.node_devices[0].count",
        "is no way to write devices of kind gpu",
        "list the device files",
    ),
    "slices of an FPGA": (
        lambda b: of_slurm(b, FPGA | {"slices": "half"}),
        f"{NODE2}.node_devices[0].slices",
        "counts for GPUs only",
        "remove it",
    ),
    "shared slices": (
        lambda b: of_slurm(b, GPU | {"slices": "1g.10gb", "sharing": {"how": "time", "holders": 2}}),
        f"{NODE2}.node_devices[0].slices",
        "counts for whole GPUs",
        "remove sharing",
    ),
    "a shared FPGA": (
        lambda b: of_slurm(b, FPGA | {"sharing": {"how": "time", "holders": 2}}),
        f"{NODE2}.node_devices[0].sharing",
        "counts for GPUs and RDMA only",
        "count",
    ),
    "MPS of RDMA": (
        lambda b: of_slurm(
            b, {"kind": "rdma", "files": ["/dev/u0"], "sharing": {"how": "mps", "holders": 2}}
        ),
        f"{NODE2}.node_devices[0].sharing.how",
        "is offered by Slurm only, and for GPUs only",
        "use time",
    ),
    "two types under one resource": (
        lambda b: b.hosts["node1"].update(
            node_devices=[GPU, GPU | {"type": "h100", "files": ["/dev/nvidia5"]}]
        ),
        f"{NODE1}.node_devices[1]",
        "is nvidia.com/gpu like row 1, with another type",
        "resource of its own",
    ),
    "a device plugin and DRA": (
        lambda b: b.hosts["node1"].update(
            node_devices=[GPU, GPU | {"resource": "x.io/gpu", "files": ["/dev/nvidia5"], "offered_by": "dra"}]
        ),
        f"{NODE1}.node_devices[1]",
        "a device plugin and a DRA driver would both offer GPUs",
        "offered_by alike",
    ),
    "gres by hand beside the table": (
        lambda b: of_slurm(b, GPU, slurm_node_gres=["gpu:4"]),
        f"{NODE2}.node_devices[0]",
        "gpu is in slurm_node_gres too",
        "remove gpu from slurm_node_gres",
    ),
    "devices that nothing closes to Slurm": (
        lambda b: (share(b, FPGA | {"owner": "kubernetes"}), b.vars.update(slurm_cgroup="none")),
        f"{NODE1}.node_devices[0]",
        "slurm_cgroup is none",
        "slurm_cgroup to auto",
    ),
    "no device file": (
        lambda b: of_slurm(b, FPGA | {"files": ["/etc/passwd"]}),
        f"{NODE2}.node_devices[0].files[0]",
        "is not a device file",
        "/dev/nvidia[0-3]",
    ),
    "an unknown key": (
        lambda b: of_slurm(b, FPGA | {"file": "/dev/x"}),
        f"{NODE2}.node_devices[0].file",
        "is not a key of this variable",
        "did you mean files?",
    ),
    "shares of a node that is not shared": (
        lambda b: b.hosts["node2"].update(SPLIT),
        f"{NODE2}.node_slurm_cpus",
        "node2 is not a shared node",
        "node_owner to shared",
    ),
    "CPUs without memory": (
        lambda b: share(b, node_slurm_cpus="0-3"),
        f"{NODE1}.node_slurm_cpus",
        "node1 has no node_slurm_memory_mib beside it",
        "both are divided or neither",
    ),
    "memory without CPUs": (
        lambda b: share(b, node_slurm_memory_mib=4096),
        f"{NODE1}.node_slurm_memory_mib",
        "node1 has no node_slurm_cpus beside it",
        "both are divided or neither",
    ),
    "all CPUs": (
        lambda b: share(b, **SPLIT, slurm_node_cpus=4),
        f"{NODE1}.node_slurm_cpus",
        "leaves Kubernetes nothing",
        "leave some CPUs",
    ),
    "CPUs that are not there": (
        lambda b: share(b, **SPLIT | {"node_slurm_cpus": "4-5"}, slurm_node_cpus=4),
        f"{NODE1}.node_slurm_cpus",
        "names CPU 5, and node1 has CPUs 0 to 3",
        "correct slurm_node_cpus",
    ),
    "all memory": (
        lambda b: share(b, **SPLIT, slurm_node_memory_mib=5000),
        f"{NODE1}.node_slurm_memory_mib",
        "leaves Kubernetes nothing: node1 has 5000 MiB, 1024 of them for the system",
        "leave some memory",
    ),
    "no list of CPUs": (
        lambda b: share(b, **SPLIT | {"node_slurm_cpus": "3-1"}),
        f"{NODE1}.node_slurm_cpus",
        "is not a list of CPUs",
        "0-7,16-23",
    ),
    "a kubelet that is told otherwise": (
        lambda b: share(b, **SPLIT, kubernetes_kubelet_overrides={"cpuManagerPolicy": "none"}),
        f"{NODE1}.kubernetes_kubelet_overrides",
        "cpuManagerPolicy contradicts the shares",
        "leave it out",
    ),
    "shares that nothing holds": (
        lambda b: (share(b, **SPLIT), b.vars.update(slurm_cgroup="none")),
        "slurm_cgroup",
        "nothing would keep jobs of Slurm to their CPUs",
        "auto",
    ),
    "Slurm's daemons on Kubernetes' CPUs": (
        lambda b: (share(b, **SPLIT), b.vars.update(slurm_controller_options={"TaskPluginParam": "Verbose"})),
        "slurm_controller_options.TaskPluginParam",
        "lacks SlurmdOffSpec",
        "Verbose,SlurmdOffSpec",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule(sandbox: Sandbox, name: str) -> None:
    spoil, key, problem, remedy = CASES[name]
    spoil(sandbox)
    mistake = sandbox.only()
    assert problem in mistake.problem
    assert mistake.key == key
    assert remedy in mistake.remedy


def test_all_mistakes_are_told_at_once(sandbox: Sandbox) -> None:
    share(sandbox, FPGA, GPU | {"owner": "slurm"}, GPU | {"owner": "kubernetes"}, node_slurm_cpus="0")
    assert len(sandbox.mistakes()) == 4


def test_a_mistake_of_a_group_is_told_once(sandbox: Sandbox) -> None:
    sandbox.hosts["node3"] = {"ansible_host": "192.0.2.15", "node_owner": "slurm"}
    for group in ("slurm_node", "munge"):
        sandbox.groups[group].append("node3")
    sandbox.groups["fpgas"] = ["node2", "node3"]
    sandbox.text("group_vars/fpgas.yml", "node_devices: [{kind: other, name: fpga}]")
    assert sandbox.only().file.name == "fpgas.yml"


ALLOWED: dict[str, Spoil] = {
    "devices of a host that can move": lambda b: (share(b, GPU), b.hosts["node1"].update(node_owner="slurm")),
    "devices of each owner": lambda b: share(
        b,
        GPU | {"owner": "slurm"},
        GPU | {"owner": "kubernetes", "files": ["/dev/nvidia[2-3]"], "type": "h100"},
        FPGA | {"owner": "kubernetes"},
        {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"], "owner": "slurm"},
    ),
    "slices of one GPU for both": lambda b: share(
        b,
        GPU | {"owner": "slurm", "slices": "1g.10gb", "files": ["/dev/nvidia0,/dev/cap[1-2]"]},
        GPU | {"owner": "kubernetes", "slices": "1g.10gb", "files": ["/dev/nvidia0,/dev/cap[3-4]"]},
    ),
    "shares": lambda b: share(b, **SPLIT, slurm_node_cpus=8, slurm_node_memory_mib=16384),
    "a device of the host's owner": lambda b: of_slurm(b, GPU | {"owner": "slurm"}),
    "a table made by Ansible": lambda b: b.hosts["node1"].update(node_devices="{{ x_devices }}"),
    "an owner made by Ansible": lambda b: share(b, FPGA | {"owner": "{{ x_owner }}"}),
    "other gres by hand": lambda b: of_slurm(b, GPU, slurm_node_gres=["licence:4"]),
    "DRA for all GPUs": lambda b: b.hosts["node1"].update(node_devices=[GPU | {"offered_by": "dra"}]),
    "shares of a group with others": lambda b: (
        share(b),
        b.groups.update(big=["node1", "node2"]),
        b.text("group_vars/big.yml", 'node_slurm_cpus: "0"\nnode_slurm_memory_mib: 1024'),
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_no_rule_forbids(sandbox: Sandbox, name: str) -> None:
    ALLOWED[name](sandbox)
    assert sandbox.mistakes() == []
