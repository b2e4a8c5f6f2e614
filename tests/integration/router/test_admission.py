"""What the API server itself enforces: the schema of Jobs, and who submitted them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import yaml

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_kubeconfig
from platformctl.vocabulary import SUBMITTER, job_path
from tests.foundry import EXAMPLE
from tests.integration.control_plane import ADMIN, ControlPlane

type As = Callable[[str], KubernetesClient]


def job(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "test-", **metadata},
        "spec": spec,
    }


SCRIPT = {"script": "#!/bin/bash\ndate\n"}


@pytest.fixture
async def user(control_plane: ControlPlane) -> AsyncIterator[As]:
    """Clients of several users, closed at the end."""
    async with AsyncExitStack() as stack:
        clients: dict[str, KubernetesClient] = {}
        for name in (ADMIN, "alice", "bob"):
            connection = from_kubeconfig(control_plane.kubeconfig(name))
            clients[name] = await stack.enter_async_context(KubernetesClient(connection))
        yield clients.__getitem__


async def test_the_example_of_k_foundry_is_accepted_unchanged(user: As) -> None:
    example = yaml.safe_load(EXAMPLE)
    stored = await user("alice").create(job_path("default"), example)
    assert stored["spec"] == {**example["spec"], "target": "auto"}
    assert stored["metadata"]["annotations"][SUBMITTER] == "alice"


async def test_a_submitter_given_by_the_user_is_overwritten(user: As) -> None:
    stored = await user("alice").create(
        job_path("default"), job(SCRIPT, annotations={SUBMITTER: "bob", "a": "b"})
    )
    assert stored["metadata"]["annotations"] == {SUBMITTER: "alice", "a": "b"}


async def test_nobody_changes_the_submitter_or_the_spec(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job(SCRIPT))
    here = job_path("default", stored["metadata"]["name"])
    for patch in (
        {"metadata": {"annotations": {SUBMITTER: "bob"}}},
        {"metadata": {"annotations": {SUBMITTER: None}}},
        {"spec": {"script": "#!/bin/sh\nid\n"}},
    ):
        with pytest.raises(ApiError, match="cannot be changed") as caught:
            await user(ADMIN).merge(here, patch)
        assert caught.value.code == 422
    await user(ADMIN).merge(here, {"metadata": {"labels": {"a": "b"}}})


async def test_a_template_field_outside_the_schema_cannot_be_changed_either(user: As) -> None:
    example = yaml.safe_load(EXAMPLE)
    stored = await user("alice").create(job_path("default"), example)
    with pytest.raises(ApiError, match="spec of a Job cannot be changed"):
        await user(ADMIN).merge(
            job_path("default", stored["metadata"]["name"]),
            {"spec": {"template": {"spec": {"hostNetwork": True}}}},
        )


async def test_users_delete_their_own_jobs_only(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job(SCRIPT))
    here = job_path("default", stored["metadata"]["name"])
    with pytest.raises(ApiError, match="only the submitter"):
        await user("bob").delete(here)
    await user("alice").delete(here)


async def test_users_write_no_status_and_create_no_pods(user: As) -> None:
    stored = await user("alice").create(job_path("default"), job(SCRIPT))
    with pytest.raises(ApiError) as caught:
        await user("alice").merge(
            f"{job_path('default', stored['metadata']['name'])}/status", {"status": {"phase": "Succeeded"}}
        )
    assert caught.value.code == 403
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    with pytest.raises(ApiError) as caught:
        await user("alice").create("/api/v1/namespaces/default/pods", pod)
    assert caught.value.code == 403


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "exactly one of template and script"),
        ({**SCRIPT, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}, "exactly one"),
        ({"script": "date"}, "interpreter"),
        ({**SCRIPT, "walltime": 0}, "from 1 second"),
        ({**SCRIPT, "walltime": 31622401}, "from 1 second"),
        ({**SCRIPT, "walltime": "1 hour"}, "units such as"),
        ({**SCRIPT, "walltime": ""}, "units such as"),
        ({**SCRIPT, "nodes": 0}, "nodes"),
        ({**SCRIPT, "tasks": 100001}, "tasks"),
        ({**SCRIPT, "nodes": 3, "tasks": 2}, "at least nodes"),
        ({**SCRIPT, "queue": "a\nb"}, "queue"),
        ({**SCRIPT, "target": "moon"}, "target"),
        ({"script": "#!" + "x" * 524288}, "Too long"),
        ({"template": {"spec": {"containers": []}}}, "containers"),
    ],
)
async def test_the_schema_refuses(user: As, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        await user("alice").create(job_path("default"), job(spec))
    assert caught.value.code == 422


@pytest.mark.parametrize(
    "spec",
    [
        {**SCRIPT, "args": ["x" * 130_000] * 11 + ["\u00e9" * 1800]},
        {
            "template": {
                "spec": {
                    "containers": [{"name": "a", "image": "b", "args": ["x" * 120_000] * 4}],
                    "initContainers": [{"name": "b", "image": "b", "command": ["x" * 120_000] * 4}],
                }
            }
        },
    ],
)
async def test_the_text_of_a_job_is_limited(user: As, spec: dict[str, Any]) -> None:
    """The tests' chart allows 1400 KiB."""
    if "template" in spec:
        env = [{"name": f"A{number}", "value": "x" * 120_000} for number in range(4)]
        spec["template"]["spec"]["containers"][0]["env"] = env
    with pytest.raises(
        ApiError, match=r"script, arguments and environment have 14[0-9]* bytes together"
    ) as caught:
        await user("alice").create(job_path("default"), job(spec))
    assert caught.value.code == 422


@pytest.mark.parametrize("walltime", [1, 31622400, "90m", "1h30m", "2d", "01:30:00", "2-12:00:00"])
async def test_walltimes_as_people_write_them(user: As, walltime: object) -> None:
    await user("alice").create(job_path("default"), job({**SCRIPT, "walltime": walltime}))
