"""What is said of services in the cluster that are not available."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from platformctl.clients.kubernetes import UnavailableError
from platformctl.engine.cluster import workloads


def _namespace(item: dict[str, Any]) -> str:
    return str(item["metadata"]["namespace"])


class Cluster:
    """A client that answers with these objects by the last part of a path."""

    def __init__(self, **items: list[dict[str, Any]]) -> None:
        self.items = items
        self.away = False

    async def list_pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        if self.away:
            raise UnavailableError(503, "", "away")
        kind = path.rpartition("/")[2]
        items = self.items.get(kind, [])
        here = [item for item in items if kind == "apiservices" or f"/{_namespace(item)}/" in path]
        for number in range(0, len(here) + 1, 2):  # in pages, as the API serves them
            yield {"items": here[number : number + 2]}


def deployment(ready: int, wanted: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": "job-logs", "namespace": "platform-logs", "generation": 2},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "logs"}}},
        "status": {"availableReplicas": ready, "observedGeneration": 2},
    }


def pod(status: dict[str, Any], **metadata: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "job-logs-1", "namespace": "platform-logs", **metadata},
        "spec": {"nodeName": "node1"},
        "status": status,
    }


def api(status: str, **more: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "v1alpha1.logs.kfoundry.io"},
        "spec": {"service": {"namespace": "platform-logs", "name": "job-logs"}},
        "status": {"conditions": [{"type": "Available", "status": status, **more}]},
    }


def said(**items: list[dict[str, Any]]) -> list[str]:
    return asyncio.run(workloads.unavailable(Cluster(**items)))


def test_of_services_that_work_nothing_is_said() -> None:
    assert said(deployments=[deployment(1)], apiservices=[api("True")]) == []


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no route"}}}
                ]
            },
            "job-logs-1 on node1: ImagePullBackOff: no route",
        ),
        (
            {
                "containerStatuses": [
                    {"name": "logs", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
                ]
            },
            "job-logs-1 on node1: logs ended with 1 (Error)",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]},
            "job-logs-1 on node1: not scheduled: no node fits",
        ),
        ({"phase": "Running"}, "job-logs-1 on node1: Running, not ready"),
    ],
)
def test_a_deployment_is_named_with_the_reason_of_its_pods(status: dict[str, Any], why: str) -> None:
    (line,) = said(deployments=[deployment(0)], pods=[pod(status)])
    assert line == f"Deployment platform-logs/job-logs: 0 of 1 pods ready ({why})"


def test_pods_that_are_missing_or_leave_are_said() -> None:
    assert "(no pod is there)" in said(deployments=[deployment(0)])[0]
    assert "Terminating" in said(deployments=[deployment(0)], pods=[pod({}, deletionTimestamp="now")])[0]


def test_a_change_that_the_controller_has_not_seen_is_not_available() -> None:
    late = deployment(1)
    late["status"]["observedGeneration"] = 1
    assert said(deployments=[late])


def test_an_api_behind_the_api_server_is_named_with_its_service() -> None:
    (line,) = said(apiservices=[api("False", message="no endpoints available")])
    assert line == (
        "the API v1alpha1.logs.kfoundry.io (service platform-logs/job-logs) does not answer: "
        "no endpoints available"
    )
    foreign = api("False")
    foreign["spec"]["service"]["namespace"] = "somebody"
    assert said(apiservices=[foreign]) == []


async def test_it_is_said_while_something_waits_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "_SAY_SECONDS", 0.01)
    told: list[str] = []
    cluster = Cluster(deployments=[deployment(0)])
    async with workloads.told(cluster, told.append):
        await asyncio.sleep(0.1)
        cluster.away = True
        await asyncio.sleep(0.05)
    assert len(told) == 1
    assert "job-logs" in told[0]
