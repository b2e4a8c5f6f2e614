"""What the API server checks of Jobs and Queues, and that it takes what the router makes of them."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_kubeconfig
from platformctl.jobs import kubernetes
from platformctl.jobs.model import JobSpec, Priority, Queue, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.queues import parse_queue
from platformctl.jobs.tokens import Token
from platformctl.paths import data_dir
from platformctl.vocabulary import job_path
from tests.integration.control_plane import ADMIN, ControlPlane, start
from tests.integration.router.world import ROUTER
from tests.programs import program

SCRIPT = {"script": "#!/bin/bash\ndate\n"}
CONTAINER = {"template": {"spec": {"containers": [{"name": "a", "image": "b", "command": ["c"]}]}}}
BOB = User("bob", 10002, 10002, (20001,), "physics", "/home/bob", "kfoundry-home-10002")
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
QUEUES = "/apis/kfoundry.io/v1alpha1/queues"
EVERYTHING = {
    **SCRIPT,
    "resources": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": "1"},
    "target": "slurm",
    "queue": "main",
    "account": "physics",
    "priorityClassName": "high",
    "walltime": "1h",
    "nodes": 2,
    "tasks": 4,
    "tasksPerNode": 2,
    "array": "0-99:3,200%10",
    "dependsOn": [{"name": "other", "when": "finished"}],
    "interactive": False,
    "retries": 3,
    "suspend": True,
    "managedBy": "kfoundry.io/router",
    "ttlAfterFinished": "7d",
    "stageIn": [{"source": "/data/set", "target": "set"}],
    "stageOut": [{"source": "out", "target": "results/out"}],
    "args": ["a b", ""],
    "slurm": {
        "qos": "long",
        "mailType": ["END", "FAIL"],
        "exclusive": "node",
        "nice": -5,
        "begin": "2027-01-15T08:00:00Z",
        "environment": {"BASH_FUNC_module%%": "() { :; }", "EMPTY": ""},
        "signal": "B:USR1@120",
        "output": "logs/%x-%A_%a.out",
        "loginEnvironment": True,
        "plugins": {"uenv": "prgenv"},
    },
}


@pytest.fixture
async def root(control_plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ADMIN))) as client:
        yield client


@pytest.fixture
async def alice(control_plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig("alice"))) as client:
        yield client


@pytest.fixture
async def router(control_plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ROUTER))) as client:
        yield client


def job(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    metadata.setdefault("generateName", "test-")
    return {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": metadata, "spec": spec}


def queue(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kfoundry.io/v1alpha1", "kind": "Queue", "metadata": {"name": name}, "spec": spec
    }  # fmt: skip


async def test_every_field_is_kept_as_it_was_written(alice: KubernetesClient) -> None:
    stored = await alice.create(job_path("default"), job(EVERYTHING))
    assert stored["spec"] == EVERYTHING
    assert isinstance(parse(stored["spec"]), JobSpec)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"array": "0-9%"}, "array"),
        ({"array": "a"}, "array"),
        ({"array": "1\n#SBATCH"}, "array"),
        ({"array": "1," * 4097 + "1"}, "Too long"),
        ({"tasks": 5}, "at most nodes times"),
        ({"tasksPerNode": 0}, "tasksPerNode"),
        ({"retries": 101}, "retries"),
        ({"retries": -1}, "retries"),
        ({"managedBy": "router"}, "managedBy"),
        ({"priorityClassName": "High"}, "priorityClassName"),
        ({"dependsOn": [{"name": "a b"}]}, "dependsOn"),
        ({"dependsOn": [{"name": "a", "when": "maybe"}]}, "when"),
        ({"dependsOn": [{"name": "a"}] * 65}, "64"),
        ({"ttlAfterFinished": 0}, "from 1 second"),
        ({"ttlAfterFinished": "soon"}, "units such as"),
        ({"stageIn": [{"source": "../a", "target": "b"}]}, "must not hold '..'"),
        ({"stageIn": [{"source": "a/..", "target": "b"}]}, "must not hold '..'"),
        ({"stageOut": [{"source": "a", "target": "b\nc"}]}, "control characters"),
        ({"stageOut": [{"source": "a", "target": "b\x00c"}]}, "control characters"),
        ({"stageOut": [{"source": "a", "target": "b/"}]}, "nor end with"),
        ({"stageOut": [{"source": "a"}]}, "target"),
        ({"stageOut": [{"source": "a", "target": "b"}] * 33}, "32"),
        ({"interactive": True}, "cannot be an array"),
        ({"resources": {"cpu": 1, "memory": 1, "nvidia.com/gpu": 1, "x": 1}}, "resources"),
        ({"slurm": {"qos": "a b"}}, "qos"),
        ({"slurm": {"mailType": ["NEVER"]}}, "mailType"),
        ({"slurm": {"nodes": "2-4"}}, "not both"),
        ({"slurm": {"partitions": ["a", "b"]}}, "not both"),
        ({"slurm": {"timeUnlimited": True}}, "not both"),
        ({"slurm": {"components": []}}, "components"),
        (CONTAINER, "exactly one"),
        ({"script": "#!/bin/sh\n" + "x" * 2**20}, "Too long"),
    ],
)
async def test_the_schema_refuses(alice: KubernetesClient, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        await alice.create(job_path("default"), job(EVERYTHING | change))
    assert caught.value.code == 422


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"args": [1]}, r"\.spec\.args\[0\]: expected string"),
        ({"slurm": {"environment": {"A": 1}}}, r"\.spec\.slurm\.environment\.A: expected string"),
    ],
)
async def test_a_value_of_another_kind_is_refused_by_its_path(
    alice: KubernetesClient, change: dict[str, Any], path: str
) -> None:
    """By admission, which stamps the submitter before the schema is checked."""
    with pytest.raises(ApiError, match=path):
        await alice.create(job_path("default"), job(EVERYTHING | change))


@pytest.mark.parametrize(
    "spec",
    [{"interactive": True}, {**CONTAINER, "resources": {"cpu": 1}}, {"interactive": False, "walltime": 60}],
)
async def test_the_schema_refuses_what_does_not_fit_together(
    alice: KubernetesClient, spec: dict[str, Any]
) -> None:
    with pytest.raises(ApiError) as caught:
        await alice.create(job_path("default"), job(spec))
    assert caught.value.code == 422


async def test_an_interactive_job_needs_no_script(alice: KubernetesClient) -> None:
    await alice.create(job_path("default"), job({"interactive": True, "walltime": "1h"}))


async def test_a_suspension_can_be_lifted_and_nothing_else_changed(alice: KubernetesClient) -> None:
    stored = await alice.create(job_path("default"), job({**SCRIPT, "suspend": True}))
    here = job_path("default", stored["metadata"]["name"])
    await alice.merge(here, {"spec": {"suspend": False}})
    for change, words in (
        ({"suspend": True}, "suspend can only be lifted"),
        ({"managedBy": "example.com/other"}, "managedBy cannot be changed"),
        ({"retries": 3}, "cannot be changed"),
        ({"stageIn": [{"source": "a", "target": "b"}]}, "cannot be changed"),
    ):
        with pytest.raises(ApiError, match=words) as caught:
            await alice.merge(here, {"spec": change})
        assert caught.value.code == 422


async def test_queues_as_a_site_writes_them(root: KubernetesClient) -> None:
    spec = {
        "targets": [
            {"slurm": {"partition": "main", "qos": "normal"}},
            {"kubernetes": {"nodeSelector": {"pool": "batch"}, "priorityClassName": "batch"}},
        ],
        "default": True,
        "defaultWalltime": "1h",
        "maxWalltime": 86400,
        "users": ["alice"],
        "accounts": ["physics"],
        "limits": {"perUser": {"jobs": 10, "cpus": 64, "gpus": 2}, "perAccount": {"jobs": 100}},
        "preemptible": True,
    }
    stored = await root.create(QUEUES, queue("batch", spec))
    assert stored["spec"] == spec
    found = parse_queue("batch", stored["spec"])
    assert isinstance(found, Queue)
    assert found.targets == (Target.SLURM, Target.KUBERNETES)
    await root.delete(f"{QUEUES}/batch")


@pytest.mark.parametrize(
    "spec",
    [
        {"targets": [{"slurm": {}}, {"slurm": {}}]},
        {"targets": [{}]},
        {"targets": [{"slurm": {}, "kubernetes": {}}]},
        {"targets": [{"slurm": {"partition": "a b"}}]},
        {"maxWalltime": "forever"},
        {"users": ["$(id)"]},
        {"limits": {"perUser": {"jobs": -1}}},
    ],
)
async def test_the_schema_of_queues_refuses(root: KubernetesClient, spec: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        await root.create(QUEUES, queue("wrong", spec))
    assert caught.value.code == 422


async def test_users_make_no_queues(alice: KubernetesClient) -> None:
    with pytest.raises(ApiError) as caught:
        await alice.create(QUEUES, queue("mine", {}))
    assert caught.value.code == 403


@pytest.mark.parametrize(
    "spec",
    [
        SCRIPT,
        CONTAINER,
        {**CONTAINER, "tasks": 3, "walltime": 60},
        {**CONTAINER, "array": "0-9999%10"},
        {**SCRIPT, "array": "0", "resources": {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": 1}},
        {
            **SCRIPT,
            "stageIn": [{"source": "a", "target": "b"}],
            "stageOut": [{"source": "a", "target": "b"}],
        },
    ],
)
@pytest.mark.parametrize("user", [BOB, replace(BOB, home_claim=None)])
async def test_the_api_server_takes_the_batch_jobs(
    router: KubernetesClient, spec: dict[str, Any], user: User
) -> None:
    parsed = parse(spec)
    assert isinstance(parsed, JobSpec), parsed
    parsed = replace(parsed, priority=Priority(pod_priority_class="system-node-critical"))
    body = kubernetes.batch_job(parsed, user, "a", TOKEN, queue=Queue("q", node_selector={"a": "b"}))
    stored = await router.create("/apis/batch/v1/namespaces/default/jobs", body)
    await router.delete(f"/apis/batch/v1/namespaces/default/jobs/{body['metadata']['name']}")
    # A field that the API server does not know, or drops, would be missing.
    template = stored["spec"]["template"]["spec"]
    assert body["spec"]["template"]["spec"].keys() <= template.keys()
    assert {key: stored["spec"][key] for key in body["spec"] if key != "template"} == {
        key: value for key, value in body["spec"].items() if key != "template"
    }


async def test_an_upgrade_of_the_definition_loses_nothing(tmp_path: Path) -> None:
    """From the definition of the first release, with Jobs there, to the one of today."""
    before = Path(__file__).parent / "job_definition_0_1.yaml.tpl"
    today = data_dir() / "charts" / "job-router" / "files" / "definitions" / "jobs.yaml"
    with start(tmp_path, {}) as plane:
        kubectl = [program("kubectl"), "--kubeconfig", plane.kubeconfig(ADMIN)]
        old = {**SCRIPT, "walltime": "1h", "nodes": 2, "tasks": 4, "queue": "main", "account": "physics"}
        status = {"phase": "Running", "backend": "slurm", "backendId": "17", "attempt": 1}
        async with KubernetesClient(from_kubeconfig(plane.kubeconfig(ADMIN))) as root:
            _apply(kubectl, before.read_text())
            for spec in (old, CONTAINER):
                body = job(spec, name="script" if spec is old else "container")
                await root.create(job_path("default"), body)
                await root.merge(
                    f"{job_path('default', body['metadata']['name'])}/status", {"status": status}
                )
            stored = [await root.get(job_path("default", name)) for name in ("script", "container")]
            _apply(kubectl, today.read_text())
            for item in stored:
                here = job_path("default", item["metadata"]["name"])
                found = await root.get(here)
                assert (found["spec"], found["status"]) == (item["spec"], item["status"])
                # What is there can still be written, by its user and by the router.
                await root.merge(
                    here, {"metadata": {"annotations": {"kfoundry.io/cancel-requested": "true"}}}
                )
                await root.merge(f"{here}/status", {"status": {"phase": "Succeeded"}})
            await root.create(job_path("default"), job({**EVERYTHING, "suspend": False}))


def _apply(kubectl: list[Any], definition: str) -> None:
    text = definition.replace('{{- include "job-router.labels" . | nindent 4 }}', "{}")
    subprocess.run(
        [*kubectl, "apply", "--server-side", "-f", "-"],
        input=text,
        text=True,
        check=True,
        capture_output=True,
    )
    wait = ["wait", "--for=condition=Established", "crd/jobs.kfoundry.io", "--timeout=30s"]
    subprocess.run([*kubectl, *wait], check=True, capture_output=True)
