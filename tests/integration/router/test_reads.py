"""A Job names only what its submitter may get: admission asks the API server's authorizer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_kubeconfig
from platformctl.vocabulary import job_path
from tests.integration.control_plane import ADMIN, ControlPlane

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
MOUNT = {"name": "v", "mountPath": "/v"}


def job(pod: dict[str, Any], **container: Any) -> dict[str, Any]:
    main = {"name": "a", "image": "debian:13", "command": ["true"], **container}
    return {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "reads-"},
        "spec": {"template": {"spec": {"containers": [main], **pod}}},
    }


def variable(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"name": "A", "valueFrom": {kind: {"name": name, "key": "k"}}}]


def init(**container: Any) -> dict[str, Any]:
    return {"initContainers": [{"name": "i", "image": "debian:13", **container}]}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


# Every place in which a template names an object: from the name to the Job.
SECRETS = {
    "variable": lambda name: job({}, env=variable("secretKeyRef", name)),
    "variables": lambda name: job({}, envFrom=[{"secretRef": {"name": name}}]),
    "variable of an init container": lambda name: job(init(env=variable("secretKeyRef", name))),
    "variables of an init container": lambda name: job(init(envFrom=[{"secretRef": {"name": name}}])),
    "second container": lambda name: job(
        {
            "containers": [
                {"name": "a", "image": "debian:13"},
                {"name": "b", "image": "debian:13", "env": variable("secretKeyRef", name)},
            ]
        }
    ),
    "volume": lambda name: job(volume(secret={"secretName": name})),
    "projected": lambda name: job(
        volume(projected={"sources": [{"downwardAPI": {}}, {"secret": {"name": name}}]})
    ),
    "pull secret": lambda name: job({"imagePullSecrets": [{"name": name}]}),
    "driver": lambda name: job(volume(csi={"driver": "d.example", "nodePublishSecretRef": {"name": name}})),
}
CONFIG_MAPS = {
    "variable": lambda name: job({}, env=variable("configMapKeyRef", name)),
    "variables": lambda name: job({}, envFrom=[{"configMapRef": {"name": name}}]),
    "variable of an init container": lambda name: job(init(env=variable("configMapKeyRef", name))),
    "volume": lambda name: job(volume(configMap={"name": name})),
    "projected": lambda name: job(volume(projected={"sources": [{"configMap": {"name": name}}]})),
}
CLAIMS = {"volume": lambda name: job(volume(persistentVolumeClaim={"claimName": name}))}
ACCOUNTS = {
    "name": lambda name: job({"serviceAccountName": name}),
    "older name": lambda name: job({"serviceAccount": name}),
}
PLACES = [
    pytest.param(make, title, id=f"{title}, {place}")
    for title, places in (
        ("Secret", SECRETS),
        ("ConfigMap", CONFIG_MAPS),
        ("PersistentVolumeClaim", CLAIMS),
        ("ServiceAccount", ACCOUNTS),
    )
    for place, make in places.items()
]


@pytest.fixture
async def alice(control_plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    """A user who may get the objects named `mine` and `mine-0` to `mine-20`, and no others."""
    names = ["mine", *(f"mine-{number}" for number in range(21))]
    kinds = ["secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts"]
    rule = {"apiGroups": [""], "resources": kinds, "resourceNames": names, "verbs": ["get"]}
    role = {"metadata": {"name": "reads"}, "rules": [rule]}
    binding = {
        "metadata": {"name": "reads"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    }
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ADMIN))) as root:
        await root.create(f"{ROLES}/roles", role)
        await root.create(f"{ROLES}/rolebindings", binding)
        async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig("alice"))) as client:
            yield client
        await root.delete(f"{ROLES}/rolebindings/reads")
        await root.delete(f"{ROLES}/roles/reads")


@pytest.mark.parametrize(("make", "title"), PLACES)
async def test_only_what_the_submitter_may_get(alice: KubernetesClient, make: Any, title: str) -> None:
    await alice.create(job_path("default"), make("mine"))
    with pytest.raises(ApiError, match=f"alice may not get the {title} theirs") as caught:
        await alice.create(job_path("default"), make("theirs"))
    assert caught.value.code == 403


async def test_a_right_in_another_namespace_does_not_count(
    control_plane: ControlPlane, alice: KubernetesClient
) -> None:
    """The objects are those of the Job's namespace, and so are the rights."""
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ADMIN))) as root:
        await root.create("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
        rule = {"apiGroups": ["kfoundry.io"], "resources": ["jobs"], "verbs": ["create"]}
        there = ROLES.replace("/default", "/elsewhere")
        await root.create(f"{there}/roles", {"metadata": {"name": "jobs"}, "rules": [rule]})
        binding = {
            "metadata": {"name": "jobs"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jobs"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
        }
        await root.create(f"{there}/rolebindings", binding)
    with pytest.raises(ApiError, match="may not get the Secret mine"):
        await alice.create(job_path("elsewhere"), SECRETS["volume"]("mine"))


async def test_as_many_names_as_there_are_questions(alice: KubernetesClient) -> None:
    def naming(names: list[str]) -> dict[str, Any]:
        return job({}, envFrom=[{"secretRef": {"name": name}} for name in names])

    names = [f"mine-{number}" for number in range(16)]
    # Each name is asked about once, however often it is there.
    await alice.create(job_path("default"), naming(names * 4))
    with pytest.raises(ApiError, match="at most 16 different Secrets"):
        await alice.create(job_path("default"), naming([*names, "mine-16"]))
    with pytest.raises(ApiError, match="may not get the Secret theirs"):
        await alice.create(job_path("default"), naming([*names[:15], "theirs"]))


@pytest.mark.parametrize("name", ["mine/theirs", "mine theirs", "../theirs", "Mine", ""])
async def test_a_name_that_could_be_read_as_several_is_none(alice: KubernetesClient, name: str) -> None:
    for places in (SECRETS, CONFIG_MAPS, CLAIMS):
        for make in places.values():
            with pytest.raises(ApiError, match=r"should match|may not get"):
                await alice.create(job_path("default"), make(name))


async def test_a_name_cannot_be_changed_later(alice: KubernetesClient) -> None:
    made = await alice.create(job_path("default"), SECRETS["volume"]("mine"))
    changed = {"spec": SECRETS["volume"]("theirs")["spec"]}
    with pytest.raises(ApiError, match="cannot be changed"):
        await alice.merge(job_path("default", made["metadata"]["name"]), changed)
