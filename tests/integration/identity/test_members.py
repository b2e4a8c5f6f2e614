"""Certificates cannot be revoked: who is no user any more, or is disabled, can do nothing with theirs."""

import pytest

from platformctl.clients.kubernetes import ApiError
from tests.integration.control_plane import ADMIN
from tests.integration.identity.conftest import As, until_allowed

JOBS = "/apis/kfoundry.io/v1alpha1/namespaces/default/jobs"
MAPS = "/api/v1/namespaces/default/configmaps"
JOB = {
    "apiVersion": "kfoundry.io/v1alpha1",
    "kind": "Job",
    "metadata": {"generateName": "test-"},
    "spec": {"script": "#!/bin/sh\ntrue\n"},
}
# mallory has left the site, dave is disabled; both have valid certificates of the group platform:users.
OUTSIDERS = ("mallory", "dave")


@pytest.mark.parametrize("name", OUTSIDERS)
async def test_who_is_no_user_any_more_has_no_right(user: As, name: str) -> None:
    await until_allowed(user("alice"), "list", "kfoundry.io")
    for ask in (
        user(name).get(JOBS),
        user(name).get("/apis/kfoundry.io/v1alpha1/queues"),
        user(name).get("/api/v1/namespaces/default/pods"),
        user(name).create(JOBS, JOB),
    ):
        with pytest.raises(ApiError) as refused:
            await ask
        assert refused.value.code == 403


@pytest.mark.parametrize("name", OUTSIDERS)
async def test_rights_that_others_gave_change_nothing(user: As, name: str) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    role = {"metadata": {"name": f"maps-{name}"}, "rules": [rule]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    alice = {**subject, "name": "alice"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"maps-{name}"}
    binding = {"metadata": {"name": f"maps-{name}"}, "subjects": [subject, alice], "roleRef": reference}
    await user(ADMIN).create(f"{roles}/roles", role)
    await user(ADMIN).create(f"{roles}/rolebindings", binding)
    await until_allowed(user("alice"), "create", "", "configmaps")
    await user("alice").create(MAPS, {"metadata": {"generateName": "alices-"}})
    with pytest.raises(ApiError) as refused:
        await user(name).create(MAPS, {"metadata": {"generateName": "test-"}})
    assert refused.value.code == 403
    assert f"{name} is not a user of this site any more, or is disabled" in str(refused.value)
