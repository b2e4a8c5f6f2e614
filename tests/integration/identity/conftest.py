"""An API server with the job router's chart, and what several people may do there."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from tests.integration.control_plane import ADMIN, ControlPlane, start
from tests.integration.router_chart import install_chart

ROUTER = "system:serviceaccount:default:job-router"
VALUES = """
site: test
logs: {enabled: false}
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
  - {name: bob, uid: 10002, gid: 10002, groups: [20002], account: biology, home: /home/bob}
  - {name: dave, uid: 10004, gid: 10004, groups: [20002], account: biology, home: /home/dave}
disabledUsers: [dave]
"""
USERS = {
    "alice": "platform:users",
    "bob": "platform:users",
    "mallory": "platform:users",
    "dave": "platform:users",
    "operator": "operators",
    ROUTER: "system:serviceaccounts",
    "system:serviceaccount:kube-system:job-controller": "system:serviceaccounts:kube-system",
    "system:serviceaccount:kube-system:replicaset-controller": "system:serviceaccounts:kube-system",
}

type As = Callable[[str], KubernetesClient]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    with start(folder, USERS) as plane:
        install_chart(plane, folder, VALUES, "alice")
        yield plane


@pytest.fixture
async def user(control_plane: ControlPlane) -> AsyncIterator[As]:
    """Clients of several users, closed at the end."""
    async with AsyncExitStack() as stack:
        clients: dict[str, KubernetesClient] = {}
        for name in (ADMIN, *USERS):
            connection = from_kubeconfig(control_plane.kubeconfig(name))
            clients[name] = await stack.enter_async_context(KubernetesClient(connection))
        yield clients.__getitem__


async def until_allowed(client: KubernetesClient, verb: str, group: str, resource: str = "jobs") -> None:
    """A grant holds a moment after it is stored."""
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": "default"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    for _ in range(500):
        found = await client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        if found["status"]["allowed"]:
            return
    raise AssertionError("the grant does not hold")
