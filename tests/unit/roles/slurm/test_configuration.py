"""Lines of slurm.conf and gres.conf."""

import pytest
from ansible.errors import AnsibleFilterError

from tests.ansible_files import load

config = load("roles/slurm/filter_plugins/slurm_config.py")
GROUPS = {"slurm_node": ["n1", "n2", "n3"], "gpu_nodes": ["n2", "n3", "k1"]}


def test_node_size_from_the_inventory_wins_over_the_measured_one():
    variables = {
        "ansible_host": "192.0.2.5",
        "slurm_node_cpus": 4,
        "slurm_node_gres": ["gpu:2", "fpga:1"],
    }
    line = config.slurm_node_line("n1", variables, {"n1": {"cpus": 64, "memory_mib": 10000}})
    assert line == "NodeName=n1 NodeAddr=192.0.2.5 CPUs=4 RealMemory=9744 Gres=gpu:2,fpga:1 State=UNKNOWN"


@pytest.mark.parametrize(
    ("measured", "percent", "given"),
    [
        (16000, 2, 15680),
        (2000, 2, 1744),  # at least 256 MiB
        (800, 2, 600),  # at most a quarter
        (16000, 0, 16000),
        (16000, 5, 15200),
    ],
)
def test_jobs_get_a_bit_less_than_the_measured_memory(measured, percent, given):
    assert config.slurm_memory(measured, percent) == given


def test_the_inventorys_memory_is_taken_as_it_is_and_its_margin_counts():
    sizes = {"n1": {"cpus": 4, "memory_mib": 16000}}
    assert "RealMemory=16000 " in config.slurm_node_line("n1", {"slurm_node_memory_mib": 16000}, sizes)
    assert "RealMemory=14400 " in config.slurm_node_line(
        "n1", {"slurm_node_memory_margin_percent": 10}, sizes
    )


def test_node_without_anything_known_still_has_a_line():
    assert config.slurm_node_line("n1", {}, {}) == "NodeName=n1 NodeAddr=n1 State=UNKNOWN"


def test_base_address_is_the_nodes_address():
    line = config.slurm_node_line("n1", {"ansible_host": "jump", "base_address": "192.0.2.7"}, {})
    assert "NodeAddr=192.0.2.7" in line


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("all", "ALL"),
        ("gpu_nodes", "n2,n3"),
        (["n1", "gpu_nodes", "n2"], "n1,n2,n3"),
    ],
)
def test_partition_takes_all_names_and_groups(nodes, expected):
    line = config.slurm_partition_line({"name": "p", "nodes": nodes}, GROUPS)
    assert line == f"PartitionName=p Nodes={expected} Default=NO"


def test_partition_of_an_unknown_node_is_refused_by_name():
    with pytest.raises(AnsibleFilterError, match=r"partition p: n9 is neither"):
        config.slurm_partition_line({"name": "p", "nodes": ["n9"]}, GROUPS)


def test_partition_options_are_written_as_slurm_conf_writes_them():
    partition = {
        "name": "p",
        "default": True,
        "max_time": "1-00:00:00",
        "allow_accounts": ["a", "b"],
        "options": {"ExclusiveUser": True},
    }
    line = config.slurm_partition_line(partition, GROUPS)
    assert line.endswith("Default=YES MaxTime=1-00:00:00 AllowAccounts=a,b ExclusiveUser=YES")


def test_gres_types_are_each_named_once():
    assert config.slurm_gres_types([["gpu:1"], [], ["gpu:a100:2", "fpga:1"]]) == ["fpga", "gpu"]


def test_real_devices_come_from_the_inventory():
    lines = config.slurm_gres_lines("n1", ["gpu:a100:4"], {"gpu": "/dev/nvidia[0-3]"}, simulated=False)
    assert lines == ["NodeName=n1 Name=gpu Type=a100 File=/dev/nvidia[0-3]"]


def test_a_resource_without_devices_is_only_counted():
    assert config.slurm_gres_lines("n1", ["licence:8"], {}, simulated=False) == [
        "NodeName=n1 Name=licence Count=8"
    ]


def test_simulated_devices_have_a_number_of_their_own():
    gres = ["gpu:a100:2", "gpu:h100:1", "fpga:1"]
    lines = config.slurm_gres_lines("n1", gres, {}, simulated=True)
    assert lines == [
        "NodeName=n1 Name=gpu Type=a100 File=/dev/simulated-gpu0",
        "NodeName=n1 Name=gpu Type=a100 File=/dev/simulated-gpu1",
        "NodeName=n1 Name=gpu Type=h100 File=/dev/simulated-gpu2",
        "NodeName=n1 Name=fpga File=/dev/simulated-fpga0",
    ]
    rules = config.slurm_simulated_rules(gres)
    numbers = [rule.split()[-1] for rule in rules]
    assert len(set(numbers)) == 4
    assert all(number.startswith("240:") for number in numbers)


