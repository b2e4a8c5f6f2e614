"""What the class of a node says to its kubelet, and what contradicts itself in one."""

from collections.abc import Callable
from typing import Any

import pytest

from platformctl.site import node_classes
from tests.unit.site.conftest import Sandbox

SHARED = {"node_owner": "shared", "node_slurm_cpus": "4,0-2", "node_slurm_memory_mib": 8192}
MIB = 2**20


def test_a_node_without_a_class_has_no_settings_of_its_own() -> None:
    assert node_classes.kubelet_settings({"node_owner": "kubernetes"}) == {}
    assert node_classes.kubelet_settings({"node_owner": "shared"}) == {}


def test_the_kubelet_reserves_what_is_slurms_and_what_is_nobodys() -> None:
    settings = node_classes.kubelet_settings(SHARED)
    assert settings["cpuManagerPolicy"] == "static"
    assert settings["reservedSystemCPUs"] == "0-2,4"
    assert settings["systemReserved"] == {"memory": "9216Mi"}
    assert settings["cpuManagerPolicyOptions"] == {"strict-cpu-reservation": "true"}
    none = node_classes.kubelet_settings(SHARED | {"node_system_memory_mib": 0})
    assert none["systemReserved"] == {"memory": "8192Mi"}
    more = node_classes.kubelet_settings(SHARED | {"node_system_cpus": "3"})
    assert more["reservedSystemCPUs"] == "0-4"


def test_a_class_of_a_node_of_kubernetes() -> None:
    settings = node_classes.kubelet_settings(
        {
            "node_cpu_manager": {"policy": "static", "options": {"full-pcpus-only": True}},
            "node_topology_manager": {
                "policy": "restricted",
                "scope": "pod",
                "options": {"max-allowable-numa-nodes": 16},
            },
            "node_memory_manager": {"policy": "static", "reserved_on": [1, 0]},
            "node_system_cpus": "0-1",
            "node_system_memory_mib": 2048,
        }
    )
    assert settings == {
        "cpuManagerPolicy": "static",
        "cpuManagerPolicyOptions": {"full-pcpus-only": "true", "strict-cpu-reservation": "true"},
        "reservedSystemCPUs": "0-1",
        "topologyManagerPolicy": "restricted",
        "topologyManagerScope": "pod",
        "topologyManagerPolicyOptions": {"max-allowable-numa-nodes": "16"},
        "systemReserved": {"memory": "2048Mi"},
        "memoryManagerPolicy": "Static",
        "reservedMemory": [
            {"numaNode": 0, "limits": {"memory": str(1074 * MIB)}},
            {"numaNode": 1, "limits": {"memory": str(1074 * MIB)}},
        ],
    }


def test_a_site_may_let_pods_run_on_reserved_cpus_and_use_alpha_options() -> None:
    options = {"strict-cpu-reservation": False, "align-by-socket": True}
    settings = node_classes.kubelet_settings(
        {"node_cpu_manager": {"policy": "static", "options": options}, "node_system_cpus": "0"}
    )
    assert settings["cpuManagerPolicyOptions"] == {
        "align-by-socket": "true",
        "strict-cpu-reservation": "false",
    }
    assert settings["featureGates"] == {"CPUManagerPolicyAlphaOptions": True}


@pytest.mark.parametrize(
    ("overrides", "mib"),
    [
        ({}, 100),
        ({"kubeReserved": {"memory": "1Gi"}}, 1124),
        ({"systemReserved": {"memory": "0.5Gi", "cpu": "1"}}, 612),
        ({"evictionHard": {"memory.available": "200Mi"}}, 200),
        ({"evictionHard": {"nodefs.available": "5%"}}, 0),
        ({"evictionHard": {"nodefs.available": "5%"}, "mergeDefaultEvictionSettings": True}, 100),
    ],
)
def test_the_memory_manager_reserves_exactly_what_the_kubelet_keeps_back(
    overrides: dict[str, Any], mib: int
) -> None:
    assert node_classes.reserved_memory({"kubernetes_kubelet_overrides": overrides}) == mib * MIB


def kubernetes(box: Sandbox, **variables: Any) -> None:
    box.hosts["node1"].update(variables)


def shared(box: Sandbox, **variables: Any) -> None:
    box.groups["slurm_node"].append("node1")
    box.groups["munge"].append("node1")
    box.hosts["node1"].update(
        node_owner="shared", node_slurm_cpus="0-1", node_slurm_memory_mib=4096, **variables
    )


def slurm(box: Sandbox, **variables: Any) -> None:
    box.hosts["node2"].update(variables)


