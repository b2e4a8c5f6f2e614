"""The table of devices: what a row stands for, and what each scheduler is told of it."""

from typing import Any

import pytest

from platformctl.site import devices
from platformctl.site.devices import DeviceError

GPUS = {"kind": "gpu", "vendor": "nvidia", "type": "a100"}


def shared(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"node_owner": "shared", "node_devices": list(rows)}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/dev/nvidia0", [("/dev/nvidia0",)]),
        ("/dev/nvidia[0-2,5]", [("/dev/nvidia0",), ("/dev/nvidia1",), ("/dev/nvidia2",), ("/dev/nvidia5",)]),
        ("/dev/x[08-10]", [("/dev/x08",), ("/dev/x09",), ("/dev/x10",)]),
        ("/dev/a0,/dev/b0", [("/dev/a0", "/dev/b0")]),
        ("/dev/a[0-1],/dev/b[4-5]", [("/dev/a0", "/dev/b4"), ("/dev/a1", "/dev/b5")]),
        ("/dev/nvidia0,/dev/cap[1-2]", [("/dev/nvidia0", "/dev/cap1"), ("/dev/nvidia0", "/dev/cap2")]),
        ("/dev/dri/renderD128", [("/dev/dri/renderD128",)]),
    ],
)
def test_a_pattern_stands_for_devices(pattern: str, expected: list[tuple[str, ...]]) -> None:
    assert list(devices.expand(pattern)) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "nvidia0",
        "/etc/passwd",
        "/dev/../etc",
        "/dev/x[a]",
        "/dev/x[",
        "/dev/x[1-99999]",
        "/dev/x[0-99][0-99]",
        "/dev/x[3-1]",
        "/dev/x[3-1,5]",
        "/dev/x[,]",
        "/dev/a[0-2],/dev/b[0-1]",
        "/dev/a b",
    ],
)
def test_what_is_no_device_file(pattern: str) -> None:
    with pytest.raises(DeviceError):
        devices.expand(pattern)


def test_a_row_belongs_to_the_owner_of_its_host_or_says_its_own() -> None:
    row = GPUS | {"files": ["/dev/nvidia0"]}
    assert devices.table({"node_owner": "slurm", "node_devices": [row]})[0].owner == "slurm"
    assert devices.table(shared(row)) == ()
    assert devices.table(shared(row | {"owner": "kubernetes"}))[0].owner == "kubernetes"


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "{{ x }}",
        [1],
        [{"kind": "gpu", "files": ["nowhere"]}],
        [{}],
        [{"kind": "gpu", "files": ["/dev/x"], "sharing": "often"}],
        [{"kind": "gpu", "files": ["/dev/x"], "sharing": {"how": "time", "holders": "{{ x }}"}}],
        [{"kind": "gpu", "files": 5}],
        [{"kind": "gpu", "files": ["/dev/x"], "common_files": ["/etc"]}],
    ],
)
def test_what_is_not_written_as_the_schema_says_is_left_out(rows: Any) -> None:
    found = devices.table({"node_owner": "slurm", "node_devices": rows})
    assert all(not row.devices for row in found)


def test_both_schedulers_are_told_of_their_devices_and_of_no_others() -> None:
    host = shared(
        GPUS | {"files": ["/dev/nvidia[0-2]"], "owner": "slurm"},
        GPUS | {"files": ["/dev/nvidia3"], "owner": "kubernetes", "common_files": ["/dev/nvidiactl"]},
        {"kind": "other", "name": "fpga", "files": ["/dev/xdma0"], "owner": "kubernetes"},
        {"kind": "other", "name": "licence", "count": 5, "owner": "slurm"},
    )
    assert devices.gres(host) == ["gpu:a100:3", "licence:5"]
    assert devices.gres_words(host) == [
        "Name=gpu Type=a100 File=/dev/nvidia0",
        "Name=gpu Type=a100 File=/dev/nvidia1",
        "Name=gpu Type=a100 File=/dev/nvidia2",
        "Name=licence Count=5",
    ]
    assert devices.plugin_rows(host) == [
        {
            "resource": "nvidia.com/gpu",
            "devices": [["/dev/nvidia3"]],
            "cdi": [""],
            "common": ["/dev/nvidiactl"],
            "holders": 1,
            "checked": True,
        },
        {
            "resource": "platformctl.io/fpga",
            "devices": [["/dev/xdma0"]],
            "cdi": [""],
            "common": [],
            "holders": 1,
            "checked": True,
        },
    ]
    assert devices.closed_to_slurm(host) == ("/dev/nvidia3", "/dev/xdma0")


def test_common_files_may_be_ranges() -> None:
    row = GPUS | {"files": ["/dev/nvidia0"], "common_files": ["/dev/c[0-1]", "/dev/a,/dev/b"]}
    (found,) = devices.table({"node_owner": "slurm", "node_devices": [row]})
    assert found.common == ("/dev/c0", "/dev/c1", "/dev/a", "/dev/b")


def test_slices_share_a_file_and_only_their_own_is_closed() -> None:
    sliced = GPUS | {"slices": "1g.10gb"}
    host = shared(
        sliced | {"files": ["/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[21-22]"], "owner": "slurm"},
        sliced | {"files": ["/dev/nvidia0,/dev/nvidia-caps/nvidia-cap23"], "owner": "kubernetes"},
    )
    assert devices.gres(host) == ["gpu:1g.10gb:2"]
    assert devices.gres_words(host)[0] == (
        "Name=gpu Type=1g.10gb MultipleFiles=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap21"
    )
    assert devices.plugin_rows(host)[0]["resource"] == "nvidia.com/mig-1g.10gb"
    assert devices.closed_to_slurm(host) == ("/dev/nvidia-caps/nvidia-cap23",)


