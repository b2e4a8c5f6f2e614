"""Jobs as the API server returns them, one for each thing that a person may see."""

from typing import Any

from tests.unit.cli.conftest import NOW


def at(seconds: int) -> str:
    """The time so many seconds before NOW."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(name: str, status: dict[str, Any] | None = None, who: str = "alice", **spec: Any) -> dict[str, Any]:
    """A Job created an hour ago."""
    document: dict[str, Any] = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "creationTimestamp": at(3600),
            "annotations": {"kfoundry.io/submitter": who},
            "managedFields": [{"manager": "x"}],
        },
        "spec": {"target": "auto", **({} if "template" in spec else {"script": "#!/bin/sh\ndate\n"}), **spec},
    }
    if status is not None:
        document["status"] = status
    return document


RUNNING = job(
    "train-x7k2p",
    {
        "phase": "Running",
        "backend": "slurm",
        "backendId": "4711",
        "attempt": 2,
        "user": "alice",
        "queue": "gpu",
        "nodes": "n[1-4]",
        "startTime": at(1925),
        "output": "/home/alice/train-x7k2p-4711.out",
        "tasks": {"waiting": 80, "running": 10, "succeeded": 8, "failed": 2},
        "exitCodes": [{"index": 3, "code": 1}, {"index": 7, "code": 137}],
        "usage": {"cpuSeconds": 77000, "gpuSeconds": 19250},
        "decision": "slurm: the queue gpu has it first\nkubernetes: no node has nvidia.com/gpu",
        "attempts": [
            {
                "attempt": 1,
                "backend": "slurm",
                "backendId": "4710",
                "phase": "Failed",
                "reason": "node n9 failed",
                "exitCode": 1,
                "startTime": at(3500),
                "nodes": "n9",
            }
        ],
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "slurm: the queue gpu has it first",
                "lastTransitionTime": at(3590),
            },
            {
                "type": "Released",
                "status": "True",
                "reason": "Released",
                "message": "",
                "lastTransitionTime": at(1930),
            },
        ],
    },
    queue="gpu",
    array="0-99%10",
    walltime="2h",
    retries=2,
    resources={"cpu": "40", "memory": "64Gi", "nvidia.com/gpu": "1"},
    dependsOn=[{"name": "prepare-88s2k"}],
)
QUEUED = job(
    "fit-2v9dl",
    {
        "phase": "Queued",
        "backend": "slurm",
        "backendId": "4799",
        "attempt": 1,
        "user": "alice",
        "reason": "waits for resources [gpu:a100] of partition gpu",
        "estimatedStart": at(-5400),
    },
)
UNSEEN = job("new-7hq2m", target="kubernetes")
FAILED = job(
    "bad-9xw4t",
    {
        "phase": "Failed",
        "backend": "kubernetes",
        "backendId": "default/bad-9xw4t-uid-of-b-1",
        "attempt": 1,
        "user": "bob",
        "exitCode": 3,
        "reason": "the container ended with exit code 3",
        "startTime": at(600),
        "completionTime": at(555),
        "output": "platformctl job logs bad-9xw4t",
    },
    who="bob",
    template={
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "debian:13",
                    "command": ["sh", "-c", "exit 3"],
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                }
            ]
        }
    },
)
REFUSED = job(
    "no-5tq8z",
    {"phase": "Refused", "reason": "slurm: unknown queue [red]; kubernetes: no node has 4000 cores"},
)
ALL = (RUNNING, QUEUED, UNSEEN, FAILED, REFUSED)
