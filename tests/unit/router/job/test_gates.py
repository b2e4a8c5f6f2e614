"""What Jobs wait for, and what refuses them, before anything is submitted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from platformctl.jobs.model import (
    BACKENDS,
    Array,
    Dependency,
    JobSpec,
    Limits,
    Queue,
    Refusal,
    Resources,
    Target,
    User,
    When,
)
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Ticket
from platformctl.router.job.gates import Gates, Wait
from platformctl.router.job.overview import Overview
from platformctl.router.job.resource import JobResource
from platformctl.router.loop.queue import Key
from platformctl.vocabulary import SUBMITTER

ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")
BOB = User("bob", 10002, 10002, (), "physics", "/home/bob")
USERS = {"alice": ALICE, "bob": BOB}
SCRIPT = "#!/bin/sh\n"


class Site:
    """Jobs and queues as the router remembers them. woken: names of Jobs to be looked at."""

    def __init__(self, on_kubernetes: Queue | None = None, **queues: Queue) -> None:
        self.woken: list[str] = []
        self.overview = Overview(USERS, lambda key: self.woken.append(key[1]), array_at_once=10)
        self.gates = Gates(self.overview, lambda: queues, on_kubernetes)

    def put(
        self, name: str, spec: dict[str, Any] | None = None, submitter: str = "alice", **status: Any
    ) -> JobResource:
        metadata = {
            **{"namespace": "ns", "name": name, "uid": name, "generation": 1},
            "annotations": {SUBMITTER: submitter},
        }
        job = JobResource(
            {"metadata": metadata, "spec": {"script": SCRIPT, **(spec or {})}, "status": status}
        )
        self.overview.put(job)
        return job

    def wait_for(self, name: str, *dependencies: tuple[str, When], **status: Any) -> Any:
        """What the gates say about a Job with dependencies."""
        raw = [{"name": other, "when": when} for other, when in dependencies]
        job = self.put(name, {"dependsOn": raw}, **status)
        spec = JobSpec(script=SCRIPT, depends_on=tuple(Dependency(*item) for item in dependencies))
        return self.gates.closed(job, ticket(spec))

    def enter(self, name: str, spec: JobSpec, user: User = ALICE) -> Any:
        """What the gates say about a Job in a queue."""
        assigned = self.gates.assign(ticket(spec, user))
        if not isinstance(assigned, Ticket):
            return assigned
        return self.gates.closed(self.put(name), assigned)

    def there(self, name: str, spec: JobSpec, user: User = ALICE) -> Any:
        """What Kubernetes' gate says about a Job that is to go there."""
        given = self.put(name, submitter=user.name)
        return self.gates.closed_there(given, ticket(spec, user), Target.KUBERNETES)

    def run(self, name: str, user: str = "alice", queue: str = "short", **status: Any) -> None:
        """A Job's status after its submission."""
        self.put(name, **{"backend": "slurm", "phase": "Running", "user": user, "queue": queue, **status})


def ticket(spec: JobSpec, user: User = ALICE) -> Ticket:
    return Ticket(Claim(Token("lab", "u", 1), "ns", "x", user.name), spec, user)


def test_a_suspended_job_waits_for_its_user() -> None:
    site = Site()
    found = site.gates.closed(site.put("a"), ticket(JobSpec(script=SCRIPT, suspend=True)))
    assert isinstance(found, Wait)
    assert found.reason == "is suspended by its user"


@pytest.mark.parametrize(
    ("when", "phase", "met"),
    [
        (When.SUCCEEDED, "Succeeded", True),
        (When.SUCCEEDED, "Failed", False),
        (When.SUCCEEDED, "Cancelled", False),
        (When.FAILED, "Failed", True),
        (When.FAILED, "Succeeded", False),
        (When.FINISHED, "Failed", True),
        (When.FINISHED, "Cancelled", True),
        (When.FINISHED, "Refused", False),
        (When.STARTED, "Refused", False),
    ],
)
def test_a_dependency_that_ended_is_met_or_never_will_be(when: When, phase: str, met: bool) -> None:
    site = Site()
    site.put("first", phase=phase)
    found = site.wait_for("second", ("first", when))
    if met:
        assert found is None
    else:
        (refusal,) = found
        assert refusal.path == "spec.dependsOn"
        assert "first has" in refusal.message


