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
    line = config.slurm_node_line("n1", variables, {"n1": {"cpus": 64, "memory_mib": 1000}})
    assert line == "NodeName=n1 NodeAddr=192.0.2.5 CPUs=4 RealMemory=1000 Gres=gpu:2,fpga:1 State=UNKNOWN"


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
