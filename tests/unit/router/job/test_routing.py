"""Where a Job goes, and why, by the shipped rules and by a site's own."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from platformctl.jobs.model import JobSpec, Policy, Queue, Refusal, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Load, NoNodes, Ticket, Unavailable
from platformctl.router.job.routing import Route, choose
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule

ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")
SCRIPT: dict[str, Any] = {"script": "#!/bin/sh\n"}
NO_GPU = "no Kubernetes node has nvidia.com/gpu 1 (none has any)"


def pod(image: str = "perl:5", **spec: Any) -> dict[str, Any]:
    container = {"name": "a", "image": image, "command": ["c"]}
    return {"template": {"spec": {"containers": [container], **spec}}}


class Backend:
    """A back end that only says whether it could run a job, and how full it is."""

    def __init__(self, unfit: str = "", cpus: float | None = None) -> None:
        self._unfit = unfit
        self._cpus = cpus
        self.loads = 0

    async def unfit(self, _ticket: Ticket) -> str:
        return self._unfit

    async def load(self) -> Load:
        self.loads += 1
        if self._cpus is None:
            raise Unavailable("away")
        return Load(self._cpus)


def rules(*texts: dict[str, Any]) -> tuple[Rule, ...]:
    return tuple(TypeAdapter(list[Rule]).validate_python([{"because": "so", **text} for text in texts]))


async def route(
    spec: dict[str, Any],
    slurm: str | None = "",
    kubernetes: str | None = "",
    by: tuple[Rule, ...] = DEFAULT_RULES,
    queue: Queue | None = None,
    free: tuple[float | None, float | None] = (None, None),
    anywhere: bool = False,
) -> object:
    checked = parse(spec)
    assert isinstance(checked, JobSpec), checked
    job = settle(checked, ALICE, Policy())
    assert isinstance(job, JobSpec), job
    if anywhere:
        job = replace(job, unsupported={})
    claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
    given = {Target.SLURM: (slurm, free[0]), Target.KUBERNETES: (kubernetes, free[1])}
    backends: Any = {target: Backend(why, cpus) for target, (why, cpus) in given.items() if why is not None}
    return await choose(Ticket(claim, job, ALICE, queue), backends, by)


async def target_of(spec: dict[str, Any], **options: Any) -> Target:
    found = await route(spec, **options)
    assert isinstance(found, Route), found
    return found.target


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        (SCRIPT, Target.SLURM),
        (pod(), Target.KUBERNETES),
        ({**pod(), "target": "slurm"}, Target.SLURM),
        ({**SCRIPT, "target": "kubernetes"}, Target.KUBERNETES),
        ({**pod(), "nodes": 2}, Target.SLURM),
        (pod(nodeSelector={"feature.node.kubernetes.io/rdma.available": "true"}), Target.KUBERNETES),
    ],
)
async def test_where_the_shipped_rules_send_a_job(spec: dict[str, Any], target: Target) -> None:
    assert await target_of(spec) is target


async def test_the_decision_has_one_line_for_each_target() -> None:
    assert await route(pod()) == Route(
        Target.KUBERNETES,
        "kubernetes: chosen because containers are made for Kubernetes\nslurm: comes after kubernetes",
    )
    assert await route(pod(), kubernetes=NO_GPU) == Route(
        Target.SLURM, f"slurm: chosen because no earlier target can run the job\nkubernetes: {NO_GPU}"
    )
    assert await route(SCRIPT, slurm=None) == Route(
        Target.KUBERNETES,
        "kubernetes: chosen because no earlier target can run the job\nslurm: this site has no slurm",
    )


async def test_a_target_that_is_named_and_could_never_run_the_job_is_refused() -> None:
    named = {**pod(), "target": "kubernetes"}
    assert await route(named, kubernetes=NO_GPU) == [Refusal("spec", NO_GPU)]
    assert await route(named) == Route(Target.KUBERNETES, "kubernetes: asked for by spec.target")


async def test_a_target_that_is_named_and_cannot_be_asked_is_waited_for() -> None:
    class Away(Backend):
        async def unfit(self, _ticket: Ticket) -> str:
            raise Unavailable("away")

    job = parse({**pod(), "target": "kubernetes"})
    assert isinstance(job, JobSpec), job
    claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
    backends: Any = {Target.KUBERNETES: Away()}
    found = await choose(Ticket(claim, job, ALICE), backends)
    assert found == Route(Target.KUBERNETES, "kubernetes: asked for by spec.target")


async def test_nothing_is_refused_for_a_target_without_any_node_yet() -> None:
    class Bare(Backend):
        async def unfit(self, _ticket: Ticket) -> str:
            raise NoNodes("no Kubernetes node takes jobs")

    async def chosen(slurm: str, **spec: Any) -> object:
        job = parse({**pod(), **spec})
        assert isinstance(job, JobSpec), job
        claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
        backends: Any = {Target.KUBERNETES: Bare(), Target.SLURM: Backend(slurm)}
        return await choose(Ticket(claim, job, ALICE), backends)

    asked = "kubernetes: asked for by spec.target"
    assert await chosen("", target="kubernetes") == Route(Target.KUBERNETES, asked)
    found = await chosen("")
    assert isinstance(found, Route)
    assert (found.target, found.why.splitlines()[1]) == (
        Target.SLURM,
        "kubernetes: no Kubernetes node takes jobs",
    )
    with pytest.raises(NoNodes):
        await chosen("no node of Slurm has cpu 8")


async def test_what_runs_nowhere_is_refused_with_every_reason() -> None:
    found = await route({**pod(), "nodes": 2}, slurm="no node")
    assert isinstance(found, list)
    assert [refusal.path for refusal in found] == ["spec", "spec.nodes"]
    assert [refusal.message.partition(":")[0] for refusal in found] == ["slurm", "kubernetes"]


async def test_a_target_that_the_site_lacks_is_refused() -> None:
    found = await route({**SCRIPT, "target": "slurm"}, slurm=None)
    assert found == [Refusal("spec.target", "this site has no slurm")]


@pytest.mark.parametrize(
    ("when", "spec", "matches"),
    [
        ({}, SCRIPT, True),
        ({"kind": "container"}, SCRIPT, False),
        ({"kind": "script"}, SCRIPT, True),
        ({"queues": ["ma*"]}, {**SCRIPT, "queue": "main"}, True),
        ({"queues": ["ma*"]}, SCRIPT, False),
        ({"images": ["registry.lab/*", "perl:*"]}, pod("perl:5"), True),
        ({"images": ["perl:*"]}, pod("python:3"), False),
        ({"images": ["*"]}, SCRIPT, False),
        ({"users": ["al*"]}, SCRIPT, True),
        ({"users": ["bob"]}, SCRIPT, False),
        ({"accounts": ["physics"]}, SCRIPT, True),
        ({"accounts": ["physics"]}, {**SCRIPT, "account": "chemistry"}, False),
        ({"minTasks": 4}, {**SCRIPT, "tasks": 4}, True),
        ({"min_tasks": 4}, {**SCRIPT, "tasks": 3}, False),
        ({"minWalltime": "2h"}, {**SCRIPT, "walltime": "3h"}, True),
        ({"minWalltime": "2h"}, SCRIPT, False),
        ({"maxWalltime": "2h"}, {**SCRIPT, "walltime": "1h"}, True),
        ({"maxWalltime": "2h"}, SCRIPT, False),
        ({"array": True}, {**SCRIPT, "array": "0-3"}, True),
        ({"array": False}, {**SCRIPT, "array": "0-3"}, False),
        ({"gpuType": ["*A100*"]}, pod(nodeSelector={"nvidia.com/gpu.product": "NVIDIA-A100-80GB"}), True),
        ({"gpuType": ["*A100*"]}, pod(), False),
        ({"rdma": True}, pod(nodeSelector={"feature.node.kubernetes.io/rdma.available": "true"}), True),
        ({"rdma": True}, pod(), False),
        ({"kind": "script", "users": ["bob"]}, SCRIPT, False),
    ],
)
async def test_when_a_rule_matches(when: dict[str, Any], spec: dict[str, Any], matches: bool) -> None:
    """The rule sends what it matches where the next one does not."""
    kind = "kubernetes" if "script" in spec else "slurm"
    other = "slurm" if kind == "kubernetes" else "kubernetes"
    by = rules({"when": when, "prefer": [kind]}, {"prefer": [other]})
    queue = Queue("main") if spec.get("queue") else None
    found = await target_of(spec, by=by, queue=queue, anywhere=True)
    assert (found == kind) is matches


@pytest.mark.parametrize(
    ("free", "target"),
    [
        ((0.9, 0.05), Target.SLURM),
        ((0.9, 0.5), Target.KUBERNETES),
        ((0.1, 0.05), Target.KUBERNETES),
        ((None, 0.05), Target.KUBERNETES),
    ],
)
async def test_a_job_goes_where_there_is_room(free: tuple[float | None, float], target: Target) -> None:
    when = {"free": {"kubernetes": {"cpus": {"below": 0.1}}, "slurm": {"cpus": {"above": 0.25}}}}
    by = rules({"when": when, "prefer": ["slurm"]}, {"prefer": ["kubernetes"]})
    assert await target_of(pod(), by=by, free=free) is target


async def test_load_is_asked_for_only_where_a_rule_needs_it() -> None:
    backend = Backend(cpus=1.0)
    job = parse(pod())
    assert isinstance(job, JobSpec)
    claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
    backends: Any = {Target.KUBERNETES: backend}
    await choose(Ticket(claim, job, ALICE), backends)
    assert backend.loads == 0


async def test_a_rule_that_refuses_holds_for_jobs_that_name_the_target() -> None:
    by = rules(
        {"when": {"users": ["alice"]}, "refuse": ["slurm"], "because": "alice has no account there"},
        {"prefer": ["slurm"]},
    )
    assert await target_of(SCRIPT, by=by) is Target.KUBERNETES
    assert await route({**SCRIPT, "target": "slurm"}, by=by) == [
        Refusal("spec", "the site's rules forbid it: alice has no account there")
    ]


async def test_a_queue_gives_the_order_where_no_rule_does() -> None:
    queue = Queue("batch", targets=(Target.SLURM, Target.KUBERNETES))
    found = await route(pod(), by=(), queue=queue)
    assert found == Route(
        Target.SLURM, "slurm: chosen because the queue batch names it first\nkubernetes: comes after slurm"
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"prefer": ["slurm"], "refuse": ["kubernetes"]},
        {},
        {"prefer": ["auto"]},
        {"prefer": ["nowhere"]},
        {"prefer": ["slurm"], "when": {"unknown": 1}},
        {"prefer": ["slurm"], "when": {"minWalltime": "soon"}},
        {"prefer": ["slurm"], "when": {"free": {"slurm": {"cpus": {"above": 2}}}}},
        {"prefer": ["slurm"], "because": ""},
    ],
)
def test_a_rule_with_a_mistake_is_not_taken(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rules(rule)


async def test_the_decision_says_what_has_no_effect_there() -> None:
    spec = {**SCRIPT, "slurm": {"mailType": ["END"], "chdir": "/home/alice", "jobName": "x"}}
    why = "has no effect on kubernetes: only Slurm has it"
    lost = [f"spec.slurm.jobName: {why}", f"spec.slurm.mailType: {why}"]
    found = await route({**spec, "target": "kubernetes"})
    assert found == Route(Target.KUBERNETES, "\n".join(["kubernetes: asked for by spec.target", *lost]))
    chosen = await route(spec, slurm=None)
    assert isinstance(chosen, Route)
    assert chosen.why.splitlines()[-2:] == lost
    on_slurm = await route(spec)
    assert isinstance(on_slurm, Route)
    assert "has no effect" not in on_slurm.why
