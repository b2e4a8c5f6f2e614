"""Watches the batch Jobs and pods of the router's Jobs, and queues the Jobs that a change affects."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.router.assembly import Concerns, Differing
from platformctl.router.job.overview import Brief
from platformctl.router.loop.informer import Informer
from platformctl.router.loop.queue import Key
from platformctl.vocabulary import JOB_UID_LABEL, Phase

BATCH_JOBS = "/apis/batch/v1/jobs"
PODS = "/api/v1/pods"

type Pod = tuple[str, str | None, str | None, int]
"""uid of the Job, phase, node, and a hash of why it waits."""

# Counts and pods change in bursts: one reconcile is enough for all changes within this many seconds.
_GATHER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """What is cached of a batch Job. job: the Job that it belongs to."""

    job: Key | None
    suspended: bool
    ended: bool
    counts: tuple[int | None, ...]


_NOBODYS = Batch(None, False, False, ())


def of_batch_jobs(client: KubernetesClient, concerns: Concerns) -> Informer[Batch]:
    """Queues the Job whose batch Job changed."""

    def changed(_key: Key, before: Batch | None, after: Batch | None, _raw: dict[str, Any]) -> None:
        owner = (after or before or _NOBODYS).job
        if owner is None:
            return
        counted = before and after and (before.suspended, before.ended) == (after.suspended, after.ended)
        concerns(owner, _GATHER_SECONDS if counted else 0.0)

    return Informer(client, BATCH_JOBS, _batch, changed, labelSelector=JOB_UID_LABEL)


def of_pods(client: KubernetesClient, concerns: Concerns, overview: Mapping[str, Brief]) -> Informer[Pod]:
    """Queues the Job whose pods changed: only pods tell why one waits and where it runs.

    Ended pods are dropped here; their batch Job reports the end.
    """

    def changed(_key: Key, before: Pod | None, after: Pod | None, _raw: dict[str, Any]) -> None:
        uid = (after or before or ("",))[0]
        if uid in overview:
            concerns(overview[uid].key, _GATHER_SECONDS)

    live = "status.phase!=Succeeded,status.phase!=Failed"
    return Informer(client, PODS, _pod, changed, labelSelector=JOB_UID_LABEL, fieldSelector=live)


def differing(batches: Informer[Batch], pods: Informer[Pod]) -> Differing:
    """Finds Jobs whose batch Job ended, disappeared or began to run since the status was written."""

    def keys(briefs: Iterable[Brief]) -> Iterator[Key]:
        running = {pod[0] for pod in pods.items.values() if pod[1] == "Running"}
        for brief in briefs:
            namespace, _, name = brief.backend_id.partition("/")
            batch = batches.items.get((namespace, name))
            if batch is None or batch.ended or (brief.phase is not Phase.RUNNING and brief.uid in running):
                yield brief.key

    return keys


def _batch(item: dict[str, Any]) -> Batch:
    metadata, status = item["metadata"], item.get("status") or {}
    owners = metadata.get("ownerReferences") or []
    owner = next((owner["name"] for owner in owners if owner.get("controller")), None)
    true = [
        condition["type"] for condition in status.get("conditions") or [] if condition["status"] == "True"
    ]
    return Batch(
        job=(metadata["namespace"], owner) if owner else None,
        suspended=bool(item["spec"].get("suspend")),
        ended="Complete" in true or "Failed" in true,
        counts=tuple(status.get(name) for name in ("active", "ready", "succeeded", "failed")),
    )


def _pod(item: dict[str, Any]) -> Pod:
    status = item.get("status") or {}
    waits = [
        (condition.get("reason"), condition.get("message"))
        for condition in status.get("conditions") or []
        if condition["type"] == "PodScheduled" and condition["status"] != "True"
    ]
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            waits.append((waiting.get("reason"), waiting.get("message")))
    uid = item["metadata"]["labels"][JOB_UID_LABEL]
    return uid, status.get("phase"), item["spec"].get("nodeName"), hash(tuple(waits))