SHARED = {
    "ansible_host": "192.0.2.5",
    "node_owner": "shared",
    "node_slurm_cpus": "0-1",
    "node_slurm_memory_mib": 6000,
}
LSCPU = {"n1": "# CPU,Core,Socket\n0,0,0\n1,1,0\n2,2,0\n3,3,0\n"}


def test_a_shared_node_keeps_the_rest_from_slurm():
    line = config.slurm_node_line("n1", SHARED, {"n1": {"cpus": 4, "memory_mib": 16000}}, LSCPU)
    assert line == (
        "NodeName=n1 NodeAddr=192.0.2.5 Sockets=1 CoresPerSocket=4 ThreadsPerCore=1 CPUs=4 RealMemory=15680 "
        "CpuSpecList=2-3 MemSpecLimit=9680 State=UNKNOWN"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"node_slurm_cpus": "0-7"}, "node_slurm_cpus of n1: the host has no CPU 4-7; it has 0-3"),
        ({"node_slurm_memory_mib": 16000}, "node_slurm_memory_mib of n1 is 16000, and Slurm finds 15680 MiB"),
    ],
)
def test_a_share_that_a_node_has_no_room_for_is_refused(changes, why):
    with pytest.raises(AnsibleFilterError, match=why):
        config.slurm_node_line("n1", SHARED | changes, {"n1": {"cpus": 4, "memory_mib": 16000}}, LSCPU)


def test_only_nodes_with_shares_are_divided():
    hosts = {"n1": SHARED, "n2": {"node_owner": "shared"}, "n3": {"node_owner": "slurm"}}
    assert config.slurm_split_nodes(["n1", "n2", "n3"], hosts) == ["n1"]


THREADED = "# CPU,Core,Socket,Node,L3\n" + "".join(
    f"{cpu},{cpu % 4},0,0,{cpu % 4 // 2}\n" for cpu in range(8)
)


def test_a_node_keeps_cpus_and_memory_for_the_system():
    host = {
        "node_owner": "slurm",
        "node_system_cpus": "0,4",
        "node_system_memory_mib": 1000,
        "node_hugepages": [{"size": "1Gi", "count": 2}, {"size": "2Mi", "count": 10}],
        "slurm_node_cpu_bind": "ldom",
    }
    hardware = {"n1": {"cpus": 8, "memory_mib": 16000}}
    line = config.slurm_node_line("n1", host, hardware, {"n1": THREADED})
    assert line == (
        "NodeName=n1 NodeAddr=n1 Sockets=1 CoresPerSocket=4 ThreadsPerCore=2 CPUs=8 RealMemory=15680 "
        "CpuBind=ldom CpuSpecList=0-1 MemSpecLimit=3068 State=UNKNOWN"
    )
    caches = config.slurm_node_line("n1", host, hardware, {"n1": THREADED}, "l3cache")
    assert " Sockets=2 CoresPerSocket=2 ThreadsPerCore=2 " in caches
    assert config.slurm_counted_nodes(["n1", "n2"], {"n1": host, "n2": {"node_owner": "slurm"}}) == ["n1"]
    counted = config.slurm_node_line("n1", {"slurm_node_core_spec_count": 1}, hardware)
    assert " CoreSpecCount=1 " in counted


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"node_system_cpus": "0"}, "node_system_cpus of n1: CPUs 0,4 are one core"),
        ({"node_hugepages": [{"size": "1Gi", "count": 16}]}, "n1 has 15680 MiB for jobs"),
    ],
)
def test_what_a_node_cannot_keep_is_refused(changes, why):
    with pytest.raises(AnsibleFilterError, match=why):
        config.slurm_node_line("n1", changes, {"n1": {"cpus": 8, "memory_mib": 16000}}, {"n1": THREADED})


def test_the_table_of_devices_is_offered_beside_what_is_written_by_hand():
    host = {
        "node_owner": "shared",
        "slurm_node_gres": ["licence:8"],
        "node_devices": [
            {"kind": "gpu", "type": "a100", "files": ["/dev/nvidia[0-1]"], "owner": "slurm"},
            {"kind": "gpu", "type": "a100", "files": ["/dev/nvidia2"], "owner": "kubernetes"},
        ],
    }
    assert "Gres=licence:8,gpu:a100:2 " in config.slurm_node_line("n1", host, {})
    assert config.slurm_device_lines("n1", host) == [
        "NodeName=n1 Name=gpu Type=a100 File=/dev/nvidia0",
        "NodeName=n1 Name=gpu Type=a100 File=/dev/nvidia1",
    ]
    assert config.slurm_closed_devices(host) == ["/dev/nvidia2"]
