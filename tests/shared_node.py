"""A lab's inventory with one node that both schedulers share, and what both say of its devices."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from platformctl import paths

NODE = "node1"
SLURM_MIB = 2048
GPU = {"kind": "gpu", "vendor": "nvidia"}
SLICED = "/dev/nvidia3"
PORT = "/dev/infiniband/uverbs0"
DEVICES: list[dict[str, Any]] = [
    {**GPU, "type": "a100", "files": ["/dev/nvidia[0-1]"], "owner": "slurm"},
    {**GPU, "type": "a100", "files": ["/dev/nvidia2"], "owner": "kubernetes"},
    {"kind": "other", "name": "fpga", "files": ["/dev/lab-fpga0"], "owner": "slurm"},
    {
        "kind": "other",
        "name": "fpga",
        "files": ["/dev/lab-fpga[1-2]"],
        "common_files": ["/dev/lab-fpga-control"],
        "cdi": ["example.com/fpga=[1-2]"],
        "owner": "kubernetes",
    },
    # One GPU in two slices, one for each scheduler: an Xid of it concerns both.
    {**GPU, "slices": "1g.10gb", "files": [f"{SLICED},/dev/nvidia-caps/nvidia-cap1"], "owner": "slurm"},
    {**GPU, "slices": "1g.10gb", "files": [f"{SLICED},/dev/nvidia-caps/nvidia-cap2"], "owner": "kubernetes"},
    {"kind": "rdma", "files": [PORT], "owner": "kubernetes"},
]
FILES = [f"/dev/{name}" for name in ("nvidia0", "nvidia1", "nvidia2", "lab-fpga0", "lab-fpga1", "lab-fpga2")]
SLICE = "nvidia.com/mig-1g.10gb"
LINK = "rdma/hca"
ADMIN = "--kubeconfig=/etc/kubernetes/admin.conf"

Host = Callable[..., str]
"""Runs a command on a host of the lab: the host's name, then the words. Returns what it printed."""


def write_inventory(folder: Path) -> None:
    """The lab's inventory with one node, which both schedulers share."""
    shutil.copytree(paths.data_dir() / "inventories/lab", folder, ignore=shutil.ignore_patterns("*.vault"))
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    everything = hosts["all"]
    del everything["hosts"]["node2"]
    limits = yaml.safe_load((folder / "group_vars/all/kubernetes.yml").read_text())
    everything["hosts"][NODE] |= {
        "node_owner": "shared",
        "node_slurm_cpus": "0",
        "node_slurm_memory_mib": SLURM_MIB,
        "node_devices": DEVICES,
        # RDMA asks for unlimited memory locks, and limits of lab hosts cannot be raised.
        "containerd_service_limits": limits["containerd_service_limits"] | {"LimitMEMLOCK": "8388608"},
    }
    everything["children"]["slurm"]["children"]["slurm_node"]["hosts"] = {NODE: {}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))


def in_kubernetes(host: Host) -> tuple[dict[str, int], str]:
    """How many of each device Kubernetes offers on the node, and what its condition says is faulty."""
    node = json.loads(host("ctl1", "kubectl", ADMIN, "get", "node", NODE, "--output=json"))["status"]
    offered = {name: int(count) for name, count in node["allocatable"].items() if "/" in name}
    told = [
        one["message"]
        for one in node["conditions"]
        if one["type"] == "DeviceFault" and one["status"] == "True"
    ]
    return offered, "".join(told)


def drain(host: Host) -> str:
    """The reason of the node's drain in Slurm, without who set it when; empty if it is in service."""
    said = host("ctl1", "scontrol", "--oneliner", "show", "node", NODE)
    state = said.partition(" State=")[2].split()[0]
    return said.partition(" Reason=")[2].partition(" [")[0] if "DRAIN" in state else ""


def stamp(host: Host) -> str:
    """Who drained the node when."""
    said = host("ctl1", "scontrol", "--oneliner", "show", "node", NODE)
    return said.partition(" Reason=")[2].partition(" [")[2].partition("]")[0]
