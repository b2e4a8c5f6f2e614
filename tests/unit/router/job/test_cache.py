from typing import Any

from platformctl.router.job.cache import JobCache
from platformctl.router.job.resource import JobResource

KEY = ("ns", "a")


def job(version: int, phase: str = "Queued", **spec: Any) -> JobResource:
    metadata = {"namespace": "ns", "name": "a", "resourceVersion": str(version), "managedFields": [{}]}
    return JobResource({"metadata": metadata, "spec": spec, "status": {"phase": phase}})


def test_the_newest_copy_counts_and_says_what_a_look_needs() -> None:
    copies = JobCache()
    copies.put(KEY, job(9))
    copies.put(KEY, job(10, script="new"))
    copies.put(KEY, job(9, script="old"))
    found = copies.get(KEY)
    assert found is not None
    assert (found.spec, found.phase, found.name) == ({"script": "new"}, "Queued", "a")
    assert "managedFields" not in found.metadata


def test_what_has_ended_or_is_gone_is_not_kept() -> None:
    copies = JobCache()
    copies.put(KEY, job(1))
    copies.put(KEY, job(2, "Succeeded"))
    assert copies.get(KEY) is None
    copies.put(KEY, job(3))
    copies.drop(KEY)
    assert copies.get(KEY) is None


def test_large_jobs_and_too_many_are_read_when_they_are_needed() -> None:
    copies = JobCache(each=1000, together=1500)
    copies.put(KEY, job(1, script="x" * 2000))
    assert copies.get(KEY) is None
    for name in ("a", "b"):
        copies.put(("ns", name), job(1, script="x" * 800))
    assert [copies.get(("ns", name)) is not None for name in ("a", "b")] == [True, False]
    copies.drop(KEY)
    copies.put(("ns", "b"), job(2, script="x" * 800))
    assert copies.get(("ns", "b")) is not None


def test_no_more_is_kept_than_there_is_room_for() -> None:
    one = job(1, script="x" * 800)
    least = next(size for size in range(800, 1600) if kept(JobCache(each=size), [one]))
    assert kept(JobCache(each=least, together=3 * least), [one] * 4) == 3
    assert kept(JobCache(each=least, together=3 * least - 1), [one] * 4) == 2


def kept(copies: JobCache, jobs: list[JobResource]) -> int:
    """How many are there after all were put, under names of their own; one that is not there is dropped."""
    for number, one in enumerate(jobs):
        copies.put(("ns", str(number)), one)
        copies.drop(("ns", "another"))
    return sum(copies.get(("ns", str(number))) is not None for number in range(len(jobs)))


def test_large_jobs_are_known_until_they_are_gone() -> None:
    copies = JobCache()
    copies.put(KEY, job(1, script="x" * 70_000))
    assert copies.large(KEY)
    copies.drop(KEY)
    assert copies.large(KEY)
    copies.put(KEY, job(2, "Succeeded", script="x" * 70_000))
    assert copies.large(KEY)
    copies.forget(KEY)
    assert not copies.large(KEY)
    copies.put(KEY, job(3))
    assert not copies.large(KEY)
