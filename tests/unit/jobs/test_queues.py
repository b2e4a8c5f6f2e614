from typing import Any

import pytest

from platformctl.jobs.model import BACKENDS, Limits, Queue, Refusal, Target
from platformctl.jobs.queues import parse_queue, pick

FULL: dict[str, Any] = {
    "targets": [
        {"kubernetes": {"nodeSelector": {"pool": "batch"}, "priorityClassName": "batch"}},
        {"slurm": {"partition": "main", "qos": "normal"}},
    ],
    "default": True,
    "defaultWalltime": "1h",
    "maxWalltime": "2-00:00:00",
    "users": ["alice"],
    "accounts": ["physics"],
    "limits": {"perUser": {"jobs": 10, "cpus": 64, "gpus": 0}, "perAccount": {"cpus": 512}},
    "preemptible": True,
}


def test_a_queue_with_everything() -> None:
    assert parse_queue("batch", FULL) == Queue(
        name="batch",
        targets=(Target.KUBERNETES, Target.SLURM),
        partition="main",
        qos="normal",
        node_selector={"pool": "batch"},
        pod_priority_class="batch",
        default_walltime=3600,
        max_walltime=172800,
        users=("alice",),
        accounts=("physics",),
        per_user=Limits(10, 64_000, 0),
        per_account=Limits(None, 512_000, None),
        preemptible=True,
        default=True,
    )


def test_an_empty_queue_leads_everywhere() -> None:
    queue = parse_queue("any", {})
    assert isinstance(queue, Queue)
    assert queue.targets == BACKENDS


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"targets": [{}]}, "spec.targets[0]"),
        ({"targets": [{"slurm": {}, "kubernetes": {}}]}, "spec.targets[0]"),
        ({"targets": [{"slurm": {}}, {"slurm": {}}]}, "spec.targets[1]"),
        ({"targets": "slurm"}, "spec.targets"),
        ({"targets": ["slurm"]}, "spec.targets[0]"),
        ({"targets": [{"slurm": "main"}]}, "spec.targets[0].slurm"),
        ({"limits": 3}, "spec.limits"),
        ({"limits": {"perAccount": {"gpus": -1}}}, "spec.limits.perAccount.gpus"),
        ({"limits": {"perAccount": []}}, "spec.limits.perAccount"),
        ({"accounts": ["a b"]}, "spec.accounts[0]"),
        ({"accounts": "physics"}, "spec.accounts"),
        ({"preemptible": "yes"}, "spec.preemptible"),
        ({"defaultWalltime": "x"}, "spec.defaultWalltime"),
        ({"targets": [{"flux": {}}]}, "spec.targets[0].flux"),
        ({"targets": [{"slurm": {"partition": "a\nb"}}]}, "spec.targets[0].slurm.partition"),
        ({"targets": [{"slurm": {"partion": "a"}}]}, "spec.targets[0].slurm.partion"),
        ({"targets": [{"kubernetes": {"nodeSelector": {"a": "$(b)"}}}]},
         "spec.targets[0].kubernetes.nodeSelector[a]"),
        ({"defaultWalltime": "3d"}, "spec.defaultWalltime"),
        ({"maxWalltime": 0}, "spec.maxWalltime"),
        ({"users": ["a b"]}, "spec.users[0]"),
        ({"limits": {"perUser": {"jobs": -1}}}, "spec.limits.perUser.jobs"),
        ({"limits": {"perUser": {"memory": 1}}}, "spec.limits.perUser.memory"),
        ({"limits": {"perGroup": {}}}, "spec.limits.perGroup"),
        ({"default": "yes"}, "spec.default"),
        ({"color": "red"}, "spec.color"),
    ],
)  # fmt: skip
def test_refusals_name_the_path(change: dict[str, Any], path: str) -> None:
    found = parse_queue("batch", FULL | change)
    assert isinstance(found, list)
    assert path in [refusal.path for refusal in found]


def test_a_job_gets_the_queue_it_names_or_the_default_one() -> None:
    queues = {name: Queue(name, default=name != "c") for name in ("c", "b", "a")}
    assert pick(queues, "b") == queues["b"]
    assert pick(queues, None) == queues["a"]
    assert pick({"c": queues["c"]}, None) is None
    assert pick({}, None) is None


def test_a_partition_names_the_queue_that_leads_there() -> None:
    def queue(name: str, partition: str) -> Queue:
        found = parse_queue(name, {"targets": [{"slurm": {"partition": partition}}]})
        assert isinstance(found, Queue)
        return found

    queues = {"gpu-big": queue("gpu-big", "GPU_big"), "main": queue("main", "main")}
    assert pick(queues, "GPU_big") == queues["gpu-big"]
    assert pick(queues, "main") == queues["main"]
    twice = {**queues, "gpu-night": queue("gpu-night", "GPU_big")}
    assert isinstance(pick(twice, "GPU_big"), Refusal)
    assert pick({**twice, "GPU_big": queues["main"]}, "GPU_big") == queues["main"]


def test_an_unknown_queue_is_refused_with_those_there_are() -> None:
    refused = pick({"a": Queue("a"), "b": Queue("b")}, "x")
    assert refused == Refusal("spec.queue", "there is no queue x; there are a, b")
    assert pick({}, "main") is None


def test_every_wrong_target_is_named_and_not_only_the_first() -> None:
    found = parse_queue("q", {"targets": [{}, {"slurm": {"partition": "a b"}}]})
    assert isinstance(found, list)
    assert [refusal.path for refusal in found] == ["spec.targets[0]", "spec.targets[1].slurm.partition"]


def test_a_default_may_be_as_long_as_the_longest() -> None:
    assert isinstance(parse_queue("q", {"defaultWalltime": "1h", "maxWalltime": "1h"}), Queue)
    slurm = parse_queue("q", {"targets": [{"slurm": {}}]})
    assert isinstance(slurm, Queue)
    assert slurm.node_selector == {}
