"""What NVIDIA's library says of GPUs, from the lab's stand-in; and what labels and metrics are made of it."""

import ctypes
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from platformctl.lab import driver
from platformctl.site.devices import table
from tests.unit.roles.device_health.package import module

nvml = module("nvml")
features = module("features")
metrics = module("metrics")
kubernetes = module("kubernetes")
ROW = {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia[0-1]"]}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The stand-in, loaded, and the file that says what it answers."""
    if shutil.which("gcc") is None:
        pytest.skip("the stand-in is compiled")
    place = driver.build(tmp_path_factory.mktemp("nvml"))
    return ctypes.CDLL(str(place)), place.with_name(f"{place.name}.conf")


@pytest.fixture
def settings(library: tuple[Any, Path]) -> str:
    rows = table({"node_owner": "kubernetes", "node_devices": [ROW]})
    text = driver.settings(rows)
    library[1].write_text(text)
    return text


def test_the_table_is_what_the_library_says(library: tuple[Any, Path], settings: str) -> None:
    report = nvml.read(library[0])
    assert (report["driver"], report["cuda"]) == (driver.VERSION, 13000)
    gpu = {"name": "NVIDIA-A100", "memory_mib": driver.MEMORY_MIB, "compute": "8.0", "mig": False}
    assert report["gpus"] == {"0": {"minor": 0, **gpu}, "1": {"minor": 1, **gpu}}


def test_a_lost_gpu_is_faulty_by_the_file_that_it_had(library: tuple[Any, Path], settings: str) -> None:
    known = nvml.Library(1, lambda: nvml.read(library[0]))
    known.look()
    assert known.fault("/dev/nvidia1") == ""
    library[1].write_text(driver.changed(settings, "/dev/nvidia1", {"lost": 1}))
    known.look()
    assert (known.fault("/dev/nvidia0"), known.fault("/dev/nvidia1")) == (
        "",
        "NVML says that the GPU is lost",
    )
    library[1].write_text(settings)
    known.look()
    assert known.fault("/dev/nvidia1") == ""


def test_an_answer_that_does_not_come_leaves_the_last_one() -> None:
    answers = iter([{"driver": "1", "gpus": {"0": {"minor": 0}}}, {}])
    known = nvml.Library(1, lambda: next(answers))
    known.look()
    known.look()
    assert known.report["driver"] == "1"


def test_a_host_without_the_library_says_so() -> None:
    refusing = SimpleNamespace(nvmlInit_v2=lambda: 9)
    with pytest.raises(OSError, match="NVML cannot start: error 9"):
        nvml.read(refusing)


REPORT = {
    "driver": "580.95.05",
    "cuda": 13010,
    "gpus": {
        "0": {
            "minor": 0,
            "name": "NVIDIA A100-SXM4 (40GB)",
            "memory_mib": 40960,
            "compute": "8.0",
            "mig": False,
        },
        "1": {"minor": 1, "name": "NVIDIA H200", "memory_mib": 143771, "compute": "9.0", "mig": True},
        "2": {"lost": True},
    },
}


def test_labels_are_those_of_nvidias_feature_discovery() -> None:
    one = features.labels(REPORT, [{"file": "/dev/nvidia0", "holders": 4}])
    assert one == {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
        "nvidia.com/gpu.memory": "40960",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/gpu.replicas": "4",
        "nvidia.com/mig.capable": "false",
        "nvidia.com/cuda.runtime-version.full": "13.1",
        "nvidia.com/cuda.driver-version.full": "580.95.05",
    }
    assert set(one) == set(features.LABELS)


def test_what_gpus_differ_in_has_no_label() -> None:
    offered = [{"file": f"/dev/nvidia{number}", "holders": 1} for number in (0, 1)]
    both = features.labels(REPORT, offered)
    assert (both["nvidia.com/gpu.count"], both["nvidia.com/mig.capable"]) == ("2", "true")
    assert "nvidia.com/gpu.product" not in both
    assert both["nvidia.com/gpu.compute.minor"] == "0"
    assert features.labels(REPORT, [{"file": "/dev/nvidia7", "holders": 1}]) == {}
    assert features.labels({}, offered) == {}


class Api:
    """A node with labels; takes `kubectl label`."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels

    def run(self, words: list[str], _data: str) -> str:
        if "get" in words:
            return json.dumps({"metadata": {"labels": self.labels}})
        for change in words[words.index("--overwrite") + 1 :]:
            name, _, value = change.partition("=")
            if value:
                self.labels[name] = value
            else:
                del self.labels[name.removesuffix("-")]
        return ""


def test_a_node_gets_its_labels_and_loses_what_is_no_longer_true(tmp_path: Path) -> None:
    api = Api({"mine": "stays", "nvidia.com/gpu.product": "old", "nvidia.com/gpu.replicas": "2"})
    node = kubernetes.Node("n1", tmp_path, api.run)
    assert node.label('{"nvidia.com/gpu.product": "new"}') == kubernetes.LABELS_SECONDS
    assert api.labels == {"mine": "stays", "nvidia.com/gpu.product": "new"}
    assert node.label("") is None
    assert api.labels == {"mine": "stays"}


def test_labels_of_nvidias_own_program_are_left_alone(tmp_path: Path) -> None:
    theirs = {features.THEIRS: "1764000000", "nvidia.com/gpu.product": "theirs"}
    api = Api(dict(theirs))
    kubernetes.Node("n1", tmp_path, api.run).label('{"nvidia.com/gpu.product": "ours"}')
    assert api.labels == theirs


def test_metrics_tell_of_health_and_of_what_is_held(tmp_path: Path) -> None:
    watched = [SimpleNamespace(files=("/dev/nvidia0",)), SimpleNamespace(files=("/dev/nvidia1",))]
    offered = {"kubernetes": {"nvidia.com/gpu": 2}, "slurm": {}}
    text = metrics.text(
        watched, {"/dev/nvidia1": "Xid 79"}, offered, {"kubernetes": {"nvidia.com/gpu": 1}}, REPORT
    )
    lines = text.splitlines()
    assert 'platformctl_device_healthy{device="/dev/nvidia0"} 1' in lines
    assert 'platformctl_device_healthy{device="/dev/nvidia1"} 0' in lines
    assert 'platformctl_devices_offered{scheduler="kubernetes",resource="nvidia.com/gpu"} 2' in lines
    assert 'platformctl_devices_allocated{scheduler="kubernetes",resource="nvidia.com/gpu"} 1' in lines
    named = 'device="/dev/nvidia1",product="NVIDIA H200",driver="580.95.05"'
    assert f"platformctl_gpu_memory_bytes{{{named}}} {143771 << 20}" in lines
    metrics.write(tmp_path / "nobody-reads", text)
    metrics.write(tmp_path, text)
    assert [path.name for path in tmp_path.iterdir()] == [metrics.FILE]


def test_pods_that_are_gone_hold_nothing(tmp_path: Path) -> None:
    entries = [
        {"PodUID": uid, "ResourceName": name, "DeviceIDs": {"-1": ids}}
        for uid, name, ids in (("a", "x/gpu", ["0", "1"]), ("gone", "x/gpu", ["2"]), ("a", "x/other", ["0"]))
    ]
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_text(json.dumps({"Data": {"PodDeviceEntries": entries}}))
    (tmp_path / "pods/a").mkdir(parents=True)
    assert metrics.of_pods(["x/gpu"], checkpoint, tmp_path / "pods") == {"x/gpu": 2}
    assert metrics.of_pods(["x/gpu"], tmp_path / "none", tmp_path / "pods") is None


@pytest.mark.parametrize(
    ("used", "held"),
    [
        ("gpu:a100:2(IDX:0-1),fpga:1", {"gpu:a100": 2, "fpga": 1, "rdma": 0}),
        ("gpu:a100:0(IDX:N/A),fpga:0,rdma:3", {"gpu:a100": 0, "fpga": 0, "rdma": 3}),
    ],
)
def test_jobs_hold_what_slurm_says(used: str, held: dict[str, int]) -> None:
    assert metrics.of_jobs(f"NodeName=n1 Gres=gpu:a100:2 GresUsed={used} State=MIXED", held) == held
    assert metrics.of_jobs("NodeName=n1 State=MIXED", held) is None
