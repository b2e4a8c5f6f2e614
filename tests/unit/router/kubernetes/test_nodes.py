"""What a job needs of a node of Kubernetes, and what the nodes have, from lists of the API server's."""

from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from platformctl.jobs.model import Array, JobSpec, Resources, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Load, NoNodes, Ticket
from platformctl.router.kubernetes.backend import KubernetesBackend
from platformctl.router.kubernetes.nodes import Nodes, wanted
from platformctl.router.loop import cached
from platformctl.vocabulary import GPU

COPIES = [{"source": "a", "target": "b"}]
SCRIPT = {"script": "#!/bin/sh\n", "resources": {"cpu": "1"}}
MEMORY = 128 * 2**20


def template(**resources: dict[str, Any]) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "a", "image": "b", "resources": resources}]}}}


CONTAINER = template(limits={"cpu": "1"})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({**SCRIPT, "resources": None}, {}),
        (SCRIPT, {"cpu": 1}),
        (template(requests={"cpu": 1}, limits={"cpu": 16, "memory": "128Mi"}), {"cpu": 1, "memory": MEMORY}),
        # Before the script, so that the larger of both counts; after it, in the script's own container.
        ({**SCRIPT, "stageIn": COPIES}, {"cpu": 1, "memory": MEMORY}),
        ({**SCRIPT, "stageIn": COPIES, "resources": {"cpu": "10m"}}, {"cpu": 0.1, "memory": MEMORY}),
        ({**SCRIPT, "stageOut": COPIES}, {"cpu": 1}),
        # Beside the container.
        ({**CONTAINER, "stageOut": COPIES}, {"cpu": 1.1, "memory": MEMORY}),
        ({**CONTAINER, "stageIn": COPIES, "stageOut": COPIES}, {"cpu": 1.1, "memory": MEMORY}),
    ],
)
def test_a_node_must_have_room_for_what_is_requested_and_for_what_copies(
    spec: dict[str, Any], expected: dict[str, float]
) -> None:
    job = parse(spec)
    assert isinstance(job, JobSpec), job
    assert wanted(job) == {name: Fraction(str(amount)) for name, amount in expected.items()}


class Client:
    """An API server with these nodes and pods."""

    def __init__(self) -> None:
        self.there: dict[str, list[dict[str, Any]]] = {"/api/v1/nodes": [], "/api/v1/pods": []}

    async def list_pages(self, path: str, **selectors: str) -> AsyncIterator[dict[str, Any]]:
        wanted = selectors.get("labelSelector")
        found = self.there[path]
        yield {"items": [item for item in found if not wanted or wanted in item["metadata"]["labels"]]}


def node(name: str, cpu: str, **fields: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "kind": "large" if int(cpu) > 4 else "small"}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"cpu": cpu}}, **fields}


def pod(where: str, cpu: str) -> dict[str, Any]:
    return {
        "metadata": {},
        "spec": {"nodeName": where, "containers": [{"resources": {"requests": {"cpu": cpu}}}]},
    }


def daemon(where: str, cpu: str, of: str = "flannel", kind: str = "DaemonSet") -> dict[str, Any]:
    """A pod that the system runs on a node."""
    owner = {"kind": kind, "uid": f"uid-of-{of}"}
    labels = {"controller-revision-hash": "x"}
    return {**pod(where, cpu), "metadata": {"labels": labels, "ownerReferences": [owner]}}


def ticket(cpu: str, tasks: int = 1, **labels: str) -> Ticket:
    job = parse(
        {
            "tasks": tasks,
            "template": {
                "spec": {
                    "nodeSelector": labels,
                    "containers": [{"name": "a", "image": "b", "resources": {"requests": {"cpu": cpu}}}],
                }
            },
        }
    )
    assert isinstance(job, JobSpec), job
    claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
    return Ticket(claim, job, User("alice", 10001, 10001, (), "physics", "/home/alice"))


async def test_what_no_node_could_ever_run() -> None:
    client: Any = Client()
    nodes = Nodes(client)
    assert await nodes.unfit(ticket("1")) == "no Kubernetes node takes jobs"

    nodes = Nodes(client)
    cordoned = {"spec": {"unschedulable": True}}
    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "4"), node("c", "8", **cordoned)]
    for asked, expected in (
        (ticket("8"), ""),
        (ticket("9"), "no Kubernetes node has cpu 9 (the most is 8)"),
        (ticket("8", kind="small"), "no Kubernetes node has cpu 8 (the most is 4)"),
        (ticket("8", kind="large"), ""),
        (ticket("1", kind="huge"), "no Kubernetes node has the labels kind=huge"),
    ):
        # Twice: the second is answered from what was counted for the first.
        assert [await nodes.unfit(asked) for _ in range(2)] == [expected] * 2