STATIC = {"policy": "static"}
ONE, TWO = "all.hosts.node1", "all.hosts.node2"
CASES: dict[str, tuple[Callable[[Sandbox], object], str, str]] = {
    "static without a CPU for the system": (
        lambda b: kubernetes(b, node_cpu_manager=STATIC),
        f"{ONE}.node_cpu_manager.policy",
        "needs a CPU of node1 that no pod has alone",
    ),
    "options of no policy": (
        lambda b: kubernetes(b, node_cpu_manager={"policy": "none", "options": {"full-pcpus-only": True}}),
        f"{ONE}.node_cpu_manager.options",
        "counts with policy static only",
    ),
    "options that exclude each other": (
        lambda b: kubernetes(
            b,
            node_system_cpus="0",
            node_cpu_manager=STATIC
            | {"options": {"full-pcpus-only": True, "distribute-cpus-across-cores": True}},
        ),
        f"{ONE}.node_cpu_manager.options.full-pcpus-only",
        "contradicts distribute-cpus-across-cores",
    ),
    "no policy on a divided node": (
        lambda b: shared(b, node_cpu_manager={"policy": "none"}),
        f"{ONE}.node_cpu_manager.policy",
        "contradicts the shares of node1",
    ),
    "pods on Slurm's CPUs": (
        lambda b: shared(b, node_cpu_manager=STATIC | {"options": {"strict-cpu-reservation": False}}),
        f"{ONE}.node_cpu_manager.options.strict-cpu-reservation",
        "would let pods run on Slurm's CPUs",
    ),
    "a CPU of the system that is Slurm's": (
        lambda b: shared(b, node_system_cpus="1-2"),
        f"{ONE}.node_system_cpus",
        "CPU 1 of node1 is Slurm's too",
    ),
    "a socket and a single NUMA node": (
        lambda b: kubernetes(
            b,
            node_system_cpus="0",
            node_cpu_manager=STATIC | {"options": {"align-by-socket": True}},
            node_topology_manager={"policy": "single-numa-node"},
        ),
        f"{ONE}.node_cpu_manager.options.align-by-socket",
        "contradicts the topology manager's policy single-numa-node",
    ),
    "NUMA nodes that are never joined": (
        lambda b: kubernetes(
            b,
            node_topology_manager={
                "policy": "single-numa-node",
                "options": {"prefer-closest-numa-nodes": True},
            },
        ),
        f"{ONE}.node_topology_manager.options.prefer-closest-numa-nodes",
        "never joins NUMA nodes",
    ),
    "an override of what the class decides": (
        lambda b: kubernetes(
            b,
            node_topology_manager={"policy": "restricted"},
            kubernetes_kubelet_overrides={"topologyManagerPolicy": "none"},
        ),
        f"{ONE}.kubernetes_kubelet_overrides.topologyManagerPolicy",
        "contradicts node_topology_manager of node1",
    ),
    "a reservation that cannot be added up": (
        lambda b: kubernetes(
            b,
            node_memory_manager=STATIC,
            kubernetes_kubelet_overrides={"evictionHard": {"memory.available": "5%"}},
        ),
        f"{ONE}.kubernetes_kubelet_overrides",
        "in per cent",
    ),
    "a kubelet's class on a node of Slurm": (
        lambda b: slurm(b, node_cpu_manager=STATIC),
        f"{TWO}.node_cpu_manager",
        "node2 is no node of Kubernetes",
    ),
    "CPUs that the inventory says are not there": (
        lambda b: slurm(b, node_system_cpus="4", slurm_node_cpus=4),
        f"{TWO}.node_system_cpus",
        "names CPU 4, and node2 has CPUs 0 to 3",
    ),
    "no CPU to give away": (
        lambda b: slurm(b, node_system_cpus="0-3", slurm_node_cpus=4),
        f"{TWO}.node_system_cpus",
        "leaves no CPU of node2 to give away",
    ),
    "cores that are both counted and named": (
        lambda b: slurm(b, node_system_cpus="0", slurm_node_core_spec_count=1),
        f"{TWO}.slurm_node_core_spec_count",
        "contradicts node_system_cpus of node2",
    ),
    "one size of huge pages twice": (
        lambda b: kubernetes(
            b, node_hugepages=[{"size": "2Mi", "count": 4}, {"size": "2Mi", "count": 8, "numa_node": 0}]
        ),
        f"{ONE}.node_hugepages[1]",
        "another number of pages of 2Mi",
    ),
    "more huge pages than memory": (
        lambda b: slurm(b, slurm_node_memory_mib=4096, node_hugepages=[{"size": "1Gi", "count": 4}]),
        f"{TWO}.node_hugepages",
        "are 4096 MiB, and node2 has 4096",
    ),
    "huge pages of a size that no processor has": (
        lambda b: kubernetes(b, node_hugepages=[{"size": "4Mi", "count": 4}]),
        f"{ONE}.node_hugepages[0].size",
        "",
    ),
    "CPUs that nothing keeps jobs off": (
        lambda b: (slurm(b, node_system_cpus="0"), b.vars.update(slurm_cgroup="none")),
        f"{TWO}.node_system_cpus",
        "nothing binds jobs to CPUs",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_contradiction_is_one_mistake_with_its_place(sandbox: Sandbox, case: str) -> None:
    spoil, key, problem = CASES[case]
    spoil(sandbox)
    found = sandbox.only()
    assert found.key == key
    assert problem in found.problem


def test_all_mistakes_are_told_at_once_and_those_of_a_group_once(sandbox: Sandbox) -> None:
    sandbox.groups["fast"] = ["node1", "node2"]
    sandbox.text(
        "group_vars/fast.yml",
        "node_cpu_manager:\n"
        "  {policy: static, options: {full-pcpus-only: true, distribute-cpus-across-cores: true}}\n"
        "node_hugepages: [{size: 2Mi, count: 4}, {size: 2Mi, count: 8}]\n",
    )
    keys = [mistake.key for mistake in sandbox.mistakes()]
    assert sorted(keys) == [
        "node_cpu_manager.options.full-pcpus-only",
        "node_cpu_manager.policy",
        "node_hugepages[1]",
    ]


def test_a_class_without_contradictions(sandbox: Sandbox) -> None:
    shared(
        sandbox,
        node_system_cpus="2",
        node_cpu_manager=STATIC | {"options": {"full-pcpus-only": True}},
        node_topology_manager={"policy": "single-numa-node", "scope": "pod"},
        node_memory_manager=STATIC | {"reserved_on": [0, 1]},
        node_hugepages=[{"size": "1Gi", "count": 2, "numa_node": node} for node in (0, 1)],
    )
    slurm(sandbox, node_system_cpus="0", slurm_node_cpu_bind="ldom")
    assert sandbox.mistakes() == []
