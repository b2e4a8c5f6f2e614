"""Kubernetes' messages in plain words."""

from typing import Any

import pytest

from platformctl.router.kubernetes.words import refusal_words, scheduler_words, waiting_words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint "
            "{node-role.kubernetes.io/control-plane: }. preemption: 0/3 nodes are available: 1 No preemption "
            "victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
            "waits for a node: none of 3 nodes is free: 1 has too little cpu free, "
            "2 are closed to jobs (node-role.kubernetes.io/control-plane)",
        ),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu. "
            "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful.",
            "waits for a node: none of 3 nodes is free: 1 is closed to jobs, "
            "2 have too little nvidia.com/gpu free",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            "waits for a node: the one node is not free: 1 is without the labels that it asks for",
        ),
        (
            '0/2 nodes are available: 2 persistentvolumeclaim "home" not found.',
            'waits for a node: none of 2 nodes is free: 2 persistentvolumeclaim "home" not found',
        ),
        ("no nodes available to schedule pods", "waits for a node: no nodes available to schedule pods"),
        ("", "waits for a node"),
    ],
)
def test_the_scheduler(message: str, words: str) -> None:
    assert scheduler_words(message) == words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'Error creating: pods "x-1" is forbidden: exceeded quota: team, requested: cpu=4,memory=16Gi, '
            "used: cpu=2,memory=1Gi, limited: cpu=4,memory=8Gi",
            "the quota team of its namespace is used up: cpu 4 more with 2 of 4 used, "
            "memory 16Gi more with 1Gi of 8Gi used",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "the namespace's security level restricted:latest forbids its pods: runAsNonRoot != true",
        ),
        ("Error creating: something else", "something else"),
        ("a" * 500, "a" * 397 + "..."),
    ],
)
def test_what_the_api_server_does_not_take(message: str, words: str) -> None:
    assert refusal_words(message) == words


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("ContainerCreating", "", ""),
        ("PodInitializing", "", ""),
        (
            "ErrImagePull",
            "rpc error: a:b: not found",
            "the image a:b cannot be pulled: there is no such image",
        ),
        ("ImagePullBackOff", "Back-off pulling image", "the image a:b cannot be pulled"),
        (
            "ErrImagePull",
            "dial tcp: no such host",
            "the image a:b cannot be pulled: its registry does not answer",
        ),
        (
            "ErrImagePull",
            "pull access denied",
            "the image a:b cannot be pulled: the registry does not allow it",
        ),
        ("InvalidImageName", "", "the image a:b has no valid name"),
        ("CreateContainerConfigError", "no such key", "CreateContainerConfigError: no such key"),
    ],
)
def test_a_container_that_waits(reason: str, message: str, words: str) -> None:
    waiting: dict[str, Any] = {"reason": reason, "message": message}
    assert waiting_words(waiting, "a:b") == words
