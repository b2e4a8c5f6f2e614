"""A user enters the pods of their own interactive Jobs, and nobody else's."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from platformctl.clients.kubernetes import ApiError
from tests.integration.control_plane import ADMIN
from tests.integration.identity.conftest import ROUTER, As, until_allowed

PODS = "/api/v1/namespaces/default/pods"
BATCH = "/apis/batch/v1/namespaces/default/jobs"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CONTROLLER = "system:serviceaccount:kube-system:job-controller"
OTHER_CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
DENIED = "only pods of your own interactive Jobs"
RESERVED = "names that begin with kfoundry-enter-"


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "b"}]}}


def batch(name: str) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


async def entered(user: As, who: str, name: str, way: str = "exec", begins: str = "create") -> str:
    """What the API server says: no pod here is on a node, so it fails even where it is allowed."""
    path, asked = f"{PODS}/{name}/{way}", {"command": "sh", "stdout": "true"}
    client = user(who)
    request = (
        client.create(f"{path}?{urlencode(asked)}", {}) if begins == "create" else client.get(path, **asked)
    )
    with pytest.raises(ApiError) as caught:
        await request
    return f"{caught.value.code} {caught.value.message}"


@pytest.fixture
async def pods(user: As) -> AsyncIterator[list[str]]:
    """Pods of alice's, of bob's, and one that nobody may enter."""
    names = ["kfoundry-enter-10001-a", "kfoundry-enter-10002-b", "kfoundry-enter-100011-c", "plain"]
    await grant(user, "system:serviceaccounts:kube-system", "system:serviceaccounts")
    for name in names:
        await user(CONTROLLER).create(PODS, pod(name))
    yield names
    for name in names:
        await user(ADMIN).delete(f"{PODS}/{name}")
    await user(ADMIN).delete(f"{RBAC}/clusterrolebindings/makes-pods")


async def grant(user: As, *groups: str) -> None:
    """Let groups make pods and batch Jobs and enter what admission lets them."""
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/attach", "pods/portforward"], "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    binding = {**role, "kind": "ClusterRoleBinding"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "makes-pods"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name} for name in groups]
    root = user(ADMIN)
    await root.apply(
        f"{RBAC}/clusterroles/makes-pods", {**role, "metadata": {"name": "makes-pods"}, "rules": rules}
    )
    await root.apply(
        f"{RBAC}/clusterrolebindings/makes-pods",
        {**binding, "metadata": {"name": "makes-pods"}, "roleRef": reference, "subjects": subjects},
    )
    await until_allowed(user(CONTROLLER), "create", "", "pods")


@pytest.mark.parametrize("begins", ["create", "get"])
@pytest.mark.parametrize(("who", "own"), [("alice", 0), ("bob", 1)])
async def test_only_ones_own_pod_is_entered(
    user: As, pods: list[str], who: str, own: int, begins: str
) -> None:
    for number, name in enumerate(pods):
        said = await entered(user, who, name, begins=begins)
        assert (DENIED in said) is (number != own), (name, said)
        assert said.startswith("403") is (number != own), (name, said)


async def test_who_is_no_user_of_the_site_enters_nothing(user: As, pods: list[str]) -> None:
    for name in pods:
        assert 'User "mallory" cannot create resource' in await entered(user, "mallory", name)


async def test_users_may_enter_and_no_more(user: As, pods: list[str]) -> None:
    for way in ("attach", "portforward"):
        assert "cannot create resource" in await entered(user, "alice", pods[0], way)


async def test_an_administrator_is_not_held_back(user: As, pods: list[str]) -> None:
    for name in pods:
        assert DENIED not in await entered(user, ADMIN, name)


@pytest.mark.parametrize("generated", [False, True])
async def test_such_names_are_the_routers(user: As, pods: list[str], generated: bool) -> None:
    await until_allowed(user(OTHER_CONTROLLER), "create", "", "pods")
    key = "generateName" if generated else "name"
    for who, where, body in (
        (OTHER_CONTROLLER, PODS, pod("")),
        (ADMIN, PODS, pod("")),
        (ROUTER, PODS, pod("")),
        (OTHER_CONTROLLER, BATCH, batch("")),
        (ADMIN, BATCH, batch("")),
    ):
        with pytest.raises(ApiError, match=RESERVED):
            await user(who).create(where, {**body, "metadata": {key: "kfoundry-enter-10001-x"}})
    made = await user(ROUTER).create(
        BATCH, {**batch(""), "metadata": {key: f"kfoundry-enter-10001-{key[0]}"}}
    )
    await user(ADMIN).delete(f"{BATCH}/{made['metadata']['name']}")
