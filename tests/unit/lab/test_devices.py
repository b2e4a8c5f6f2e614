"""The files that stand in for devices of lab hosts, and for what the kernel tells of them."""

import json

from platformctl.lab import devices
from platformctl.site.devices import table


def rules(**row: object) -> list[str]:
    return devices.tmpfiles(table({"node_owner": "slurm", "node_devices": [row]})).splitlines()


def test_a_host_without_devices_has_no_files() -> None:
    assert devices.tmpfiles(()) == ""


def test_gpus_are_known_to_a_driver() -> None:
    made = rules(kind="gpu", vendor="nvidia", files=["/dev/nvidia[0-1]"], common_files=["/dev/nvidiactl"])
    assert [line.split()[1] for line in made] == [
        "/dev/nvidia0",
        "/dev/nvidia1",
        "/dev/nvidiactl",
        devices.KERNEL_LOG,
        f"{devices.HARDWARE}/proc/driver/nvidia/version",
        f"{devices.HARDWARE}/proc/driver/nvidia/gpus/0000:00:00.0/information",
        f"{devices.HARDWARE}/proc/driver/nvidia/gpus/0000:01:00.0/information",
    ]
    assert devices.address("/dev/nvidia1") == "0000:01:00"
    assert devices.address("/dev/nvidiactl") == ""


def test_a_device_with_a_name_in_cdi_brings_a_file() -> None:
    made = rules(kind="other", name="fpga", files=["/dev/f[0-1]"], cdi=["example.com/fpga=[0-1]"])
    words = made[-1].split(" ")
    assert words[:2] == ["f+", "/etc/cdi/example.com-fpga.json"]
    document = json.loads(words[6])
    assert [one["name"] for one in document["devices"]] == ["0", "1"]
    assert document["devices"][1]["containerEdits"]["env"] == ["LAB_DEVICE=example.com/fpga=1"]


def test_rdma_devices_have_a_port() -> None:
    made = rules(kind="rdma", files=["/dev/infiniband/uverbs3"])
    assert f"f {devices.port_state('/dev/infiniband/uverbs3')} 0644 root root - 4:\\x20ACTIVE\\n" in made
