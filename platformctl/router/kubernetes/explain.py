"""Why a job on Kubernetes waits: its pods, the scheduler, the quota, and the node that fits best."""

from collections.abc import Iterable
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.router import fit
from platformctl.router.backend import Explanation, Ticket
from platformctl.router.kubernetes.nodes import Nodes, wanted
from platformctl.router.kubernetes.states import has_tasks, held, seen
from platformctl.router.kubernetes.words import refusal_words, waiting_words
from platformctl.vocabulary import Phase

_MAX_EVENTS = 5


async def explanation(
    client: KubernetesClient, nodes: Nodes, ticket: Ticket, batch: dict[str, Any], pods: list[dict[str, Any]]
) -> Explanation:
    """Sentences, most important first. Kubernetes does not estimate the start."""
    observed = seen(batch, pods)
    if observed.phase not in (Phase.QUEUED, Phase.RUNNING) or (
        observed.phase is Phase.RUNNING and not observed.reason
    ):
        return Explanation((f"{observed.phase} on Kubernetes.",))
    if held(batch):
        return Explanation(("Kubernetes holds it: it was not released yet.",))
    sentences = [f"Kubernetes: {observed.reason}."] if observed.reason else []
    sentences += [f"{words[0].upper()}{words[1:]}." for words in await _refused_pods(client, batch)]
    sentences += [f"A task waits: {words}." for words in _containers(pods) if words not in observed.reason]
    if not any(pod["spec"].get("nodeName") for pod in pods):
        sentences += await _room(nodes, ticket)
    if has_tasks(batch) and observed.phase is Phase.RUNNING and observed.tasks:
        sentences.append(f"{observed.tasks.running} of its tasks run, {observed.tasks.waiting} wait.")
    return Explanation(tuple(sentences or ["Kubernetes is about to start its pods."]))


async def _refused_pods(client: KubernetesClient, batch: dict[str, Any]) -> list[str]:
    """Why the API server rejects the pods of a batch Job, newest first."""
    return await refusals(client, batch["metadata"]["namespace"], batch["metadata"]["uid"])


async def refusals(client: KubernetesClient, namespace: str, uid: str) -> list[str]:
    """What events say about pods that could not be created; empty if the router may not read events."""
    try:
        listed = await client.get(
            f"/api/v1/namespaces/{namespace}/events",
            fieldSelector=f"involvedObject.uid={uid},reason=FailedCreate",
        )
    except ApiError:
        return []
    events = sorted(listed["items"], key=lambda event: str(event.get("lastTimestamp") or ""), reverse=True)
    return list(dict.fromkeys(refusal_words(str(event.get("message") or "")) for event in events))[
        :_MAX_EVENTS
    ]


def _containers(pods: Iterable[dict[str, Any]]) -> list[str]:
    reasons = [
        waiting_words(item.get("state", {}).get("waiting") or {}, str(item.get("image") or ""))
        for pod in pods
        for item in pod.get("status", {}).get("containerStatuses") or []
    ]
    return list(dict.fromkeys(words for words in reasons if words))[:_MAX_EVENTS]


async def _room(nodes: Nodes, ticket: Ticket) -> list[str]:
    """What no node has at all, or which node lacks the least at the moment."""
    never = await nodes.unfit(ticket)
    if never:
        return [f"It cannot start: {never}."]
    request = wanted(ticket.job)
    free = await nodes.free(ticket)
    if not request or not free:
        return []
    name = max(free, key=lambda node: (fit.shares(request, free[node]), node))
    lacking = fit.lack(request, [free[name]], most="free:", none="none is free")
    return [f"The node {name} comes nearest; it has no room for {lacking}."] if lacking else []
