from typing import Any

from platformctl.router.copies import Copies
from platformctl.router.resource import JobResource

KEY = ("ns", "a")


def job(version: int, phase: str = "Queued", **spec: Any) -> JobResource:
    metadata = {"namespace": "ns", "name": "a", "resourceVersion": str(version), "managedFields": [{}]}
    return JobResource({"metadata": metadata, "spec": spec, "status": {"phase": phase}})


def test_the_newest_copy_counts_and_says_what_a_look_needs() -> None:
    copies = Copies()
    copies.put(KEY, job(9))
    copies.put(KEY, job(10, script="new"))
    copies.put(KEY, job(9, script="old"))
    found = copies.get(KEY)
    assert found is not None
    assert (found.spec, found.phase, found.name) == ({"script": "new"}, "Queued", "a")
    assert "managedFields" not in found.metadata


def test_what_has_ended_or_is_gone_is_not_kept() -> None:
    copies = Copies()
    copies.put(KEY, job(1))
    copies.put(KEY, job(2, "Succeeded"))
    assert copies.get(KEY) is None
    copies.put(KEY, job(3))
    copies.drop(KEY)
    assert copies.get(KEY) is None


def test_large_jobs_and_too_many_are_read_when_they_are_needed() -> None:
    copies = Copies(each=1000, together=1500)
    copies.put(KEY, job(1, script="x" * 2000))
    assert copies.get(KEY) is None
    for name in ("a", "b"):
        copies.put(("ns", name), job(1, script="x" * 800))
    assert [copies.get(("ns", name)) is not None for name in ("a", "b")] == [True, False]
    copies.drop(KEY)
    copies.put(("ns", "b"), job(2, script="x" * 800))
    assert copies.get(("ns", "b")) is not None
