"""Whom a change of a batch Job or a pod concerns."""

from typing import Any

from platformctl.jobs.model import Target
from platformctl.router.job.overview import Brief
from platformctl.router.kubernetes import watches
from platformctl.router.loop.queue import Key
from platformctl.vocabulary import Phase
from tests.unit.router.played import Played, play


def batch(name: str, owner: str = "job", suspend: bool = False, **status: Any) -> dict[str, Any]:
    owners = [{"name": owner, "controller": True}] if owner else []
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": name,
        "resourceVersion": "5",
        "ownerReferences": owners,
    }
    return {"metadata": metadata, "spec": {"suspend": suspend}, "status": status}


def pod(name: str, uid: str, phase: str = "Pending", why: str = "") -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "False", "message": why}] if why else []
    labels = {"kfoundry.io/job-uid": uid}
    metadata = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": "5", "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": conditions}}


def brief(uid: str, backend_id: str, phase: Phase = Phase.QUEUED) -> Brief:
    return Brief(
        uid=uid, key=("ns", f"job-{uid}"), submitter="", foreign=False, phase=phase, attempt=1,
        backend=Target.KUBERNETES, backend_id=backend_id, copy="", started=False, depends_on=(),
        holding=None, pods=None, used=0, wishes=(1, False, False, False),
    )  # fmt: skip


class Heard:
    def __init__(self) -> None:
        self.calls: list[tuple[Key, bool]] = []

    def __call__(self, key: Key, seconds: float) -> None:
        self.calls.append((key, seconds > 0))


async def test_a_batch_job_concerns_its_owner_and_counts_can_wait() -> None:
    ended: dict[str, Any] = {"conditions": [{"type": "Complete", "status": "True"}]}
    source = Played(
        [batch("a", suspend=True), batch("stray", owner="")],
        ("MODIFIED", batch("a")),
        ("MODIFIED", batch("a", active=1)),
        ("MODIFIED", batch("a", active=1)),
        ("MODIFIED", batch("a", **ended)),
        ("DELETED", batch("a", **ended)),
    )
    heard = Heard()
    await play(source, watches.of_batch_jobs(source, heard))
    key = ("ns", "job")
    assert heard.calls == [(key, False), (key, False), (key, True), (key, False), (key, False)]


async def test_a_pod_concerns_its_job_when_what_it_tells_changes() -> None:
    source = Played(
        [pod("p", "u1", why="no room"), pod("x", "unknown")],
        ("MODIFIED", pod("p", "u1", why="no room")),
        ("MODIFIED", pod("p", "u1", why="less room")),
        ("MODIFIED", pod("p", "u1", "Running")),
        ("DELETED", pod("p", "u1", "Succeeded")),
    )
    heard = Heard()
    await play(source, watches.of_pods(source, heard, {"u1": brief("u1", "ns/a")}))
    assert heard.calls == [(("ns", "job-u1"), True)] * 4


async def test_which_jobs_differ_from_what_kubernetes_holds() -> None:
    ended: dict[str, Any] = {"conditions": [{"type": "Failed", "status": "True"}]}
    batches = Played([batch("waits"), batch("began"), batch("runs"), batch("ended", **ended)])
    pods = Played([pod("p1", "began", "Running"), pod("p2", "runs", "Running"), pod("p3", "waits")])
    heard = Heard()
    of_batches = watches.of_batch_jobs(batches, heard)
    of_pods = watches.of_pods(pods, heard, {})
    await play(batches, of_batches)
    await play(pods, of_pods)
    briefs = [
        brief("waits", "ns/waits"),
        brief("began", "ns/began"),
        brief("runs", "ns/runs", Phase.RUNNING),
        brief("ended", "ns/ended", Phase.RUNNING),
        brief("gone", "ns/gone", Phase.RUNNING),
    ]
    found = watches.differing(of_batches, of_pods)(briefs)
    assert [name for _, name in found] == ["job-began", "job-ended", "job-gone"]
