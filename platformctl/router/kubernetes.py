"""The Kubernetes back end: batch/v1 Jobs in the namespace of the Job resource. Ids are `namespace/name`.

An attempt has one possible name, so a second submission of it meets the first. The batch Job is
suspended until released; a script's ConfigMap is made in between and goes with it.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    KubernetesClient,
    NotFoundError,
    UnavailableError,
)
from platformctl.jobs import kubernetes as translation
from platformctl.jobs.model import Target
from platformctl.jobs.quantity import parse_quantity
from platformctl.jobs.template import GPU
from platformctl.jobs.tokens import Token, parse_token
from platformctl.router.backend import FINAL, Claim, Phase, Refused, Seen, Ticket, Unavailable

_NODES_SECONDS = 30.0
_ENDINGS = {
    "DeadlineExceeded": "ran longer than its wall time",
    "Evicted": "was evicted from its node",
    "OOMKilled": "used more memory than it asked for",
}


class KubernetesBackend:
    """See platformctl.router.backend for the protocol."""

    target: Target = Target.KUBERNETES
    # The batch Jobs are watched; this catches what a lost event hid, and reasons that only pods tell.
    interval: float = 60.0
    look_again: float | None = 15.0
    durable: bool = True

    def __init__(self, client: KubernetesClient, site: str, script_image: str) -> None:
        self._client = client
        self._site = site
        self._script_image = script_image
        self._nodes_at = float("-inf")
        self._nodes: list[dict[str, Fraction]] = []

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with what each schedulable node could give if it were empty."""
        resources = ticket.job.container.resources if ticket.job.container else None
        wanted = {
            "cpu": Fraction(resources.millicores if resources else 0, 1000),
            "memory": Fraction(resources.memory if resources else 0),
            GPU: Fraction(resources.gpus if resources else 0),
        }
        nodes = await self._schedulable()
        if not nodes:
            return "no Kubernetes node takes jobs"
        lacking = [
            name for name, amount in wanted.items() if amount > max(node.get(name, 0) for node in nodes)
        ]
        if lacking:
            return f"no Kubernetes node has enough {' and '.join(lacking)}"
        if not any(all(amount <= node.get(name, 0) for name, amount in wanted.items()) for node in nodes):
            return "no Kubernetes node has all it asks for together"
        return ""

    async def submit_held(self, ticket: Ticket) -> str:
        """Create the suspended batch Job, or find that this attempt has made it before."""
        claim = ticket.claim
        body = translation.batch_job(ticket.job, ticket.user, claim.name, claim.token, self._script_image)
        try:
            await self._client.create(_path(claim.namespace), body)
        except AlreadyExistsError:
            if not await self.find(claim):
                raise Refused(f"the name {body['metadata']['name']} is taken by another batch Job") from None
        except UnavailableError as error:
            raise Unavailable(_words(error)) from error
        except ApiError as error:
            raise Refused(f"Kubernetes: {error.message}") from error
        return f"{claim.namespace}/{body['metadata']['name']}"

    async def find(self, claim: Claim) -> list[str]:
        """The one batch Job that the attempt can have."""
        job_id = f"{claim.namespace}/{translation.batch_name(claim.name, claim.token)}"
        return [job_id] if await self._get(claim, job_id) else []

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """From the batch Job and, where it matters, its pods."""
        batch = await self._get(claim, job_id)
        if batch is None:
            return None
        pods = [] if batch["spec"].get("suspend") else await self._pods(job_id)
        return seen(batch, pods)

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """Make the script's ConfigMap if there is one, then lift the suspension."""
        batch = await self._get(ticket.claim, job_id)
        if batch is None:
            raise Unavailable("the batch Job is gone")
        try:
            if ticket.job.script is not None:
                await self._script(ticket, batch)
            version = {"metadata": {"resourceVersion": batch["metadata"]["resourceVersion"]}}
            await self._client.merge(_path(*job_id.split("/")), {**version, "spec": {"suspend": False}})
        except ApiError as error:
            raise Unavailable(_words(error)) from error

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """Delete the batch Job; its pods are ended with it."""
        batch = await self._get(claim, job_id)
        if batch is None:
            return
        try:
            await self._client.delete(_path(*job_id.split("/")), uid=batch["metadata"]["uid"])
        except ApiError as error:
            raise Unavailable(_words(error)) from error

    async def states(self) -> Mapping[str, str]:
        """The resourceVersion of every batch Job of the router."""
        return {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for item in await self._all()
        }

    async def claimed(self) -> list[tuple[Claim, str]]:
        """Unfinished batch Jobs of this site's routers."""
        found = []
        for item in await self._all():
            token = _token(item)
            if token is None or token.site != self._site or seen(item, []).phase in FINAL:
                continue
            namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
            owners = item["metadata"].get("ownerReferences") or [{"name": ""}]
            found.append((Claim(token, namespace, owners[0]["name"], ""), f"{namespace}/{name}"))
        return found

    async def _script(self, ticket: Ticket, batch: dict[str, Any]) -> None:
        claim, script = ticket.claim, ticket.job.script or ""
        name, uid = batch["metadata"]["name"], batch["metadata"]["uid"]
        body = translation.script_config_map(script, name, uid, claim.token)
        path = f"/api/v1/namespaces/{claim.namespace}/configmaps"
        try:
            await self._client.create(path, body)
        except AlreadyExistsError:
            there = await self._client.get(f"{path}/{name}")
            if there.get("data") != body["data"] or not there.get("immutable"):
                raise Refused(f"the ConfigMap {name} holds something else than the script") from None

    async def _get(self, claim: Claim, job_id: str) -> dict[str, Any] | None:
        try:
            batch = await self._client.get(_path(*job_id.split("/")))
        except NotFoundError:
            return None
        except ApiError as error:
            raise Unavailable(_words(error)) from error
        return batch if _token(batch) == claim.token else None

    async def _all(self) -> list[dict[str, Any]]:
        try:
            listed = await self._client.get("/apis/batch/v1/jobs", labelSelector=translation.JOB_UID_LABEL)
        except ApiError as error:
            raise Unavailable(_words(error)) from error
        return list(listed["items"])

    async def _pods(self, job_id: str) -> list[dict[str, Any]]:
        namespace, name = job_id.split("/")
        try:
            listed = await self._client.get(
                f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"batch.kubernetes.io/job-name={name}"
            )
        except ApiError as error:
            raise Unavailable(_words(error)) from error
        return list(listed["items"])

    async def _schedulable(self) -> list[dict[str, Fraction]]:
        if time.monotonic() - self._nodes_at > _NODES_SECONDS:
            try:
                listed = await self._client.get("/api/v1/nodes", resourceVersion="0")
            except ApiError as error:
                raise Unavailable(_words(error)) from error
            self._nodes = [_allocatable(node) for node in listed["items"] if _takes_jobs(node)]
            self._nodes_at = time.monotonic()
        return self._nodes


