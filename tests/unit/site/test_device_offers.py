"""Devices that plugins of vendors and DRA drivers offer: what the table makes of them, and its mistakes."""

from typing import Any

import pytest

from platformctl.site import devices
from tests.unit.site.conftest import Sandbox

GPU = {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia[0-1]"]}
NVIDIA = GPU | {"offered_by": "nvidia-device-plugin"}
RDMA = {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"], "offered_by": "rdma-shared-device-plugin"}
SHARED = {"sharing": {"how": "time", "holders": 4}}


def host(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"node_owner": "kubernetes", "group_names": ["kubernetes_node"], "node_devices": list(rows)}


def test_nvidias_plugin_offers_what_the_table_says_and_ours_nothing_of_it() -> None:
    mine = host(NVIDIA | SHARED, {"kind": "other", "name": "fpga", "files": ["/dev/xdma0"]})
    assert devices.allocatable(mine) == {"platformctl.io/fpga": 1, "nvidia.com/gpu": 8}
    assert [row["resource"] for row in devices.plugin_rows(mine)] == ["platformctl.io/fpga"]
    assert devices.installed(mine) == {"nvidia-device-plugin"}
    (entry,) = devices.offers(mine)["nvidia-device-plugin"]
    assert (entry["count"], entry["holders"], entry["slices"]) == (2, 4, False)


def test_nodes_that_offer_the_same_have_the_same_label() -> None:
    name = "devices.platformctl.io/offered-by-nvidia-device-plugin"
    one, other, third = (devices.labels(host(row))[name] for row in (NVIDIA, NVIDIA, NVIDIA | SHARED))
    assert one == other != third
    assert name not in devices.labels(host(GPU))


def test_a_dra_driver_counts_its_devices_elsewhere() -> None:
    simulated = host(GPU | {"offered_by": "dra", "dra_driver": "gpu.example.com"})
    assert devices.allocatable(simulated) == {}
    assert devices.installed(simulated) == {"gpu.example.com"}
    # The site installs all other drivers, and those without a name are its own business.
    assert devices.installed(host(GPU | {"offered_by": "dra", "dra_driver": "gpu.nvidia.com"})) == set()
    assert devices.offers(host(GPU | {"offered_by": "dra"})) == {}
    assert devices.installed_for([simulated, host(NVIDIA)]) == {"gpu.example.com", "nvidia-device-plugin"}


CASES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a plugin and a DRA driver": (
        [NVIDIA, GPU | {"files": ["/dev/nvidia2"], "offered_by": "dra", "resource": "nvidia.com/other"}],
        "[1]",
        "a device plugin and a DRA driver would both offer GPUs",
    ),
    "ours beside NVIDIA's": (
        [NVIDIA, GPU | {"files": ["/dev/nvidia2"], "resource": "nvidia.com/other"}],
        "[1]",
        "nvidia-device-plugin offers all GPUs of a host, so also this one",
    ),
    "another vendor": (
        [NVIDIA | {"vendor": "amd"}],
        "[0].offered_by",
        "offers GPUs of nvidia only",
    ),
    "a name of its own": (
        [NVIDIA | {"resource": "nvidia.com/big"}],
        "[0].resource",
        "names its resources itself",
    ),
    "CDI names": (
        [NVIDIA | {"cdi": ["nvidia.com/gpu=[0-1]"]}],
        "[0].cdi",
        "counts with offered_by: platformctl",
    ),
    "a driver without DRA": (
        [NVIDIA | {"dra_driver": "gpu.nvidia.com"}],
        "[0].dra_driver",
        "offered_by: dra only",
    ),
    "sharing with DRA": ([GPU | SHARED | {"offered_by": "dra"}], "[0].sharing", "does not count"),
    "RDMA without interfaces": ([RDMA], "[0]", "has no interfaces"),
    "interfaces of nobody": (
        [RDMA | {"offered_by": "platformctl", "interfaces": ["ib0"]}],
        "[0].interfaces",
        "counts with offered_by: rdma-shared-device-plugin only",
    ),
    "the RDMA plugin for GPUs": (
        [GPU | {"offered_by": "rdma-shared-device-plugin"}],
        "[0].offered_by",
        "offers RDMA only",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule(sandbox: Sandbox, name: str) -> None:
    rows, key, problem = CASES[name]
    sandbox.hosts["node1"]["node_devices"] = rows
    mistake = sandbox.only()
    assert problem in mistake.problem
    assert mistake.key == f"all.hosts.node1.node_devices{key}"


def test_a_gpu_of_slurm_is_none_that_nvidias_plugin_may_offer(sandbox: Sandbox) -> None:
    for group in ("slurm_node", "munge"):
        sandbox.groups[group].append("node1")
    rows = [NVIDIA | {"owner": "kubernetes"}, GPU | {"owner": "slurm", "files": ["/dev/nvidia2"]}]
    sandbox.hosts["node1"].update(node_owner="shared", node_devices=rows)
    assert "offers all GPUs of a host" in sandbox.only().problem


def test_a_gpu_of_slurm_says_nothing_about_who_offers_the_others(sandbox: Sandbox) -> None:
    for group in ("slurm_node", "munge"):
        sandbox.groups[group].append("node1")
    rows = [
        GPU | {"owner": "slurm"},
        GPU | {"owner": "kubernetes", "files": ["/dev/nvidia2"], "offered_by": "dra"},
    ]
    sandbox.hosts["node1"].update(node_owner="shared", node_devices=rows)
    assert sandbox.mistakes() == []


@pytest.mark.parametrize(
    "row",
    [NVIDIA, NVIDIA | SHARED, RDMA | SHARED | {"interfaces": ["ib0"]}, GPU | {"offered_by": "dra"}],
)
def test_what_is_allowed(sandbox: Sandbox, row: dict[str, Any]) -> None:
    sandbox.hosts["node1"]["node_devices"] = [row]
    assert sandbox.mistakes() == []


def test_a_resource_has_one_dra_driver_in_a_site(sandbox: Sandbox) -> None:
    sandbox.hosts["node3"] = {"ansible_host": "192.0.2.15", "node_owner": "kubernetes"}
    for group in ("containerd", "kubernetes_node"):
        sandbox.groups[group].append("node3")
    for name, driver in (("node1", "gpu.nvidia.com"), ("node3", "gpu.example.com")):
        sandbox.hosts[name]["node_devices"] = [GPU | {"offered_by": "dra", "dra_driver": driver}]
    assert "would offer nvidia.com/gpu, which gpu.nvidia.com offers" in sandbox.only().problem