def test_a_live_dependency_is_waited_for_and_one_that_does_not_exist_yet_too() -> None:
    site = Site()
    site.put("first", phase="Running")
    found = site.wait_for("second", ("first", When.SUCCEEDED), ("third", When.STARTED))
    assert found.reason == "waits for the job first to have succeeded, third, which does not exist"
    assert site.wait_for("fourth", ("first", When.STARTED)).reason.endswith("first to have started")
    site.put("first", phase="Running", startTime="2026-01-01T00:00:00Z")
    assert site.wait_for("fourth", ("first", When.STARTED)) is None


def test_a_dependency_that_started_in_an_earlier_attempt_has_started() -> None:
    site = Site()
    site.put(
        "first", phase="Pending", attempt=2, attempts=[{"attempt": 1, "startTime": "2026-01-01T00:00:00Z"}]
    )
    assert site.wait_for("second", ("first", When.STARTED)) is None


def test_a_cycle_is_refused_and_named_and_then_nobody_in_it_runs() -> None:
    site = Site()
    assert isinstance(site.wait_for("a", ("b", When.SUCCEEDED)), Wait)
    assert isinstance(site.wait_for("b", ("c", When.FINISHED)), Wait)
    (refusal,) = site.wait_for("c", ("a", When.STARTED))
    assert refusal.message == "the jobs wait for each other: c -> a -> b -> c"
    site.put("c", phase="Refused")
    (refusal,) = site.wait_for("b", ("c", When.FINISHED), phase="Pending")
    assert refusal.message == "c has been refused, but should have finished"


def test_a_job_that_waits_for_itself_is_refused() -> None:
    (refusal,) = Site().wait_for("a", ("a", When.SUCCEEDED))
    assert refusal.message.endswith("a -> a")


def test_a_retry_does_not_wait_for_what_its_job_waited_for_before() -> None:
    attempts = [{"attempt": 1, "backend": "slurm"}]
    assert Site().wait_for("a", ("gone", When.SUCCEEDED), phase="Pending", attempts=attempts) is None
    refused = [{"attempt": 1, "phase": "Refused"}]
    assert Site().wait_for("a", ("gone", When.SUCCEEDED), phase="Pending", attempts=refused) is not None


def test_whoever_waits_is_woken_when_the_other_appears_starts_or_ends() -> None:
    site = Site()
    site.wait_for("second", ("first", When.SUCCEEDED))
    changes: list[tuple[dict[str, Any], bool]] = [
        ({"phase": "Pending"}, True),
        ({"phase": "Queued"}, False),
        ({"phase": "Running", "startTime": "x"}, True),
        ({"phase": "Succeeded", "startTime": "x"}, True),
    ]
    for change, woken in changes:
        site.woken.clear()
        site.put("first", **change)
        assert ("second" in site.woken) is woken
    first = site.put("first", phase="Succeeded")
    assert site.overview.awaited(first)
    site.put("second", {"dependsOn": [{"name": "first"}]}, phase="Pending", backend="slurm")
    assert not site.overview.awaited(first)


def test_nobody_elses_job_keeps_one_from_expiring() -> None:
    site = Site()
    site.put("theirs", {"dependsOn": [{"name": "mine"}], "suspend": True}, submitter="bob")
    mine = site.put("mine", phase="Succeeded", submitter="alice")
    assert not site.gates.awaited(mine)
    site.put("next", {"dependsOn": [{"name": "mine"}], "suspend": True}, submitter="alice")
    assert site.gates.awaited(mine)


def test_without_queues_nothing_is_assigned() -> None:
    given = ticket(JobSpec(script=SCRIPT, queue="partition"))
    assert Site().gates.assign(given) == given


def test_an_unknown_queue_is_refused_with_those_there_are() -> None:
    found = Site(short=Queue("short"), long=Queue("long")).enter("a", JobSpec(script=SCRIPT, queue="nope"))
    assert found == [Refusal("spec.queue", "there is no queue nope; there are long, short")]


