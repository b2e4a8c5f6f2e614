"""Which waiting work counts, and how many nodes it would fill."""

import pytest

from platformctl.engine.balance.waiting import Node, Waiting, of_kubernetes, of_slurm

NODE = Node(
    "n1",
    8,
    16000,
    frozenset({"main"}),
    frozenset({"avx", "fast"}),
    {"gpu:a100": 2},
    {"zone": "b"},
    {"nvidia.com/gpu": 2},
)


def job(
    partition="main", nodes=1, cpus=4, memory="0", gres="N/A", features="(null)", reason="Resources"
) -> str:
    return f"7;{partition};{nodes};{cpus};{memory};{gres};{features};{reason}\n"


def test_small_jobs_share_a_node_and_wide_ones_fill_theirs():
    assert of_slurm(job() + job(), [NODE]) == Waiting(1, "2 jobs wait for 1 node")
    assert of_slurm(job() * 3, [NODE]) == Waiting(2, "3 jobs wait for 2 nodes")
    assert of_slurm(job(nodes=3, cpus=3), [NODE]) == Waiting(3, "1 job waits for 3 nodes")
    assert of_slurm("", [NODE]) == Waiting()


@pytest.mark.parametrize("reason", ["Resources", "Priority", "ReqNodeNotAvail, UnavailableNodes:n[1-3]"])
def test_a_job_that_lacks_nodes_counts(reason):
    assert of_slurm(job(reason=reason), [NODE]) == Waiting(1, "1 job waits for 1 node")


@pytest.mark.parametrize(
    "row",
    [
        job(reason="QOSMaxCpuPerUserLimit"),
        job(reason="Dependency"),
        job(reason="JobHeldUser"),
        job(reason="BeginTime"),
        job(reason="AssocGrpCPULimit"),
        job(partition="other"),
        job(cpus=9),
        job(nodes=2, cpus=18),
        job(memory="17G"),
        job(features="avx512"),
        job(features="avx|fast"),
        job(gres="gres/gpu:3"),
        job(gres="gres/gpu:h100:1"),
        job(gres="gres/fpga:1"),
    ],
)
def test_a_job_that_waits_for_something_else_or_fits_nowhere_does_not_count(row):
    assert of_slurm(row, [NODE]) == Waiting()


@pytest.mark.parametrize(
    "row",
    [
        job(partition="other,main"),
        job(features="avx&fast"),
        job(gres="gres/gpu:2"),
        job(gres="gres/gpu:a100:1"),
        job(gres="gpu"),
        job(memory="15.5G"),
        job(memory="90Gc"),
    ],
)
def test_a_job_that_would_fit_counts(row):
    found = of_slurm(row, [NODE])
    assert found
    assert found.nodes == 1


def test_what_is_no_answer_is_unknown():
    assert of_slurm("slurm_load_jobs error: Unable to contact slurm controller\n", [NODE]) is None


def pod(cpu="4", memory="1Gi", reason="Unschedulable", owner="Job", **spec) -> dict:
    requests = {"cpu": cpu, "memory": memory, **spec.pop("asks", {})}
    return {
        "metadata": {"ownerReferences": [{"kind": owner}]},
        "spec": {"containers": [{"resources": {"requests": requests}}], **spec},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": reason}],
        },
    }


def test_pods_fill_nodes_by_what_they_ask_for_most():
    assert of_kubernetes([pod()] * 3, [NODE]) == Waiting(2, "3 pods wait for 2 nodes")
    assert of_kubernetes([pod("100m", "12Gi")] * 2, [NODE]) == Waiting(2, "2 pods wait for 2 nodes")
    assert of_kubernetes([pod("100m", "1Mi", asks={"nvidia.com/gpu": 1})], [NODE]).nodes == 1
    assert of_kubernetes([pod("0", "0")], [NODE]).nodes == 1


@pytest.mark.parametrize(
    "one",
    [
        pod(cpu="9"),
        pod(memory="17Gi"),
        pod(asks={"nvidia.com/gpu": 3}),
        pod(asks={"rdma/hca": 1}),
        pod(nodeSelector={"zone": "a"}),
        pod(owner="DaemonSet"),
        pod(reason="SchedulerError"),
        pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"x": 1}}}),
    ],
)
def test_a_pod_that_would_fit_nowhere_does_not_count(one):
    assert of_kubernetes([one], [NODE]) == Waiting()


def test_a_pod_that_chooses_such_nodes_counts():
    assert of_kubernetes([pod(nodeSelector={"zone": "b"})], [NODE]).nodes == 1
