"""Nobody passes for somebody else, and nobody changes what only the router may."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError
from platformctl.vocabulary import FINALIZER, SUBMITTER, job_path
from tests.integration.control_plane import ADMIN
from tests.integration.identity.conftest import ROUTER, As, until_allowed

SCRIPT = {"script": "#!/bin/bash\ndate\n"}
CANCEL = "kfoundry.io/cancel-requested"


def job(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "test-", **metadata},
        "spec": spec or SCRIPT,
    }


async def make(user: As, who: str = "alice", **metadata: Any) -> str:
    """A new Job of a user; returns its path."""
    stored = await user(who).create(job_path("default"), job(**metadata))
    return job_path("default", stored["metadata"]["name"])


def annotated(**values: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {f"kfoundry.io/{key}": value for key, value in values.items()}}}


async def refused(user: As, who: str, here: str, patch: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        await user(who).merge(here, patch)
    assert caught.value.code in (403, 422)


@pytest.fixture
async def here(user: As) -> AsyncIterator[str]:
    """A Job of alice, gone after."""
    found = await make(user)
    yield found
    await user(ADMIN).delete(found)
    await user(ROUTER).merge(found, {"metadata": {"finalizers": []}})


async def test_a_job_is_stamped_and_guarded_by_the_api_server(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job())
    assert stored["metadata"]["annotations"] == {SUBMITTER: "alice"}
    assert stored["metadata"]["finalizers"] == [FINALIZER]


async def test_finalizers_of_others_stay_beside_the_routers(user: As) -> None:
    given = ["example.org/a", FINALIZER, "example.org/b"]
    stored = await user("alice").create(job_path("default"), job(finalizers=given))
    assert sorted(stored["metadata"]["finalizers"]) == sorted(given)


async def test_a_job_does_not_hold_up_the_deletion_of_anothers(user: As, here: str) -> None:
    theirs = (await user("alice").get(here))["metadata"]
    owner = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        **{key: theirs[key] for key in ("name", "uid")},
    }
    await make(user, "bob", ownerReferences=[owner])
    with pytest.raises(ApiError, match="may not block the deletion"):
        await make(user, "bob", ownerReferences=[owner | {"blockOwnerDeletion": True}])


async def test_a_job_managed_by_others_has_its_submitter_but_not_the_routers_guard(user: As) -> None:
    stored = await user("alice").create(
        job_path("default"), job({**SCRIPT, "managedBy": "example.org/other"})
    )
    assert stored["metadata"]["annotations"] == {SUBMITTER: "alice"}
    assert "finalizers" not in stored["metadata"]
    status = f"{job_path('default', stored['metadata']['name'])}/status"
    await user(ADMIN).merge(status, {"status": {"reason": "theirs to say"}})
    ours = await user("alice").create(job_path("default"), job({**SCRIPT, "managedBy": "kfoundry.io/router"}))
    assert ours["metadata"]["finalizers"] == [FINALIZER]


async def test_a_submitter_written_by_the_user_is_overwritten(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job(annotations={SUBMITTER: "bob", "a": "b"}))
    assert stored["metadata"]["annotations"] == {SUBMITTER: "alice", "a": "b"}


@pytest.mark.parametrize("who", ["alice", "bob", ADMIN, ROUTER])
@pytest.mark.parametrize("value", ["bob", "", None])
async def test_nobody_changes_the_submitter(user: As, here: str, who: str, value: str | None) -> None:
    await refused(user, who, here, annotated(submitter=value), "cannot be changed|only the submitter")
    applied = {**job(), "metadata": {"annotations": {SUBMITTER: "bob"}}}
    with pytest.raises(ApiError, match=r"cannot be changed|only the submitter"):
        await user(who).apply(here, applied)


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"kfoundry.io/submitter": "bob"}},
        {"labels": {"kfoundry.io/job-uid": "0"}},
        {"annotations": {"kfoundry.io/token": "x"}},
        {"annotations": {"kfoundry.io/user": "bob"}},
    ],
)
async def test_marks_of_the_router_are_no_users(user: As, here: str, metadata: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=r"under kfoundry\.io/"):
        await user("alice").create(job_path("default"), job(**metadata))
    await refused(user, "alice", here, {"metadata": metadata}, "under kfoundry.io/")
    await user(ROUTER).merge(here, {"metadata": metadata})
    gone = {kind: dict.fromkeys(marks) for kind, marks in metadata.items()}
    await refused(user, "alice", here, {"metadata": gone}, "under kfoundry.io/")
    await user("alice").merge(here, {"metadata": {"labels": {"mine": "x"}, "annotations": {"mine": "x"}}})


@pytest.mark.parametrize(
    ("wish", "value"),
    [("cancel-requested", "true"), ("retry-requested", "1"), ("explain-requested", "2026-11-22T20:00:00Z")],
)
async def test_wishes_are_the_submitters(user: As, here: str, wish: str, value: str) -> None:
    await refused(user, "bob", here, annotated(**{wish: value}), "only the submitter")
    await user("alice").merge(here, annotated(**{wish: value}))
    await refused(user, "bob", here, annotated(**{wish: None}), "only the submitter")
    await user("alice").merge(here, annotated(**{wish: None}))
    await user(ADMIN).merge(here, annotated(**{wish: value}))


@pytest.mark.parametrize(("wish", "value"), [("cancel-requested", "yes"), ("retry-requested", "please")])
async def test_a_wish_that_nobody_would_understand_is_refused(
    user: As, here: str, wish: str, value: str
) -> None:
    await refused(user, "alice", here, annotated(**{wish: value}), f"{wish} must be")


async def test_an_administrator_is_who_may_administer_jobs(user: As, here: str) -> None:
    wish = annotated(**{"cancel-requested": "true"})
    await _grant(user, "patch")
    await refused(user, "operator", here, wish, "only the submitter")
    await _grant(user, "patch", "administer")
    await user("operator").merge(here, wish)
    await refused(user, "operator", here, annotated(submitter="bob"), "cannot be changed")


async def _grant(user: As, *verbs: str) -> None:
    """Give operators these verbs on Jobs, and wait until the last holds."""
    base = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": ["kfoundry.io"], "resources": ["jobs"], "verbs": verbs}]
    named = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "operators"}}
    whom = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "operators"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operators"}
    await user(ADMIN).apply(
        f"{base}/clusterroles/operators", {**named, "kind": "ClusterRole", "rules": rules}
    )
    await user(ADMIN).apply(
        f"{base}/clusterrolebindings/operators",
        {**named, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [whom]},
    )
    await until_allowed(user("operator"), verbs[-1], "kfoundry.io")


@pytest.mark.parametrize("who", ["alice", "bob", ADMIN])
async def test_a_status_is_the_routers_alone(user: As, here: str, who: str) -> None:
    with pytest.raises(ApiError) as caught:
        await user(who).merge(f"{here}/status", {"status": {"user": "bob", "backendId": "7"}})
    assert caught.value.code == 403
    with pytest.raises(ApiError):
        await user("alice").merge(here, {"status": {"user": "bob"}, "spec": {"account": "biology"}})
    await user(ROUTER).merge(f"{here}/status", {"status": {"phase": "Pending"}})


async def test_a_status_in_a_new_job_is_dropped(user: As) -> None:
    stored = await user("alice").create(
        job_path("default"), {**job(), "status": {"user": "bob", "phase": "Queued"}}
    )
    assert "status" not in stored


@pytest.mark.parametrize(
    "change",
    [
        {"account": "biology"},
        {"script": "#!/bin/sh\nid\n"},
        {"target": "slurm"},
        {"suspend": True},
        {"managedBy": "example.org/other"},
        {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}, "script": None},
    ],
)
@pytest.mark.parametrize("who", ["alice", ADMIN, ROUTER])
async def test_a_spec_stays_as_it_was(user: As, here: str, who: str, change: dict[str, Any]) -> None:
    await refused(user, who, here, {"spec": change}, "cannot be changed|can only be lifted")


async def test_a_suspension_is_lifted_by_the_submitter_once(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job({**SCRIPT, "suspend": True}))
    here = job_path("default", stored["metadata"]["name"])
    await refused(user, "bob", here, {"spec": {"suspend": False}}, "only the submitter")
    await refused(user, "alice", here, {"spec": {"suspend": False, "target": "slurm"}}, "cannot be changed")
    await user("alice").merge(here, {"spec": {"suspend": False}})
    await refused(user, "alice", here, {"spec": {"suspend": True}}, "cannot be changed|can only be lifted")


async def test_users_delete_their_own_jobs_only_and_never_behind_the_router(user: As, here: str) -> None:
    with pytest.raises(ApiError, match="only the submitter"):
        await user("bob").delete(here)
    for who in ("alice", "bob"):
        await refused(user, who, here, {"metadata": {"finalizers": []}}, "finalizer|only the submitter")
    await user("alice").delete(here)
    assert (await user("alice").get(here))["metadata"]["deletionTimestamp"]


async def test_users_act_as_nobody_else(user: As) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {}},
    }
    forbidden = [
        {"verb": "impersonate", "resource": "users", "name": "bob"},
        {"verb": "create", "resource": "pods", "namespace": "default"},
        {"verb": "create", "group": "batch", "resource": "jobs", "namespace": "default"},
        {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "default"},
        {"verb": "create", "resource": "pods", "subresource": "attach", "namespace": "default"},
        {"verb": "create", "resource": "pods", "subresource": "portforward", "namespace": "default"},
        {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "kube-system"},
        {"verb": "get", "resource": "secrets", "namespace": "default"},
        {"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "default"},
        {
            "verb": "update",
            "group": "kfoundry.io",
            "resource": "jobs",
            "subresource": "status",
            "namespace": "default",
        },
        {"verb": "create", "group": "kfoundry.io", "resource": "queues"},
        {"verb": "patch", "resource": "configmaps", "name": "kfoundry-users", "namespace": "default"},
    ]
    allowed = [
        *(
            {"verb": verb, "group": "kfoundry.io", "resource": "jobs", "namespace": "default"}
            for verb in ("create", "get", "list", "watch", "patch", "delete")
        ),
        {"verb": "list", "group": "kfoundry.io", "resource": "queues"},
        # Which pods is said by admission: see test_enter.
        {"verb": "get", "resource": "pods", "subresource": "exec", "namespace": "default"},
        {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "default"},
        {
            "verb": "get",
            "group": "logs.kfoundry.io",
            "resource": "jobs",
            "subresource": "log",
            "namespace": "default",
        },
    ]
    for attributes in forbidden + allowed:
        review["spec"] = {"resourceAttributes": attributes}
        found = await user("alice").create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        assert bool(found["status"]["allowed"]) is (attributes in allowed), attributes
