"""The promises of a back end, kept by Kubernetes: a real API server, on which this test plays the kubelet."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.jobs.model import JobSpec, Resources, Target
from platformctl.jobs.parse import parse
from platformctl.router.backend import Ticket, Unavailable
from platformctl.router.kubernetes.backend import KubernetesBackend
from platformctl.vocabulary import TOKEN_ANNOTATION, Phase
from tests.contracts.backend import *  # noqa: F403
from tests.contracts.backend import Subject
from tests.integration.router.world import ALICE, BATCH, NODES, SITE, World

PODS = "/api/v1/namespaces/default/pods"
START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


class Kubelet:
    """Nodes and pods of a cluster that has neither."""

    def __init__(self, root: KubernetesClient) -> None:
        self.root = root

    async def node(self, name: str, cpu: str, memory: str, **spec: Any) -> None:
        """Add a node."""
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": spec,
        }
        await self.root.create(NODES, body)
        there = {"cpu": cpu, "memory": memory, "pods": "110"}
        await self.root.merge(f"{NODES}/{name}/status", {"status": {"capacity": there, "allocatable": there}})
        await self.root.merge(f"{NODES}/{name}", {"spec": {"taints": spec.get("taints")}})

    async def pod(self, batch: dict[str, Any], index: int | None, node: str, status: dict[str, Any]) -> None:
        """Add a pod of a batch Job."""
        name = batch["metadata"]["name"]
        suffix = "" if index is None else f"-{index}"
        annotations = {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
        template = batch["spec"]["template"]
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}{suffix}", "labels": labels, "annotations": annotations},
            "spec": {**template["spec"], **({"nodeName": node} if node else {})},
        }
        made = await self.root.create(PODS, body)
        await self.root.merge(f"{PODS}/{made['metadata']['name']}/status", {"status": status})

    async def finish(self, job_id: str, codes: dict[int | None, int]) -> None:
        """Run the pods of a released batch Job to their ends, and say so in its status."""
        batch = await self.root.get(f"{BATCH}/{job_id.split('/')[1]}")
        assert batch["spec"]["suspend"] is False
        for index, code in codes.items():
            await self.pod(batch, index, "n1", _exited(code))
        failed = sum(1 for code in codes.values() if code)
        true = {"status": "True", "lastTransitionTime": END, "lastProbeTime": END}
        kinds = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
        status = {
            "startTime": START,
            "conditions": [{"type": kind, **true} for kind in kinds],
            "uncountedTerminatedPods": {},
            "ready": 0,
            "terminating": 0,
            "failed": failed,
            "succeeded": len(codes) - failed,
            **({} if failed else {"completionTime": END}),
        }
        await self.root.merge(f"{BATCH}/{batch['metadata']['name']}/status", {"status": status})


def _exited(code: int) -> dict[str, Any]:
    end = {
        "exitCode": code,
        "startedAt": START,
        "finishedAt": END,
        "reason": "Error" if code else "Completed",
    }
    container = {
        **{"name": "script", "image": "debian:13", "imageID": "", "ready": False, "restartCount": 0},
        "state": {"terminated": end},
    }
    phase = "Failed" if code else "Succeeded"
    return {"phase": phase, "startTime": START, "containerStatuses": [container]}


@pytest.fixture
async def kubelet(world: World) -> AsyncIterator[Kubelet]:
    kubelet = Kubelet(world.root)
    for item in (await world.root.get(NODES))["items"]:
        await world.root.delete(f"{NODES}/{item['metadata']['name']}")
    await kubelet.node("n1", "4", "8Gi")
    await kubelet.node("n2", "2", "32Gi")
    await kubelet.node("ctl1", "64", "512Gi", taints=[{"key": "control-plane", "effect": "NoSchedule"}])
    yield kubelet
    for path in (PODS, NODES):
        for item in (await world.root.get(path))["items"]:
            await world.root.delete(f"{path}/{item['metadata']['name']}")


@pytest.fixture
def backend(world: World) -> KubernetesBackend:
    found: KubernetesBackend = world.backends[Target.KUBERNETES]
    return found


@pytest.fixture
def subject(kubelet: Kubelet, backend: KubernetesBackend) -> Subject:
    def elsewhere(ticket: Ticket) -> Ticket:
        return replace(ticket, claim=replace(ticket.claim, namespace="nowhere"))

    return Subject(backend, ALICE, SITE, elsewhere, "nowhere", kubelet.finish)


def sized(ticket: Ticket, millicores: int, tasks: int = 1) -> Ticket:
    """The ticket of a job whose tasks need so much."""
    resources = Resources(millicores=millicores, requests={"cpu": f"{millicores}m"})
    return replace(ticket, job=replace(ticket.job, resources=resources, tasks=tasks))


async def test_groups_of_the_image_are_kept_away_where_all_nodes_can(
    subject: Subject, kubelet: Kubelet, world: World
) -> None:
    async def policy() -> str | None:
        backend = KubernetesBackend(world.api, SITE, "debian:13")
        job_id = await backend.submit_held(subject.ticket())
        batch = await world.root.get(f"{BATCH}/{job_id.split('/')[1]}")
        return batch["spec"]["template"]["spec"]["securityContext"].get("supplementalGroupsPolicy")

    # ctl1 takes no jobs, so it does not count.
    for name, expected in (("n1", None), ("n2", "Strict")):
        status = {"features": {"supplementalGroupsPolicy": True}}
        await kubelet.root.merge(f"{NODES}/{name}/status", {"status": status})
        assert await policy() == expected


async def test_the_nodes_that_take_jobs_are_compared_one_by_one(subject: Subject) -> None:
    ticket = subject.ticket()
    assert await subject.backend.unfit(sized(ticket, 4000)) == ""
    assert await subject.backend.unfit(sized(ticket, 5000)) == "no Kubernetes node has cpu 5 (the most is 4)"
    asked = {"cpu": "4", "memory": "16Gi"}
    both = replace(ticket.job, resources=Resources(millicores=4000, memory=16 * 2**30, requests=asked))
    assert await subject.backend.unfit(replace(ticket, job=both)) == (
        "no Kubernetes node has cpu 4 and memory 16Gi together"
    )


async def test_labels_that_no_node_has_are_named(subject: Subject) -> None:
    ticket = subject.ticket()
    pod = replace(ticket.job.pod, node_selector={"gpu": "a100"})
    why = await subject.backend.unfit(replace(ticket, job=replace(ticket.job, pod=pod)))
    assert why == "no Kubernetes node has the labels gpu=a100"


async def test_a_plain_job_starts_with_two_requests(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0
    send = KubernetesClient._text

    async def counted(client: KubernetesClient, *arguments: Any) -> bytes:
        nonlocal requests
        requests += 1
        return await send(client, *arguments)

    ticket = subject.ticket()
    container = {"name": "a", "image": "debian:13", "command": ["true"]}
    job = parse_container(container)
    # Whoever chose this back end has the nodes listed.
    assert await backend.unfit(ticket) == ""
    monkeypatch.setattr(KubernetesClient, "_text", counted)
    await subject.released(replace(ticket, job=job))
    assert requests == 2


def parse_container(container: dict[str, Any]) -> JobSpec:
    """A job that runs a container."""
    job = parse({"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}})
    assert isinstance(job, JobSpec), job
    return job


async def test_a_release_is_of_the_batch_job_that_was_made(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend
) -> None:
    """Another of the same name, made after it was deleted, is not released."""
    ticket = subject.ticket()
    job_id = await backend.submit_held(ticket)
    name = job_id.split("/")[1]
    there = await kubelet.root.get(f"{BATCH}/{name}")
    await kubelet.root.delete(f"{BATCH}/{name}")
    theirs = {**there, "metadata": {"name": name, "annotations": {TOKEN_ANNOTATION: "theirs"}}}
    theirs["spec"]["template"]["metadata"]["labels"] = {}
    theirs["spec"].pop("selector")
    await kubelet.root.create(BATCH, theirs)
    with pytest.raises(Unavailable):
        await backend.release(ticket, job_id)
    assert (await kubelet.root.get(f"{BATCH}/{name}"))["spec"]["suspend"] is True


async def test_tasks_start_together_or_not_at_all(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend
) -> None:
    """n1 has room for two tasks of two cores, n2 for one."""
    ticket = sized(subject.ticket(), 2000, tasks=4)
    job_id = await subject.released(ticket)
    seen = await backend.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.held, seen.reason) == (True, "waits until all 4 tasks fit at once; 3 do now")
    explained = await backend.explain(ticket, job_id)
    assert explained.sentences == ("Kubernetes: waits until all 4 tasks fit at once; 3 do now.",)

    fitting = sized(subject.ticket(), 2000, tasks=3)
    fits_id = await subject.released(fitting)
    seen = await backend.read(fitting.claim, fits_id)
    assert seen is not None
    assert not seen.held
    # What was let in a moment ago counts, though it has no pods yet.
    late = sized(subject.ticket(), 2000, tasks=2)
    late_id = await subject.released(late)
    seen = await backend.read(late.claim, late_id)
    assert seen is not None
    assert seen.reason == "waits until all 2 tasks fit at once; 0 do now"


async def test_an_image_that_is_not_there_is_told(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend
) -> None:
    ticket = subject.ticket()
    job_id = await subject.released(ticket)
    batch = await kubelet.root.get(f"{BATCH}/{job_id.split('/')[1]}")
    waiting = {"reason": "ErrImagePull", "message": "nope: not found"}
    container = {
        **{"name": "script", "image": "nope", "imageID": "", "ready": False, "restartCount": 0},
        "state": {"waiting": waiting},
    }
    await kubelet.pod(batch, None, "n1", {"phase": "Pending", "containerStatuses": [container]})
    seen = await backend.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.phase, seen.reason) == (
        Phase.QUEUED,
        "the image nope cannot be pulled: there is no such image",
    )


async def test_a_quota_that_is_used_up_is_told(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend
) -> None:
    ticket = subject.ticket()
    job_id = await subject.released(ticket)
    batch = await kubelet.root.get(f"{BATCH}/{job_id.split('/')[1]}")
    message = (
        'Error creating: pods "x" is forbidden: exceeded quota: team, requested: cpu=4, used: cpu=2, '
        "limited: cpu=4"
    )
    about = {
        "kind": "Job",
        "namespace": "default",
        **{key: batch["metadata"][key] for key in ("name", "uid")},
    }
    event = {
        **{"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "x-"}},
        **{"involvedObject": about, "reason": "FailedCreate", "message": message, "type": "Warning"},
    }
    await kubelet.root.create("/api/v1/namespaces/default/events", event)
    seen = await backend.read(ticket.claim, job_id)
    assert seen is not None
    words = "quota team of its namespace is used up: cpu 4 more with 2 of 4 used"
    assert seen.reason == f"the {words}"
    assert f"The {words}." in (await backend.explain(ticket, job_id)).sentences


async def test_the_node_that_nearly_fits_is_named(
    subject: Subject, kubelet: Kubelet, backend: KubernetesBackend
) -> None:
    running = sized(subject.ticket(), 3000)
    batch = await kubelet.root.get(f"{BATCH}/{(await subject.released(running)).split('/')[1]}")
    batch["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    await kubelet.pod(batch, None, "n1", {"phase": "Running", "startTime": START})
    ticket = sized(subject.ticket(), 4000)
    job_id = await subject.released(ticket)
    batch = await kubelet.root.get(f"{BATCH}/{job_id.split('/')[1]}")
    unscheduled = {
        **{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        "message": "0/3 nodes are available: "
        "1 node(s) had untolerated taint {control-plane: }, 2 Insufficient cpu.",
    }
    await kubelet.pod(batch, None, "", {"phase": "Pending", "conditions": [unscheduled]})
    explained = await backend.explain(ticket, job_id)
    assert explained.sentences == (
        "Kubernetes: waits for a node: none of 3 nodes is free: 1 is closed to jobs (control-plane), "
        "2 have too little cpu free.",
        "The node n2 comes nearest; it has no room for cpu 4 (free: 2).",
    )
    assert (await backend.load()).cpus == 0.5


async def test_an_interactive_job_is_found_again_though_its_name_is_its_users(
    subject: Subject, backend: KubernetesBackend
) -> None:
    job = parse({"interactive": True, "walltime": "10m"})
    assert isinstance(job, JobSpec)
    ticket = replace(subject.ticket(), job=job)
    job_id = await backend.submit_held(ticket)
    assert job_id.startswith("default/kfoundry-enter-10001-")
    assert await backend.find(ticket.claim) == [(ticket.claim, job_id)]
    await backend.release(ticket, job_id)
    await backend.cancel(ticket.claim, job_id)
    assert await backend.find(ticket.claim) == []