async def test_without_any_node_it_is_not_known_what_could_run() -> None:
    client: Any = Client()
    backend = KubernetesBackend(client, "lab", "debian:13")
    control_plane = {
        "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}
    }
    client.there["/api/v1/nodes"] = [node("a", "4", **control_plane)]
    with pytest.raises(NoNodes, match="no Kubernetes node takes jobs"):
        await backend.unfit(ticket("1"))
    client.there["/api/v1/nodes"] += [node("b", "4", **{"spec": {"unschedulable": True}})]
    backend = KubernetesBackend(client, "lab", "debian:13")
    assert "cpu 5" in await backend.unfit(ticket("5"))


async def test_what_the_system_runs_on_a_node_is_no_jobs() -> None:
    client: Any = Client()
    gone = {"spec": {"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]}}
    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "8", **gone)]
    client.there["/api/v1/pods"] = [
        daemon("a", "100m"),
        # While a DaemonSet is updated there may be two of its pods.
        daemon("b", "100m"),
        daemon("b", "100m"),
        daemon("b", "50m", of="kube-proxy"),
        # Of these other nodes may take over.
        daemon("b", "4", of="database", kind="StatefulSet"),
    ]
    nodes = Nodes(client)
    assert await nodes.unfit(ticket("3900m", kind="small")) == ""
    assert await nodes.unfit(ticket("7850m")) == ""
    assert await nodes.unfit(ticket("4", kind="small")) == (
        "no Kubernetes node has cpu 4 (the most is 3.9) beside the system's own pods"
    )
    assert await nodes.unfit(ticket("9")) == "no Kubernetes node has cpu 9 (the most is 7.85)"
    assert await nodes.unfit(ticket("7900m")) == (
        "no Kubernetes node has cpu 7.9 (the most is 7.85) beside the system's own pods"
    )


async def test_tasks_that_start_together_need_room_for_all_of_them() -> None:
    client: Any = Client()
    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "4"), node("c", "8")]
    nodes = Nodes(client)
    assert await nodes.unfit(ticket("2", tasks=8)) == ""
    assert await nodes.unfit(ticket("2", tasks=9)) == (
        "all Kubernetes nodes together have room for 8 of its 9 tasks"
    )
    assert await nodes.unfit(ticket("3", tasks=5)) != ""
    # Elements of an array come one after the other.
    array = replace(ticket("2").job, array=Array(tuple(range(100))), tasks=100)
    assert await nodes.unfit(replace(ticket("2"), job=array)) == ""


async def test_gpus_are_there_while_their_plugin_is_restarted() -> None:
    client: Any = Client()
    status = {"allocatable": {"cpu": "4", GPU: "0"}, "capacity": {"cpu": "4", GPU: "2"}}
    client.there["/api/v1/nodes"] = [{**node("a", "4"), "status": status}]
    nodes = Nodes(client)
    job = replace(ticket("1").job, resources=Resources(gpus=2, limits={GPU: "2"}))
    assert await nodes.unfit(replace(ticket("1"), job=job)) == ""
    more = replace(ticket("1").job, resources=Resources(gpus=3, limits={GPU: "3"}))
    assert await nodes.unfit(replace(ticket("1"), job=more)) == (
        "no Kubernetes node has nvidia.com/gpu 3 (the most is 2)"
    )
    # None of them is free now.
    assert await nodes.free(ticket("1")) == {"a": {"cpu": 4, GPU: 0}}


async def test_gpus_may_come_back_where_a_plugin_was() -> None:
    """The kubelet says 0 of devices whose plugin has gone, and nothing of those that never were there."""
    client: Any = Client()
    gone = {"status": {"allocatable": {"cpu": "4", GPU: "0"}, "capacity": {"cpu": "4", GPU: "0"}}}
    client.there["/api/v1/nodes"] = [node("a", "4", **gone), node("b", "8")]
    nodes = Nodes(client)
    job = replace(ticket("1").job, resources=Resources(gpus=2, limits={GPU: "2"}))
    assert await nodes.unfit(replace(ticket("1"), job=job)) == ""
    assert await nodes.free(ticket("1", kind="small")) == {"a": {"cpu": 4, GPU: 0}}
    elsewhere = ticket("1", kind="large")
    never = replace(job, pod=elsewhere.job.pod)
    assert await nodes.unfit(replace(elsewhere, job=never)) == (
        "no Kubernetes node has nvidia.com/gpu 2 (none has any)"
    )