@pytest.mark.parametrize(("how", "name"), [("time", "shard"), ("mps", "mps")])
def test_shared_gpus_are_offered_whole_and_in_parts_by_slurm(how: str, name: str) -> None:
    row = GPUS | {"files": ["/dev/nvidia[0-1]"], "sharing": {"how": how, "holders": 4}}
    host = {"node_owner": "slurm", "node_devices": [row]}
    assert devices.gres(host) == ["gpu:a100:2", f"{name}:8"]
    assert devices.gres_words(host)[-1] == f"Name={name} Count=8"


def test_shared_rdma_is_counted_by_slurm_as_no_job_has_it_alone() -> None:
    row = {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"], "sharing": {"how": "time", "holders": 100}}
    host = {"node_owner": "slurm", "node_devices": [row]}
    assert (devices.gres(host), devices.gres_words(host)) == (["rdma:100"], ["Name=rdma Count=100"])


def test_rows_of_one_resource_are_offered_by_one_plugin() -> None:
    rows = [{"kind": "other", "name": "fpga", "files": [f"/dev/xdma{number}"]} for number in range(2)]
    (offered,) = devices.plugin_rows({"node_owner": "kubernetes", "node_devices": rows})
    assert offered["devices"] == [["/dev/xdma0"], ["/dev/xdma1"]]


def test_what_others_offer_has_labels_and_no_plugin_of_ours() -> None:
    row = GPUS | {"files": ["/dev/nvidia0"], "offered_by": "dra"}
    host = {"node_owner": "kubernetes", "node_devices": [row]}
    assert devices.plugin_rows(host) == []
    assert devices.labels(host) == {
        "devices.platformctl.io/gpu": "present",
        "devices.platformctl.io/gpu-type": "a100",
        "devices.platformctl.io/gpu-vendor": "nvidia",
    }


def test_hosts_that_offer_the_same_are_a_class() -> None:
    def host(*files: str) -> dict[str, Any]:
        return {"node_owner": "kubernetes", "node_devices": [GPUS | {"files": list(files)}]}

    written = (("/dev/nvidia[0-1]",), ("/dev/nvidia0", "/dev/nvidia1"))
    one, other = (devices.labels(host(*files))[devices.CLASS_LABEL] for files in written)
    assert one == other != devices.labels(host("/dev/nvidia0"))[devices.CLASS_LABEL]


@pytest.mark.parametrize(
    ("row", "resource"),
    [
        ({"kind": "gpu", "vendor": "amd"}, "amd.com/gpu"),
        ({"kind": "gpu", "vendor": "intel"}, "gpu.intel.com/xe"),
        ({"kind": "gpu"}, "platformctl.io/gpu"),
        ({"kind": "gpu", "vendor": "nvidia", "resource": "example.com/gpu"}, "example.com/gpu"),
        ({"kind": "rdma"}, "rdma/hca"),
        ({"kind": "other", "name": "fpga"}, "platformctl.io/fpga"),
    ],
)
def test_names_in_kubernetes(row: dict[str, Any], resource: str) -> None:
    host = {"node_owner": "kubernetes", "node_devices": [row | {"files": ["/dev/x"]}]}
    assert devices.plugin_rows(host)[0]["resource"] == resource


def test_devices_of_a_host_that_can_move_are_known_to_both_and_closed_to_none() -> None:
    rows = [GPUS | {"files": ["/dev/nvidia0"]}, GPUS | {"files": ["/dev/nvidia1"], "owner": "kubernetes"}]
    for owner in ("slurm", "kubernetes"):
        variables = {"node_owner": owner, "node_devices": rows}
        host = devices.on_host(variables, {"slurm_node", "kubernetes_node"})
        assert devices.moves(host)
        assert devices.gres(host) == ["gpu:a100:1"]
        assert devices.plugin_rows(host)[0]["devices"] == [["/dev/nvidia0"], ["/dev/nvidia1"]]
        assert devices.closed_to_slurm(host) == ("/dev/nvidia1",)
    assert not devices.moves(devices.on_host({"node_owner": "slurm"}, {"slurm_node"}))
    assert not devices.moves(devices.on_host({"node_owner": "shared"}, {"slurm_node", "kubernetes_node"}))


def test_each_kind_has_its_health_check() -> None:
    rows = [
        GPUS | {"files": ["/dev/nvidia[0-1]"], "owner": "slurm"},
        GPUS | {"files": ["/dev/dri/card0"], "owner": "slurm", "vendor": "amd"},
        {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"], "owner": "kubernetes"},
        {"kind": "other", "name": "fpga", "files": ["/dev/xdma0"], "owner": "slurm", "health_check": "none"},
        {"kind": "other", "name": "seat", "count": 3, "owner": "slurm"},
        {
            "kind": "other",
            "name": "card",
            "files": ["/dev/c0"],
            "owner": "kubernetes",
            "health_check": "command",
            "health_command": ["check", "{file}"],
        },
    ]
    found = [
        (one["files"], one["check"], one["command"], one["slurm"]) for one in devices.watched(shared(*rows))
    ]
    assert found == [
        (["/dev/nvidia0"], "xid", [], True),
        (["/dev/nvidia1"], "xid", [], True),
        (["/dev/dri/card0"], "files", [], True),
        (["/dev/infiniband/uverbs0"], "link", [], False),
        (["/dev/c0"], "command", ["check", "{file}"], False),
    ]


def test_devices_of_a_host_that_can_move_concern_slurm_too() -> None:
    host = {
        "node_owner": "kubernetes",
        "group_names": ["kubernetes_node", "slurm_node"],
        "node_devices": [GPUS | {"files": ["/dev/nvidia0"]}],
    }
    assert [one["slurm"] for one in devices.watched(host)] == [True]