def test_a_job_that_names_no_queue_gets_the_first_default_and_its_walltime() -> None:
    queues = {name: Queue(name, default=name != "a", default_walltime=60) for name in ("c", "b", "a")}
    found = Site(**queues).gates.assign(ticket(JobSpec(script=SCRIPT)))
    assert isinstance(found, Ticket)
    assert found.queue is not None
    assert (found.queue.name, found.job.walltime) == ("b", 60)
    none = Site(a=Queue("a")).gates.assign(ticket(JobSpec(script=SCRIPT)))
    assert isinstance(none, Ticket)
    assert none.queue is None


@pytest.mark.parametrize(
    ("walltime", "result"), [(None, 3600), (60, 60), (3600, 3600), (3601, "at most 1:00:00 is allowed")]
)
def test_the_longest_walltime_of_a_queue_holds_for_all(walltime: int | None, result: int | str) -> None:
    site = Site(short=Queue("short", max_walltime=3600))
    found = site.gates.assign(ticket(JobSpec(script=SCRIPT, queue="short", walltime=walltime)))
    if isinstance(result, int):
        assert isinstance(found, Ticket)
        assert found.job.walltime == result
    else:
        assert isinstance(found, list)
        assert result in found[0].message


@pytest.mark.parametrize(
    ("queue", "welcome"),
    [
        (Queue("q"), True),
        (Queue("q", users=("alice",)), True),
        (Queue("q", accounts=("physics",)), True),
        (Queue("q", users=("bob",), accounts=("physics",)), True),
        (Queue("q", users=("bob",)), False),
        (Queue("q", accounts=("chemistry",)), False),
    ],
)
def test_who_may_use_a_queue(queue: Queue, welcome: bool) -> None:
    found = Site(q=queue).gates.assign(ticket(JobSpec(script=SCRIPT, queue="q")))
    assert isinstance(found, Ticket) is welcome


IN_SHORT = JobSpec(script=SCRIPT, queue="short")


def test_a_limit_holds_for_jobs_looked_at_in_the_same_moment() -> None:
    site = Site(short=Queue("short", per_user=Limits(jobs=2)))
    assert [site.enter(name, IN_SHORT) for name in ("a", "b")] == [None, None]
    assert site.enter("a", IN_SHORT) is None
    found = site.enter("c", IN_SHORT)
    assert found.reason == "waits until the user alice holds less than the 2 jobs allowed in the queue short"
    assert site.enter("d", IN_SHORT, BOB) is None


def test_those_who_wait_go_in_the_order_they_came() -> None:
    site = Site(short=Queue("short", per_user=Limits(jobs=1)))
    for name in ("a", "b", "c"):
        site.enter(name, IN_SHORT)
    site.run("a")
    site.woken.clear()
    site.put("a", phase="Succeeded", queue="short", backend="slurm", user="alice")
    assert site.woken == ["b"]
    assert site.enter("d", IN_SHORT).reason.startswith("waits behind other jobs of the user alice")
    assert site.enter("b", IN_SHORT) is None
    assert site.woken[-1] == "c"
    assert isinstance(site.enter("c", IN_SHORT), Wait)


def test_a_job_that_is_gone_makes_way_for_the_next() -> None:
    site = Site(short=Queue("short", per_user=Limits(jobs=1)))
    first, second, _ = [(site.enter(name, IN_SHORT), site.put(name))[1] for name in ("a", "b", "c")]
    site.woken.clear()
    site.overview.drop(second)
    assert site.woken == ["c"]
    site.overview.drop(first)
    assert site.enter("c", IN_SHORT) is None


def test_a_retry_gives_its_place_back_and_a_refusal_too() -> None:
    site = Site(short=Queue("short", per_user=Limits(jobs=1)))
    site.enter("a", IN_SHORT)
    site.run("a")
    site.enter("b", IN_SHORT)
    site.woken.clear()
    site.put("a", phase="Pending", attempt=2)
    assert site.woken == ["b"]
    assert site.enter("b", IN_SHORT) is None
    site.enter("a", IN_SHORT)
    site.woken.clear()
    site.put("b", phase="Refused")
    assert site.woken == ["a"]


