"""What the router changes of a Job, and what of it is others'."""

from typing import Any

import pytest

from platformctl.clients.kubernetes import ConflictError
from platformctl.router.job.resource import JobResource, JobStore
from platformctl.vocabulary import FINALIZER, job_path
from tests.fakes.jobs_api import JobsApi

THEIRS = "example.org/theirs"


def store(api: Any, told: list[JobResource] | None = None) -> JobStore:
    return JobStore(api, (told if told is not None else []).append)


def test_paths_of_the_api() -> None:
    assert job_path("team") == "/apis/kfoundry.io/v1alpha1/namespaces/team/jobs"
    assert job_path("team", "pi") == "/apis/kfoundry.io/v1alpha1/namespaces/team/jobs/pi"


async def test_finalizers_of_others_stay() -> None:
    api = JobsApi()
    guarded = await store(api).guard(api.create("a", {}, finalizers=[THEIRS]))
    assert guarded.metadata["finalizers"] == [THEIRS, FINALIZER]
    assert (await store(api).let_go(guarded)).metadata["finalizers"] == [THEIRS]


async def test_a_decision_on_an_old_copy_is_refused() -> None:
    api = JobsApi()
    old = api.create("a", {})
    await store(api).write_status(old, {"phase": "Pending"})
    with pytest.raises(ConflictError):
        await store(api).write_status(old, {"backendId": "7"})
    with pytest.raises(ConflictError):
        await store(api).guard(old)
    assert api.job("a").status == {"phase": "Pending"}
    assert not api.job("a").guarded


async def test_a_later_job_of_the_same_name_is_not_deleted() -> None:
    api = JobsApi()
    old = api.create("a", {})
    api.create("a", {})
    with pytest.raises(ConflictError):
        await store(api).delete(old)
    assert not api.job("a").deleting


async def test_each_write_is_told_as_it_left_the_job() -> None:
    api = JobsApi()
    told: list[JobResource] = []
    guarded = await store(api, told).guard(api.create("a", {}))
    written = await store(api, told).write_status(guarded, {"phase": "Pending"})
    assert told == [guarded, written]
    assert told[1] == api.job("a")


def test_a_job_that_admission_has_not_stamped_is_nobodys() -> None:
    assert JobResource({"metadata": {}}).submitter == ""
    assert JobResource({"metadata": {"annotations": {"kfoundry.io/submitter": "alice"}}}).submitter == "alice"
