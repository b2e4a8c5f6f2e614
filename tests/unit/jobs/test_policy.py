from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Policy, Priority, Queue, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import in_queue, settle

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")
HOME = User("alice", 10001, 10001, (), None, "/home/alice", "kfoundry-home-10001")
POLICY = Policy({"high": Priority("fast")}, ("/data/", "/scratch"))


def job(**spec: Any) -> JobSpec:
    found = parse({"script": "#!/bin/sh\n", **spec})
    assert isinstance(found, JobSpec), found
    return found


def settled(spec: JobSpec, user: User = ALICE) -> JobSpec:
    found = settle(spec, user, POLICY)
    assert isinstance(found, JobSpec), found
    return found


def refused(spec: JobSpec, user: User = ALICE) -> list[str]:
    found = settle(spec, user, POLICY)
    assert isinstance(found, list)
    return [str(refusal) for refusal in found]


def test_a_priority_class_is_one_of_the_sites() -> None:
    assert settled(job(priorityClassName="high")).priority == Priority("fast")
    assert refused(job(priorityClassName="system-node-critical")) == [
        "spec.priorityClassName: there is no class system-node-critical; there are high"
    ]


@pytest.mark.parametrize("path", ["a", "a/b", "/home/alice/a", "/data/a", "/scratch/a", "-rf", "..a/b.."])
def test_files_below_the_home_or_the_sites_folders_are_staged(path: str) -> None:
    settled(job(stageIn=[{"source": path, "target": "in"}]))


@pytest.mark.parametrize("path", ["/etc/passwd", "/home/alicex/a", "/home/bob/a", "/data", "/database/a"])
def test_other_files_are_not(path: str) -> None:
    assert refused(job(stageOut=[{"source": "a", "target": path}])) == [
        "spec.stageOut[0].target: must be below /home/alice or /data or /scratch"
    ]


def test_kubernetes_stages_within_a_mounted_home_only() -> None:
    within = job(stageIn=[{"source": "a", "target": "b"}])
    beyond = job(stageIn=[{"source": "/data/a", "target": "b"}])
    assert [str(found) for found in settled(within).unsupported[Target.KUBERNETES]] == [
        "spec.stageIn: is not supported on kubernetes, where the home of alice is not mounted"
    ]
    assert settled(within, HOME).unsupported == {}
    assert [found.path for found in settled(beyond, HOME).unsupported[Target.KUBERNETES]] == [
        "spec.stageIn[0].source"
    ]


def test_a_queue_is_no_partition_and_leads_where_it_leads() -> None:
    spec = job(queue="batch")
    assert Target.KUBERNETES in spec.unsupported
    assert in_queue(spec, Queue("batch")).unsupported == {}
    only = in_queue(spec, Queue("batch", targets=(Target.KUBERNETES,)))
    assert [str(found) for found in only.unsupported[Target.SLURM]] == [
        "spec.queue: the queue batch does not lead there"
    ]


def test_a_site_without_classes_says_so() -> None:
    found = settle(job(priorityClassName="high"), ALICE, Policy())
    assert [str(refusal) for refusal in found] == [
        "spec.priorityClassName: there is no class high; there are none"
    ]


def test_what_a_backend_cannot_do_stays_beside_what_its_home_does_not_allow() -> None:
    both = job(stageOut=[{"source": "a", "target": "b"}], account="physics")
    assert [found.path for found in settled(both).unsupported[Target.KUBERNETES]] == [
        *(found.path for found in both.unsupported[Target.KUBERNETES]),
        "spec.stageOut",
    ]
    assert both.unsupported[Target.KUBERNETES]
