"""Watches the Jobs and Queues of the cluster."""

from collections.abc import Callable
from typing import Any

import structlog

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.jobs.model import Queue
from platformctl.jobs.queues import parse_queue
from platformctl.router.controller import Controller
from platformctl.router.job.resource import JobResource
from platformctl.router.loop.informer import Informer
from platformctl.router.loop.queue import Key
from platformctl.vocabulary import JOBS, QUEUES

log = structlog.get_logger(__name__)

type Version = tuple[str, str]
"""uid and resourceVersion: they identify an object and one version of it."""


def of_jobs(client: KubernetesClient, controller: Controller) -> Informer[Version]:
    """Passes changes of Jobs to the controller."""

    def changed(key: Key, before: Version | None, after: Version | None, raw: dict[str, Any]) -> None:
        if before is not None and (after is None or before[0] != after[0]):
            # Deleted, or deleted and created again while the watch was down.
            gone = {"namespace": key[0], "name": key[1], "uid": before[0]}
            controller.job_gone(JobResource({"metadata": gone}))
        if after is not None:
            controller.job_changed(JobResource(raw))

    return Informer(client, JOBS, _version, changed)


def of_queues(
    client: KubernetesClient, queues: dict[str, Queue], changed: Callable[[], None]
) -> Informer[Version]:
    """Keeps `queues` as in the cluster; without the Queue definition there are none."""

    def on_change(key: Key, _before: Version | None, after: Version | None, raw: dict[str, Any]) -> None:
        queues.pop(key[1], None)
        queue = parse_queue(key[1], raw.get("spec")) if after is not None else None
        if isinstance(queue, Queue):
            queues[key[1]] = queue
        elif queue:
            log.error("a Queue is ignored", queue=key[1], why=[str(refusal) for refusal in queue])
        changed()

    return Informer(client, QUEUES, _version, on_change)


def _version(item: dict[str, Any]) -> Version:
    metadata = item["metadata"]
    return metadata["uid"], metadata["resourceVersion"]