def test_a_restart_counts_the_live_jobs_anew() -> None:
    site = Site(short=Queue("short", per_account=Limits(jobs=1)))
    site.run("a", "bob")
    found = site.enter("b", IN_SHORT)
    assert "the account physics" in found.reason


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        (Limits(millicores=8000), True),
        (Limits(millicores=7999), False),
        (Limits(gpus=4), True),
        (Limits(gpus=3), False),
    ],
)
def test_what_could_never_enter_an_empty_queue_is_refused(limits: Limits, fits: bool) -> None:
    spec = replace(IN_SHORT, resources=Resources(2000, gpus=1), tasks=2, array=Array(tuple(range(9)), 2))
    found = Site(short=Queue("short", per_user=limits)).enter("a", spec)
    if fits:
        assert found is None
    else:
        assert "asks for more than the" in found[0].message


def test_amounts_are_summed() -> None:
    site = Site(short=Queue("short", per_user=Limits(millicores=4000)))
    spec = replace(IN_SHORT, resources=Resources(2000))
    assert [site.enter(name, spec) for name in ("a", "b")] == [None, None]
    assert "4 CPUs" in site.enter("c", spec).reason


@pytest.mark.parametrize(
    ("targets", "job", "fits"),
    [
        (BACKENDS, {}, False),
        (BACKENDS, {"target": Target.SLURM}, False),
        (BACKENDS, {"target": Target.KUBERNETES}, True),
        (BACKENDS, {"unsupported": {Target.SLURM: (Refusal("spec", "is not supported"),)}}, True),
        ((Target.KUBERNETES,), {}, True),
    ],
)
def test_what_may_go_to_slurm_counts_whole_cores_for_each_task(
    targets: tuple[Target, ...], job: dict[str, Any], fits: bool
) -> None:
    site = Site(short=Queue("short", targets=targets, per_user=Limits(millicores=4000)))
    found = site.enter("a", replace(IN_SHORT, resources=Resources(1), tasks=5, **job))
    assert (found is None) is fits


def test_fractions_of_a_core_count_where_the_job_went() -> None:
    site = Site(short=Queue("short", per_user=Limits(millicores=2000)))
    half = {"resources": {"cpu": "500m"}}
    spec = replace(IN_SHORT, resources=Resources(500))
    assert [site.enter(name, spec) for name in ("a", "b")] == [None, None]
    assert isinstance(site.enter("c", spec), Wait)
    shown = {"phase": "Running", "user": "alice", "queue": "short"}
    site.put("a", half, backend="slurm", **shown)
    assert isinstance(site.enter("c", spec), Wait)
    for name in ("a", "b"):
        site.put(name, half, backend="kubernetes", **shown)
    assert site.enter("c", spec) is None


def test_whoever_is_kept_by_another_gate_is_not_in_the_line() -> None:
    site = Site(short=Queue("short", per_user=Limits(jobs=1)))
    site.enter("a", IN_SHORT)
    site.enter("b", IN_SHORT)
    assert site.enter("b", replace(IN_SHORT, suspend=True)).reason == "is suspended by its user"
    site.woken.clear()
    site.put("a", phase="Refused")
    assert site.woken == []


@pytest.mark.parametrize(
    ("change", "news"),
    [
        ({"generation": 2}, True),
        ({"deletionTimestamp": "x", "finalizers": ["kfoundry.io/router"]}, True),
        ({"deletionTimestamp": "x"}, False),
        ({"annotations": {"kfoundry.io/cancel-requested": "true"}}, True),
        ({"annotations": {"kfoundry.io/retry-requested": "1"}}, False),
        ({"annotations": {"other": "1"}}, False),
        ({"resourceVersion": "9"}, False),
    ],
)
def test_what_a_user_asks_of_a_live_job_is_news(change: dict[str, Any], news: bool) -> None:
    site = Site()
    job = site.put("a", phase="Running", backend="slurm")
    assert site.woken == ["a"]
    site.overview.put(JobResource({**job.raw, "metadata": {**job.metadata, **change}}))
    assert (site.woken == ["a", "a"]) is news


@pytest.mark.parametrize(
    ("annotations", "spec", "news"),
    [
        ({}, {}, False),
        ({"kfoundry.io/retry-requested": "1"}, {}, True),
        ({}, {"ttlAfterFinished": "1h"}, True),
    ],
)
def test_ended_jobs_are_looked_at_only_if_something_is_left_to_do(
    annotations: dict[str, str], spec: dict[str, str], news: bool
) -> None:
    woken: list[Key] = []
    wake: Callable[[Key], None] = woken.append
    metadata = {"namespace": "ns", "name": "a", "uid": "a", "annotations": annotations}
    Overview(USERS, wake).put(
        JobResource({"metadata": metadata, "spec": spec, "status": {"phase": "Failed"}})
    )
    assert bool(woken) is news


