"""The health check of devices, by what the API says of nodes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine.checking.proofs import TABLE
from platformctl.engine.checking.proofs.health_check import GLOBAL, Outcome, Scene
from tests.unit.engine.sites import make_fleet

CHECK = TABLE["devices"]
TABLE_OF_N1 = [
    {"kind": "other", "name": "fpga", "files": ["/dev/xdma[0-1]"]},
    {"kind": "rdma", "files": ["/dev/u0"], "sharing": {"how": "time", "holders": 5}},
]


def read(
    allocatable: dict[str, str], applied: tuple[str, ...] = ("kubernetes_node",), fault: str = ""
) -> dict[str, Outcome]:
    fleet = make_fleet({"n1": ("kubernetes_node",), "n2": ("kubernetes_node",)})
    variables: dict[str, Any] = fleet.hosts["n1"].variables  # type: ignore[assignment]
    variables |= {"node_owner": "kubernetes", "node_devices": TABLE_OF_N1}
    conditions = [{"type": "DeviceFault", "status": "True", "message": fault}] if fault else []
    status = {"allocatable": allocatable, "conditions": conditions}
    items = [{"metadata": {"name": name}, "status": status} for name in ("n1", "n2")]
    scene = Scene(fleet, {"n1": applied, "n2": applied})
    return dict(CHECK.read(scene, "ctl1", 0, json.dumps({"nodes": {"items": items}})))


def test_a_node_that_offers_all_is_fine_and_one_without_devices_is_not_asked() -> None:
    found = read({"platformctl.io/fpga": "2", "rdma/hca": "5"})
    assert found == {"n1": Outcome(True, "it offers 2 platformctl.io/fpga, 5 rdma/hca")}


@pytest.mark.parametrize(
    ("allocatable", "words"),
    [
        ({"platformctl.io/fpga": "1", "rdma/hca": "5"}, "it offers 1 of 2 platformctl.io/fpga"),
        ({}, "it offers 0 of 2 platformctl.io/fpga, 0 of 5 rdma/hca"),
        ({"platformctl.io/fpga": "3", "rdma/hca": "5"}, "it offers 3 of 2 platformctl.io/fpga"),
    ],
)
def test_a_node_that_offers_another_number_is_not(allocatable: dict[str, str], words: str) -> None:
    assert read(allocatable)["n1"] == Outcome(False, words)


def test_the_fault_that_a_node_reports_is_told() -> None:
    found = read({"platformctl.io/fpga": "1", "rdma/hca": "5"}, fault="xdma1: its file is missing")
    assert found["n1"].found == "it offers 1 of 2 platformctl.io/fpga; xdma1: its file is missing"


def test_the_service_is_looked_for_where_there_are_devices() -> None:
    fleet = make_fleet({"n1": ("kubernetes_node",)})
    (host,) = (one for one in fleet.hosts.values() if one.name == "n1")
    script = TABLE["device_health"].script
    assert script(fleet, host) == ""
    host.variables.update({"node_owner": "kubernetes", "node_devices": TABLE_OF_N1})  # type: ignore[attr-defined]
    assert "platformctl-device-health --show" in script(fleet, host)


def test_a_node_that_is_not_installed_yet_is_not_missed() -> None:
    assert read({}, applied=()) == {GLOBAL: Outcome(True, "no node of Kubernetes has devices")}


@pytest.mark.parametrize(("code", "output"), [(1, "refused"), (0, "no JSON"), (0, "[]")])
def test_an_api_that_does_not_answer_is_told_elsewhere(code: int, output: str) -> None:
    assert CHECK.read(Scene(make_fleet({"n1": ("kubernetes_node",)})), "ctl1", code, output) == {}


@pytest.mark.parametrize(
    ("row", "asked"),
    [({}, False), ({"offered_by": "nvidia-device-plugin"}, True), ({"cdi": ["nvidia.com/gpu=0"]}, True)],
)
@pytest.mark.parametrize(("dumped", "code"), [("    enable_cdi = true", 0), ("    enable_cdi = false", 1)])
def test_containerd_reads_cdi_files_where_devices_come_by_them(
    row: dict[str, Any], asked: bool, dumped: str, code: int, tmp_path: Path
) -> None:
    fleet = make_fleet({"n1": ("kubernetes_node",)})
    variables: dict[str, Any] = fleet.hosts["n1"].variables  # type: ignore[assignment]
    gpu = {"kind": "gpu", "vendor": "nvidia", "files": ["/dev/nvidia0"], **row}
    variables |= {"node_owner": "kubernetes", "node_devices": [gpu]}
    script = TABLE["cdi"].script(fleet, fleet.hosts["n1"])
    assert bool(script) is asked
    program = tmp_path / "containerd"
    program.write_text(f"#!/bin/sh\necho '{dumped}'\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert done.returncode == (code if asked else 0)
