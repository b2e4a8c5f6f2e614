"""Devices, CPUs and memory of the inventory that a host does not have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine.checking import node_parts
from platformctl.engine.checking.findings import Finding, Level
from platformctl.engine.checking.preflight import judge
from tests.ansible_files import load
from tests.unit.engine.checking.test_preflight import subject

GPU = {"kind": "gpu", "vendor": "nvidia", "files": ["/dev/nvidia[0-1]"], "common_files": ["/dev/nvidiactl"]}
HOST: dict[str, Any] = {
    "node_owner": "shared",
    "node_slurm_cpus": "0-1",
    "node_slurm_memory_mib": 4096,
    "node_devices": [GPU | {"owner": "slurm"}],
}
LSCPU = "# CPU,Core,Socket\n0,0,0\n1,1,0\n2,2,0\n3,3,0\n"


def errors(changes: dict[str, Any] | None = None, **parts: Any) -> list[Finding]:
    """The errors of a host that answers this, with changes to its variables."""
    asked = subject(parts={"missing": [], "lscpu": LSCPU, **parts})
    return [f for f in judge([replace(asked, variables=HOST | (changes or {}))]) if f.level is Level.ERROR]


def test_a_host_is_asked_for_its_files_and_only_a_divided_one_for_its_cpus() -> None:
    files = ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl"]
    asked, plain = node_parts.question(HOST), node_parts.question({"node_owner": "slurm"})
    assert (asked["files"], asked["cdi"], asked["processors"], asked["nvidia"]) == (files, [], True, True)
    assert (plain["files"], plain["cdi"], plain["processors"], plain["nvidia"]) == ([], [], False, False)
    assert (asked["hugepages"], plain["hugepages"]) == (False, False)
    assert node_parts.question({"node_system_cpus": "0"})["processors"]


def test_a_host_that_has_all_is_fine() -> None:
    assert errors() == []


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["/dev/nvidia1"], "/dev/nvidia1 of gpu is no device there"),
        (["/dev/nvidia0", "/dev/nvidiactl"], "/dev/nvidia0 and 1 more of gpu are no device there"),
    ],
)
def test_missing_devices_are_named_with_the_driver(missing: list[str], words: str) -> None:
    (found,) = errors(missing=missing)
    assert (found.check, found.found) == ("devices", words)
    assert "nvidia-smi" in found.remedy
    assert "row 1 of node_devices" in found.remedy


def test_only_pods_need_what_cdi_says_of_a_device() -> None:
    row = GPU | {"cdi": ["nvidia.com/gpu=[0-1]"]}
    rows = [row | {"owner": "kubernetes"}, row | {"owner": "slurm", "files": ["/dev/nvidia[2-3]"]}]
    asked = node_parts.question({"node_owner": "shared", "node_devices": rows})
    assert asked["cdi"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]


def test_a_device_that_no_file_of_cdi_has() -> None:
    (found,) = errors(no_cdi=["nvidia.com/gpu=0", "nvidia.com/gpu=1"])
    assert found.found == "no file in /etc/cdi or /var/run/cdi there has nvidia.com/gpu=0 and 1 more"
    assert "nvidia-ctk cdi generate" in found.remedy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "nvidia.yaml",
            'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: "0"\n  containerEdits: {}\n'
            "- name: all\n",
        ),
        (
            "nvidia.json",
            '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}, {"name": "all"}]}',
        ),
    ],
)
def test_the_devices_in_files_of_cdi_are_found(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = load("roles/preflight/library/host_probe.py")
    (tmp_path / name).write_text(text)
    (tmp_path / "notes.txt").write_text("kind: other.example/x\nname: 7\n")
    monkeypatch.setattr(
        probe.pathlib, "Path", lambda folder: tmp_path if folder == "/etc/cdi" else Path(folder)
    )
    assert probe._cdi_names() == {"nvidia.com/gpu=0", "nvidia.com/gpu=all"}


def test_cpus_that_the_host_does_not_have() -> None:
    (found,) = errors({"node_slurm_cpus": "2-5"})
    assert (found.check, found.found) == ("processors", "the host has no CPU 4-5; it has 0-3")
    (found,) = errors(lscpu="0,0,0\n1,0,0\n2,1,0\n3,1,0\n", changes={"node_slurm_cpus": "0"})
    assert "CPUs 0-1 are one core" in found.found


def test_memory_that_the_host_does_not_have() -> None:
    (found,) = errors({"node_slurm_memory_mib": 8000})
    assert (found.check, found.found) == (
        "memory",
        "8192 MiB of memory, of which 8000 are Slurm's and 1024 the system's",
    )


def test_what_ansible_makes_is_not_judged() -> None:
    assert errors({"node_slurm_cpus": "{{ x_cpus }}"}) == []


def test_the_probe_tells_devices_from_other_files() -> None:
    probe = load("roles/preflight/library/host_probe.py")
    answer = probe._parts({"files": ["/dev/null", "/dev/missing", "/etc/hosts"], "processors": True})
    assert answer["missing"] == ["/dev/missing", "/etc/hosts"]
    assert "\n0,0,0" in answer["lscpu"]
    assert probe._parts({"files": []})["lscpu"] == ""


NUMA = "# CPU,Core,Socket,Node,,L3\n0,0,0,0,,0\n1,0,0,0,,0\n2,1,1,1,,1\n3,1,1,1,,1\n"
KEPT = {"2048": {"": 10, "0": 10, "1": 0}}


@pytest.mark.parametrize(
    ("variables", "check", "words"),
    [
        ({"node_system_cpus": "4"}, "processors", "the host has no CPU 4; it has 0-3"),
        ({"node_system_cpus": "0"}, "processors", "CPUs 0-1 are one core, and only some of them are meant"),
        ({"node_system_cpus": "0-3"}, "processors", "all 4 CPUs are kept back or Slurm's"),
        (
            {"node_memory_manager": {"policy": "static", "reserved_on": [2]}},
            "numa",
            "it has no NUMA node 2, only 0-1",
        ),
        ({"node_hugepages": [{"size": "2Mi", "count": 1, "numa_node": 3}]}, "numa", "no NUMA node 3"),
        ({"node_hugepages": [{"size": "1Gi", "count": 1}]}, "hugepages", "no huge pages of 1Gi"),
        (
            {"node_hugepages": [{"size": "2Mi", "count": 60}]},
            "hugepages",
            "100 MiB more are to be huge pages, and 64 MiB are free",
        ),
    ],
)
def test_a_class_that_the_hardware_does_not_have(variables: dict[str, Any], check: str, words: str) -> None:
    asked = subject(parts={"lscpu": NUMA, "hugepages": KEPT, "available": 64 * 2**20})
    found = judge([replace(asked, variables={"node_owner": "kubernetes", **variables})])
    (error,) = [one for one in found if one.level is Level.ERROR]
    assert error.check == check
    assert words in error.found


def test_a_class_that_the_hardware_has() -> None:
    asked = subject(parts={"lscpu": NUMA, "hugepages": KEPT, "available": 64 * 2**20})
    variables = {
        "node_owner": "kubernetes",
        "node_system_cpus": "0-1",
        "node_memory_manager": {"policy": "static", "reserved_on": [1]},
        "node_hugepages": [{"size": "2Mi", "count": 30}],
    }
    assert [f for f in judge([replace(asked, variables=variables)]) if f.level is Level.ERROR] == []


def test_the_probe_tells_the_huge_pages_of_the_kernel() -> None:
    probe = load("roles/preflight/library/host_probe.py")
    answer = probe._parts({"hugepages": True})
    for path in Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB"):
        assert answer["hugepages"][path.name[10:-2]][""] == int((path / "nr_hugepages").read_text())
    assert answer["available"] > 0