def test_a_job_made_anew_under_its_old_name_is_another() -> None:
    site = Site()
    site.put("a", phase="Succeeded", backend="slurm", backendId="7")
    again = JobResource(
        {"metadata": {"namespace": "ns", "name": "a", "uid": "b"}, "spec": {"script": SCRIPT}}
    )
    site.overview.put(again)
    assert list(site.overview) == ["b"]
    assert site.overview["b"].backend is None
    assert site.overview["b"].backend is not Target.SLURM


def test_a_dependency_means_only_a_job_of_the_same_submitter() -> None:
    site = Site()
    site.put("first", phase="Succeeded", submitter="bob")
    found = site.wait_for("mine", ("first", When.SUCCEEDED))
    assert found.reason == "waits for the job first of yours; the one of that name is bob's"
    site.put("first", phase="Failed", submitter="bob")
    assert isinstance(site.wait_for("mine", ("first", When.SUCCEEDED)), Wait)
    site.overview.drop(site.put("first", phase="Failed", submitter="bob"))
    site.put("first", phase="Succeeded")
    assert site.wait_for("mine", ("first", When.SUCCEEDED)) is None


def test_a_cycle_through_anothers_job_is_none() -> None:
    site = Site()
    site.put("theirs", {"dependsOn": [{"name": "mine"}]}, submitter="bob")
    assert isinstance(site.wait_for("mine", ("theirs", When.SUCCEEDED)), Wait)


def test_pods_of_a_user_on_kubernetes_are_limited_and_arrays_start_a_part_of_their_elements() -> None:
    site = Site(Queue("", per_user=Limits(pods=15)))
    array = JobSpec(script=SCRIPT, array=Array(tuple(range(1500))))
    assert site.there("a", array) is None
    found = site.there("b", array)
    assert found.reason == "waits until the user alice holds less than the 15 pods allowed on Kubernetes"
    assert site.there("c", replace(array, array=Array(tuple(range(9)), 5)), BOB) is None
    slurms = site.gates.closed_there(site.put("d"), ticket(array), Target.SLURM)
    assert slurms is None
    together = site.there("e", JobSpec(script=SCRIPT, tasks=16))
    assert together[0].message == "asks for more than the 15 pods that Kubernetes allows each user"


def test_a_place_on_kubernetes_is_free_again_after_the_end_and_counted_anew_after_a_restart() -> None:
    site = Site(Queue("", per_user=Limits(pods=1)))
    status = {"backend": "kubernetes", "phase": "Running", "user": "alice"}
    site.put("a", **status)
    assert isinstance(site.there("b", JobSpec(script=SCRIPT)), Wait)
    site.woken.clear()
    site.put("a", **{**status, "phase": "Succeeded"})
    assert site.woken == ["b"]
    assert site.there("b", JobSpec(script=SCRIPT)) is None


def test_whoever_has_used_less_goes_first() -> None:
    site = Site(Queue("", per_account=Limits(pods=1)))
    one = JobSpec(script=SCRIPT)
    running = {"backend": "kubernetes", "user": "alice", "phase": "Running"}
    site.put("a", **running)
    used = {"usage": {"cpuSeconds": 5000}, "completionTime": "2099-01-01T00:00:00Z"}
    for name in ("b", "c"):
        assert isinstance(site.there(name, one), Wait)
    assert isinstance(site.there("z", one, BOB), Wait)
    waiting = site.put("z", submitter="bob")
    assert site.gates.line(waiting).ahead == {"alice": 2}
    site.woken.clear()
    site.put("a", **{**running, "phase": "Succeeded", **used})
    assert "z" in site.woken
    assert site.there("b", one).reason == "waits behind other jobs of the account physics on Kubernetes"
    assert site.gates.line(waiting).ahead == {}
    assert site.gates.line(site.put("c")).ahead == {"bob": 1, "alice": 1}
    assert site.there("z", one, BOB) is None
    assert site.gates.line(site.put("c")).fair_share == 0.5
