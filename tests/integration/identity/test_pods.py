"""Where a site lets users make pods, they are themselves there and nothing more."""

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError
from platformctl.jobs.kubernetes import batch_job
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from tests.integration.control_plane import ADMIN
from tests.integration.identity.conftest import ROUTER, As, until_allowed

PODS = "/api/v1/namespaces/default/pods"
BATCH = "/apis/batch/v1/namespaces/default/jobs"
CONTROLLER = "system:serviceaccount:kube-system:job-controller"


def pod(name: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name} if name else {"generateName": "test-"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "supplementalGroups": [20001]},
            "containers": [
                {"name": "a", "image": "b", "securityContext": {"allowPrivilegeEscalation": False}},
            ],
        },
    }


def batch(template: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"generateName": "test-"}, "spec": {"template": {"spec": template["spec"]}}}


def change(where: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A function that sets a field of a pod, given by its path from spec."""

    def apply(document: dict[str, Any]) -> None:
        place: Any = document["spec"]
        *parents, last = where.split(".")
        for name in parents:
            place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
        place[last] = value

    return apply


BAD = {
    "root": change("securityContext.runAsUser", 0),
    "root in the container": change("containers.0.securityContext.runAsUser", 0),
    "somebody else": change("securityContext.runAsUser", 10002),
    "no user": change("securityContext.runAsUser", None),
    "a group of others": change("securityContext.runAsGroup", 20002),
    "supplementary group of others": change("securityContext.supplementalGroups", [20001, 20002]),
    "group of files": change("securityContext.fsGroup", 0),
    "the host's network": change("hostNetwork", True),
    "the host's processes": change("hostPID", True),
    "the host's memory": change("hostIPC", True),
    "a port of the host": change("containers.0.ports", [{"containerPort": 80, "hostPort": 80}]),
    "a folder of the host": change("volumes", [{"name": "v", "hostPath": {"path": "/"}}]),
    "a file server": change("volumes", [{"name": "v", "nfs": {"server": "x", "path": "/"}}]),
    "the home of another": change(
        "volumes", [{"name": "v", "persistentVolumeClaim": {"claimName": "kfoundry-home-10002"}}]
    ),
    "privilege": change("containers.0.securityContext", {"privileged": True}),
    "escalation": change("containers.0.securityContext.allowPrivilegeEscalation", True),
    "a capability": change("containers.0.securityContext.capabilities", {"add": ["SYS_ADMIN"]}),
    "a foreign service account": change("serviceAccountName", "job-router"),
    "a privileged first container": change(
        "initContainers", [{"name": "i", "image": "b", "securityContext": {"runAsUser": 0}}]
    ),
}


@pytest.fixture(autouse=True)
async def granted(user: As) -> AsyncIterator[None]:
    """A site's own grant: users may make pods and batch Jobs."""
    base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "generous", "namespace": "default"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods", "pods/ephemeralcontainers"], "verbs": ["*"]},
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "generous", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "generous"},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
            for group in ("platform:users", "system:serviceaccounts", "system:serviceaccounts:kube-system")
        ],
    }
    await user(ADMIN).apply(f"{base}/roles/generous", role)
    await user(ADMIN).apply(f"{base}/rolebindings/generous", binding)
    await until_allowed(user("alice"), "create", "", "pods")
    yield
    await user(ADMIN).delete(f"{base}/rolebindings/generous")


async def test_a_pod_of_their_own_is_fine(user: As) -> None:
    own = pod()
    change("volumes", [{"name": "v", "persistentVolumeClaim": {"claimName": "kfoundry-home-10001"}}])(own)
    await user("alice").create(PODS, own)
    await user("alice").create(BATCH, batch(own))


def jobs_batch(home: str | None = None) -> dict[str, Any]:
    """What the router makes of a Job of alice's. home: the claim."""
    job = parse({"template": {"spec": {"containers": [{"name": "a", "image": "b", "command": ["c"]}]}}})
    assert isinstance(job, JobSpec), job
    alice = User("alice", 10001, 10001, (20001,), "physics", "/home/alice", home)
    return batch_job(job, alice, "x", Token("test", "11924ac8-3932-46d6-ad0c-b5501999851a", 1))


async def test_users_may_make_what_the_router_makes_of_their_jobs(user: As) -> None:
    """Its volumes too: the home, and the files that name the user."""
    made = jobs_batch("kfoundry-home-10001")
    await user(ROUTER).create(BATCH, made)
    own = {"metadata": {"generateName": "own-"}, "spec": made["spec"]["template"]["spec"]}
    await user("alice").create(PODS, own)


async def test_the_strictest_namespace_takes_a_jobs_pod(user: As) -> None:
    root, namespace = user(ADMIN), "strict-of-test"
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    await root.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": level}})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    with pytest.raises(ApiError, match="PodSecurity"):
        await root.create(pods, pod())
    template = jobs_batch()["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "job-"}
    made = await root.create(pods, {"metadata": metadata, "spec": template["spec"]})
    assert "alice" in made["metadata"]["annotations"]["kfoundry.io/passwd"]


@pytest.mark.parametrize("what", sorted(BAD))
async def test_more_than_a_jobs_pod_has_is_refused(user: As, what: str) -> None:
    bad = copy.deepcopy(pod())
    BAD[what](bad)
    for where, document in ((PODS, bad), (BATCH, batch(bad))):
        with pytest.raises(ApiError, match="ValidatingAdmissionPolicy 'kfoundry-pods'") as caught:
            await user("alice").create(where, document)
        assert caught.value.code == 403


async def test_a_debug_container_is_judged_like_any(user: As) -> None:
    made = await user("alice").create(PODS, pod())
    debug = {"name": "d", "image": "b", "securityContext": {"runAsUser": 0}}
    with pytest.raises(ApiError, match="runAsUser"):
        await user("alice").merge(
            f"{PODS}/{made['metadata']['name']}/ephemeralcontainers",
            {"spec": {"ephemeralContainers": [debug]}},
        )


async def test_who_is_no_user_of_the_site_makes_none(user: As) -> None:
    # Two policies refuse this, and the API server names either.
    with pytest.raises(ApiError, match=r"mallory'? is no(t a)? user of this site"):
        await user("mallory").create(PODS, pod())


async def test_homes_are_mounted_by_the_router_and_the_clusters_controllers(user: As) -> None:
    home = pod()
    change("volumes", [{"name": "v", "persistentVolumeClaim": {"claimName": "kfoundry-home-10002"}}])(home)
    await user(ROUTER).create(BATCH, batch(home))
    await user(CONTROLLER).create(PODS, home)
    with pytest.raises(ApiError, match="users' homes"):
        await user(ADMIN).create(PODS, home)