async def test_nothing_is_refused_for_an_old_list(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(cached, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    client: Any = Client()
    nodes = Nodes(client)
    assert await nodes.unfit(ticket("1")) == "no Kubernetes node takes jobs"
    client.there["/api/v1/nodes"] = [node("a", "4")]
    clock[0] += 2
    assert await nodes.unfit(ticket("1")) == ""


async def test_lists_serve_all_who_ask_until_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(cached, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    client: Any = Client()
    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "8", spec={"unschedulable": True})]
    client.there["/api/v1/pods"] = [pod("a", "1"), pod("b", "8")]
    nodes = Nodes(client)
    assert await nodes.load() == Load(cpus=0.75, gpus=None)
    assert await nodes.free(ticket("1", kind="small")) == {"a": {"cpu": 3}}
    assert await nodes.free(ticket("1", kind="large")) == {}

    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "8")]
    client.there["/api/v1/pods"] = [pod("a", "2")]
    assert await nodes.load() == Load(cpus=0.75, gpus=None)
    # Nodes are asked for more often than pods.
    clock[0] += 15
    assert await nodes.load() == Load(cpus=0.25, gpus=None)
    clock[0] += 15
    assert await nodes.load() == Load(cpus=1 - 2 / 12, gpus=None)
    assert await nodes.free(ticket("1")) == {"a": {"cpu": 2}, "b": {"cpu": 8}}


def template_ticket(pod: dict[str, Any], **resources: Any) -> Ticket:
    container = {"name": "a", "image": "b", "resources": {"limits": resources}}
    job = parse({"template": {"spec": {"containers": [container], **pod}}})
    assert isinstance(job, JobSpec), job
    return replace(ticket("1"), job=job)


def affinity(operator: str, *values: str, key: str = "kind") -> dict[str, Any]:
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


async def test_a_toleration_lets_a_job_on_tainted_nodes_and_on_no_others() -> None:
    client: Any = Client()
    gpus = {"taints": [{"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"}]}
    client.there["/api/v1/nodes"] = [node("a", "4"), node("b", "8", spec=gpus)]
    nodes = Nodes(client)
    tolerant = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    other = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "no"}]}
    assert await nodes.unfit(template_ticket(tolerant, cpu=8)) == ""
    for pod in ({}, other):
        assert (
            await nodes.unfit(template_ticket(pod, cpu=8)) == "no Kubernetes node has cpu 8 (the most is 4)"
        )
    assert set(await nodes.free(template_ticket(tolerant))) == {"a", "b"}
    assert set(await nodes.free(template_ticket({}))) == {"a"}


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (affinity("In", "large", "huge"), True),
        (affinity("In", "huge"), False),
        (affinity("NotIn", "large"), False),
        (affinity("Exists"), True),
        (affinity("DoesNotExist"), False),
        (affinity("Gt", "3", key="rack"), True),
        (affinity("Lt", "3", key="rack"), False),
        (affinity("Gt", "3", key="kind"), False),
    ],
)
async def test_a_node_meets_a_required_affinity(rule: dict[str, Any], fits: bool) -> None:
    client: Any = Client()
    large = node("b", "8")
    large["metadata"]["labels"]["rack"] = "4"
    client.there["/api/v1/nodes"] = [large]
    why = await Nodes(client).unfit(template_ticket(rule))
    assert why == ("" if fits else "no Kubernetes node has the labels what its node affinity requires")


async def test_devices_of_any_kind_are_counted() -> None:
    client: Any = Client()
    there = {"cpu": "8", "example.com/fpga": "2", "ephemeral-storage": "10Gi"}
    client.there["/api/v1/nodes"] = [{**node("a", "8"), "status": {"allocatable": there, "capacity": there}}]
    nodes = Nodes(client)
    assert await nodes.unfit(template_ticket({}, **{"example.com/fpga": 2, "nvidia.com/gpu": 0})) == ""
    assert "example.com/fpga" in await nodes.unfit(template_ticket({}, **{"example.com/fpga": 3}))
    assert "ephemeral-storage" in await nodes.unfit(template_ticket({}, **{"ephemeral-storage": "11Gi"}))


def test_a_pod_needs_what_its_containers_need_at_once() -> None:
    def one(name: str, cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "b", "resources": {"limits": {"cpu": cpu}}, **more}

    pod = {
        "containers": [one("a", "1"), one("b", "500m")],
        "initContainers": [one("i", "4"), one("s", "250m", restartPolicy="Always"), one("j", "1")],
    }
    assert wanted(template_ticket(pod).job) == {"cpu": 4}
    assert wanted(template_ticket({**pod, "initContainers": pod["initContainers"][1:]}).job) == {
        "cpu": Fraction("1.75")
    }
