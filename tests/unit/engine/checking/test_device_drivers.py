"""Drivers and RDMA ports that the table needs and a host does not have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine.checking import device_drivers
from platformctl.engine.checking.findings import Finding, Level
from tests.ansible_files import load
from tests.unit.engine.checking.test_preflight import subject

GPU = {"kind": "gpu", "vendor": "nvidia", "files": ["/dev/nvidia0"]}
NVIDIA = GPU | {"offered_by": "nvidia-device-plugin"}
VERBS = "/dev/infiniband/uverbs0"
RDMA = {"kind": "rdma", "files": [VERBS]}
FINE = {"driver": "580.95.05", "gpus": ["/dev/nvidia0"], "library": True, "toolkit": True}


def found(row: dict[str, Any], **parts: Any) -> list[Finding]:
    asked = replace(subject(parts=parts), variables={"node_owner": "kubernetes", "node_devices": [row]})
    return list(device_drivers.check(asked))


@pytest.mark.parametrize(
    ("row", "lacking", "words"),
    [
        (GPU, {"driver": ""}, "kernel driver is not loaded"),
        (NVIDIA, {"library": False}, "libnvidia-ml.so.1 is missing"),
        (NVIDIA, {"toolkit": False}, "neither nvidia-cdi-hook nor nvidia-ctk"),
        (GPU | {"cdi": ["nvidia.com/gpu=0"]}, {"toolkit": False}, "neither nvidia-cdi-hook nor nvidia-ctk"),
    ],
)
def test_what_is_missing_of_the_driver_is_named(
    row: dict[str, Any], lacking: dict[str, Any], words: str
) -> None:
    (error,) = found(row, nvidia=FINE | lacking)
    assert (error.level, error.check) == (Level.ERROR, "driver")
    assert words in error.found
    assert "install" in error.remedy


@pytest.mark.parametrize(
    ("row", "listed", "level", "words"),
    [
        (GPU, [], Level.ERROR, "does not list /dev/nvidia0"),
        (GPU, ["/dev/nvidia0", "/dev/nvidia1"], Level.WARNING, "has /dev/nvidia1 too, which nobody offers"),
        (NVIDIA, ["/dev/nvidia0", "/dev/nvidia1"], Level.ERROR, "which NVIDIA's plugin would offer"),
    ],
)
def test_the_drivers_gpus_are_those_of_the_table(
    row: dict[str, Any], listed: list[str], level: Level, words: str
) -> None:
    (finding,) = found(row, nvidia=FINE | {"gpus": listed})
    assert finding.level is level
    assert words in finding.found


@pytest.mark.parametrize("lacking", [{}, {"library": False}, {"toolkit": False}])
def test_our_own_plugin_needs_the_driver_alone(lacking: dict[str, Any]) -> None:
    assert found(GPU, nvidia=FINE | lacking) == []


@pytest.mark.parametrize(
    ("ports", "level", "words"),
    [
        (
            {"1": ["InfiniBand", "4: ACTIVE"]},
            Level.OK,
            "transport InfiniBand (mlx5_0, port 1: InfiniBand, ACTIVE)",
        ),
        ({"1": ["Ethernet", "4: ACTIVE"]}, Level.OK, "transport RoCE"),
        ({"1": ["InfiniBand", "1: DOWN"]}, Level.WARNING, "no port is active"),
        ({"1": ["Unspecified", "4: ACTIVE"]}, Level.ERROR, "InfiniBand or RoCE"),
        ({}, Level.ERROR, "InfiniBand or RoCE (mlx5_0, no port)"),
    ],
)
def test_the_transport_of_rdma_is_told(ports: dict[str, Any], level: Level, words: str) -> None:
    (finding,) = found(RDMA, ports={VERBS: {"name": "mlx5_0", "ports": ports}})
    assert finding.level is level
    assert words in finding.found


def test_the_host_tells_of_its_driver_and_ports(tmp_path: Path) -> None:
    probe = load("roles/preflight/library/host_probe.py")
    for name, text in {
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Mon\n",
        "proc/driver/nvidia/gpus/0000:3b:00.0/information": "Model: NVIDIA A100\nDevice Minor: \t 0\n",
        "sys/class/infiniband_verbs/uverbs0/ibdev": "mlx5_0\n",
        "sys/class/infiniband/mlx5_0/ports/1/link_layer": "InfiniBand\n",
        "sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    variables = {
        "node_owner": "kubernetes",
        "node_devices": [GPU, RDMA],
        "device_health_hardware": str(tmp_path),
    }
    answer = probe._parts(device_drivers.question(variables))
    assert (answer["nvidia"]["driver"], answer["nvidia"]["gpus"]) == ("580.95.05", ["/dev/nvidia0"])
    assert answer["ports"] == {VERBS: {"name": "mlx5_0", "ports": {"1": ["InfiniBand", "4: ACTIVE"]}}}
