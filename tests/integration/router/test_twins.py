"""A Job of batch/v1 and its twin by one line: both get the same pod, but for what isolates users."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from platformctl.jobs import kubernetes
from platformctl.jobs.model import JobSpec, Policy, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.tokens import Token
from tests.cases.made import TWINS
from tests.integration.control_plane import ADMIN, ControlPlane

ALICE = User("alice", 10001, 10001, (20001,), "physics", "/home/alice")
BATCH = "/apis/batch/v1/namespaces/default/jobs"
# What the router writes over a template, and volumes and mounts of its own.
_OURS = {
    *("securityContext", "enableServiceLinks", "automountServiceAccountToken", "restartPolicy"),
    "activeDeadlineSeconds",
}
_OWN = "kfoundry-"


@pytest.fixture
async def root(control_plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ADMIN))) as client:
        yield client


@pytest.mark.parametrize("what", TWINS)
async def test_both_get_the_same_pod(root: KubernetesClient, what: str) -> None:
    spec = TWINS[what]
    found = parse(spec)
    assert isinstance(found, JobSpec), found
    job = settle(found, ALICE, Policy())
    assert isinstance(job, JobSpec), job
    assert Target.KUBERNETES not in job.unsupported
    token = Token("lab", f"11924ac8-3932-46d6-ad0c-{list(TWINS).index(what):012}", 1)
    metadata = {"generateName": "theirs-"}
    theirs = await root.create(
        BATCH, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    )
    ours = await root.create(
        BATCH, kubernetes.batch_job(job, ALICE, f"ours-{list(TWINS).index(what)}", token)
    )
    assert comparable(ours["spec"]["template"]["spec"]) == comparable(theirs["spec"]["template"]["spec"])
    for name in ("completions", "parallelism", "completionMode", "podFailurePolicy", "successPolicy"):
        assert ours["spec"].get(name) == theirs["spec"].get(name)
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if name in spec:
            assert ours["spec"].get(name) == theirs["spec"].get(name)
    # The router itself repeats a Job of one pod, and each pod has the wall time.
    if "backoffLimit" in spec:
        own = ours["spec"].get("backoffLimit") or job.retries
        assert own == theirs["spec"]["backoffLimit"]
    assert ours["spec"]["template"]["spec"].get("activeDeadlineSeconds") == spec.get("activeDeadlineSeconds")


def comparable(pod_spec: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec without what isolates users."""
    kept = {name: value for name, value in pod_spec.items() if name not in _OURS}
    kept["volumes"] = [one for one in kept.get("volumes", ()) if not one["name"].startswith(_OWN)]
    for name in ("containers", "initContainers"):
        kept[name] = [_container(one) for one in kept.get(name, ())]
    # The main container comes first.
    kept["containers"].sort(key=lambda one: one["name"])
    return kept


def _container(container: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in container.items() if name != "securityContext"}
    kept["volumeMounts"] = [one for one in kept.get("volumeMounts", ()) if not one["name"].startswith(_OWN)]
    kept["env"] = [one for one in kept.get("env", ()) if one["name"] != "KFOUNDRY_INDEX"]
    return kept