def seen(batch: dict[str, Any], pods: list[dict[str, Any]]) -> Seen:
    """A batch Job and its pods in the router's words."""
    status = batch.get("status") or {}
    true = {item["type"]: item for item in status.get("conditions") or [] if item["status"] == "True"}
    started = [pod["status"]["startTime"] for pod in pods if pod.get("status", {}).get("startTime")]
    common: dict[str, Any] = {
        "held": bool(batch["spec"].get("suspend")),
        "started": _epoch(min(started)) if started else _epoch(status.get("startTime")),
        "nodes": ",".join(sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})),
        "output": f"kubectl logs -n {batch['metadata']['namespace']} job/{batch['metadata']['name']}",
    }
    if "Complete" in true:
        ended = _epoch(true["Complete"]["lastTransitionTime"])
        return Seen(phase=Phase.SUCCEEDED, exit_code=0, ended=ended, **common)
    if "Failed" in true:
        ended = _epoch(true["Failed"]["lastTransitionTime"])
        code, reason = _failure(pods)
        overran = reason == _ENDINGS["DeadlineExceeded"]
        return Seen(phase=Phase.FAILED, exit_code=code, ended=ended, reason=reason, overran=overran, **common)
    phases = {pod.get("status", {}).get("phase") for pod in pods}
    if phases & {"Running", "Succeeded", "Failed"}:
        return Seen(phase=Phase.RUNNING, **common)
    common["started"] = None
    return Seen(phase=Phase.QUEUED, reason=_waits(pods), **common)


def _failure(pods: list[dict[str, Any]]) -> tuple[int | None, str]:
    """Exit code and reason of the first pod that failed."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") != "Failed":
            continue
        ends = [
            item.get("state", {}).get("terminated") or {} for item in status.get("containerStatuses") or []
        ]
        code = next((end["exitCode"] for end in ends if end.get("exitCode")), None)
        why = status.get("reason") or next((end["reason"] for end in ends if end.get("reason")), "")
        return code, _ENDINGS.get(why, "ended with an error" if why in ("", "Error") else why)
    return None, "ended with an error"


def _waits(pods: list[dict[str, Any]]) -> str:
    """Why pods do not run: what the scheduler says, or what keeps a container from starting."""
    for pod in pods:
        status = pod.get("status", {})
        for item in status.get("conditions") or []:
            if item["type"] == "PodScheduled" and item["status"] == "False":
                return f"waits for a node: {item.get('message', '')}".strip()
        for item in status.get("containerStatuses") or []:
            waiting = item.get("state", {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                return f"{waiting['reason']}: {waiting.get('message', '')}".strip()
    return ""


def _takes_jobs(node: dict[str, Any]) -> bool:
    spec = node.get("spec") or {}
    closed = any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or [])
    return not spec.get("unschedulable") and not closed


def _allocatable(node: dict[str, Any]) -> dict[str, Fraction]:
    allocatable = node.get("status", {}).get("allocatable") or {}
    return {
        name: parse_quantity(amount) for name, amount in allocatable.items() if name in ("cpu", "memory", GPU)
    }


def _token(item: dict[str, Any]) -> Token | None:
    return parse_token((item["metadata"].get("annotations") or {}).get(translation.TOKEN_ANNOTATION))


def _path(namespace: str, name: str = "") -> str:
    base = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    return f"{base}/{name}" if name else base


def _epoch(text: str | None) -> int | None:
    return int(datetime.fromisoformat(text).timestamp()) if text else None


def _words(error: ApiError) -> str:
    return (
        f"Kubernetes does not answer: {error.message}"
        if error.code in (0, 429) or error.code >= 500
        else (f"Kubernetes refuses: {error.message}")
    )
