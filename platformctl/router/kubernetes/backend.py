"""The Kubernetes back end: batch/v1 Jobs in the namespace of the Job resource. Ids are `namespace/name`.

The name of an attempt's batch Job is fixed, so a second submission finds the first. The batch Job is
suspended until the release. A script's ConfigMap is created before the release, and deleted with the batch
Job. A plain job needs two requests to start, because the answer to the create is also its read-back. Watches
report changes; the list of all batch Jobs here only finds changes whose event was lost.

All tasks of a job start together, or none: it is released once its nodes have room for all of them.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
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
from platformctl.jobs.tokens import Token, parse_token
from platformctl.router.backend import (
    Busy,
    Claim,
    Denied,
    Explanation,
    Load,
    NoNodes,
    Refused,
    Seen,
    Ticket,
    Unavailable,
)
from platformctl.router.kubernetes.explain import explanation, refusals
from platformctl.router.kubernetes.gangs import Gangs
from platformctl.router.kubernetes.nodes import Nodes
from platformctl.router.kubernetes.pods import slim
from platformctl.router.kubernetes.states import ended, held, seen
from platformctl.router.kubernetes.words import refusal_words
from platformctl.vocabulary import JOB_UID_LABEL, TOKEN_ANNOTATION, Phase

_REMEMBERED = 4096
# HTTP codes about one object, not about the router's rights or the server.
_ABOUT_ONE = (400, 404, 409, 422)
_MAX_PODS = 500


class KubernetesBackend:
    """See platformctl.router.backend for the protocol."""

    target: Target = Target.KUBERNETES
    interval: float = 300.0
    reread_after: float | None = None
    durable: bool = True

    def __init__(
        self, client: KubernetesClient, site: str, script_image: str, array_at_once: int | None = None
    ) -> None:
        self._array_at_once = array_at_once
        self._client = client
        self._site = site
        self._script_image = script_image
        self._nodes = Nodes(client)
        self._gangs = Gangs(self._nodes)
        # uid of the batch Jobs that were created here and are not released yet.
        self._made: OrderedDict[str, str] = OrderedDict()

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with each node for jobs, as if the node were empty."""
        why = await self._nodes.unfit(ticket)
        if why and await self._nodes.empty():
            raise NoNodes(why)
        return why

    async def load(self) -> Load:
        """Computed from lists of nodes and pods that are at most half a minute old."""
        return await self._nodes.load()

    async def submit_held(self, ticket: Ticket) -> str:
        """Create the suspended batch Job, or find the one that this attempt created before."""
        claim = ticket.claim
        strict = await self._nodes.strict_groups()
        body = translation.batch_job(
            ticket.job,
            ticket.user,
            claim.name,
            claim.token,
            self._script_image,
            ticket.queue,
            strict,
            self._array_at_once,
        )
        job_id = f"{claim.namespace}/{body['metadata']['name']}"
        try:
            made = await self._client.create(_path(claim.namespace), body)
        except AlreadyExistsError:
            if await self._get(claim, job_id) is None:
                raise Refused(f"the name {body['metadata']['name']} is taken by another batch Job") from None
        except UnavailableError as error:
            raise _unavailable(error) from error
        except ApiError as error:
            raise Refused(f"Kubernetes: {refusal_words(error.message)}") from error
        else:
            self._made[job_id] = made["metadata"]["uid"]
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return job_id

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """The attempt's only batch Job, found by label, because a claim does not contain its name."""
        selector = f"{JOB_UID_LABEL}={claim.token.uid}"
        try:
            listed = await self._client.get(_path(claim.namespace), labelSelector=selector)
        except ApiError as error:
            raise _unavailable(error) from error
        return [
            (claim, _id(batch))
            for batch in listed["items"]
            if _token(batch) == claim.token and not ended(batch)
        ]

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """Read from the batch Job and its pods; if it cannot have pods, from the events that say why."""
        batch = await self._get(claim, job_id)
        if batch is None:
            self._gangs.forget(job_id)
            return None
        if held(batch):
            return seen(batch, [], self._gangs.waits(job_id))
        pods = await self._pods(job_id)
        trouble = "" if pods or ended(batch) else await self._trouble(batch)
        return seen(batch, pods, trouble)

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """Once all tasks fit, create the ConfigMap of a script and unsuspend the batch Job."""
        uid = self._made.get(job_id) or await self._uid(ticket.claim, job_id)
        if not await self._gangs.admit(ticket, job_id):
            return
        try:
            if ticket.job.script is not None:
                await self._script(ticket, job_id.split("/")[1], uid)
            # The uid is a precondition: another batch Job with that name is a conflict.
            lifted = {"metadata": {"uid": uid}, "spec": {"suspend": False}}
            await self._client.merge(_path(*job_id.split("/")), lifted)
        except ApiError as error:
            raise _unavailable(error) from error
        self._made.pop(job_id, None)

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """Delete the batch Job; its pods end with it."""
        batch = await self._get(claim, job_id)
        self._gangs.forget(job_id)
        if batch is None:
            return
        try:
            await self._client.delete(_path(*job_id.split("/")), uid=batch["metadata"]["uid"])
        except ApiError as error:
            raise _unavailable(error) from error

    async def states(self) -> Mapping[str, str]:
        """The resourceVersion of every batch Job of the router."""
        return {_id(item): item["metadata"]["resourceVersion"] async for item in self._all()}

    def phase_of(self, state: str) -> Phase | None:
        """None: a resourceVersion does not tell the phase."""
        del state
        return None

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """Explained from its pods, the nodes, and the events about pods that could not be created."""
        batch = await self._get(ticket.claim, job_id)
        if batch is None:
            return Explanation(("Kubernetes no longer has it.",))
        waits = self._gangs.waits(job_id)
        if held(batch) and waits:
            return Explanation((f"Kubernetes: {waits}.",))
        return await explanation(self._client, self._nodes, ticket, batch, await self._pods(job_id))

    async def claimed(self) -> list[tuple[Claim, str]]:
        """Unfinished batch Jobs of this site's routers."""
        claims = []
        async for item in self._all():
            token = _token(item)
            if token is None or token.site != self._site or ended(item):
                continue
            owners = item["metadata"].get("ownerReferences") or [{"name": ""}]
            claim = Claim(token, item["metadata"]["namespace"], owners[0]["name"], "")
            claims.append((claim, _id(item)))
        return claims

    async def _uid(self, claim: Claim, job_id: str) -> str:
        batch = await self._get(claim, job_id)
        if batch is None:
            raise Unavailable("the batch Job is gone")
        return str(batch["metadata"]["uid"])

    async def _script(self, ticket: Ticket, name: str, uid: str) -> None:
        claim, script = ticket.claim, ticket.job.script or ""
        body = translation.script_config_map(script, name, uid, claim.token)
        path = f"/api/v1/namespaces/{claim.namespace}/configmaps"
        try:
            await self._client.create(path, body)
        except AlreadyExistsError:
            there = await self._client.get(f"{path}/{name}")
            if there.get("data") != body["data"] or not there.get("immutable"):
                raise Refused(f"the ConfigMap {name} contains something other than the script") from None

    async def _get(self, claim: Claim, job_id: str) -> dict[str, Any] | None:
        try:
            batch = await self._client.get(_path(*job_id.split("/")))
        except NotFoundError:
            return None
        except ApiError as error:
            raise _unavailable(error) from error
        return batch if _token(batch) == claim.token else None

    async def _all(self) -> AsyncIterator[dict[str, Any]]:
        """All batch Jobs of routers, page by page."""
        pages = self._client.list_pages("/apis/batch/v1/jobs", labelSelector=JOB_UID_LABEL)
        try:
            async for page in pages:
                for item in page["items"]:
                    yield item
        except ApiError as error:
            raise _unavailable(error) from error

    async def _pods(self, job_id: str) -> list[dict[str, Any]]:
        """The pods of a batch Job; if there are very many, the first ones by name."""
        namespace, name = job_id.split("/")
        path, selector = f"/api/v1/namespaces/{namespace}/pods", f"batch.kubernetes.io/job-name={name}"
        pods: list[dict[str, Any]] = []
        try:
            async with aclosing(self._client.list_pages(path, labelSelector=selector)) as pages:
                async for page in pages:
                    pods += [slim(pod) for pod in page["items"][: _MAX_PODS - len(pods)]]
                    if len(pods) >= _MAX_PODS:
                        break
        except ApiError as error:
            raise _unavailable(error) from error
        return pods

    async def _trouble(self, batch: dict[str, Any]) -> str:
        """Why there are no pods, in one line."""
        metadata = batch["metadata"]
        return next(iter(await refusals(self._client, metadata["namespace"], metadata["uid"])), "")


def _token(item: dict[str, Any]) -> Token | None:
    return parse_token((item["metadata"].get("annotations") or {}).get(TOKEN_ANNOTATION))


def _id(item: dict[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _path(namespace: str, name: str = "") -> str:
    base = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    return f"{base}/{name}" if name else base


def _unavailable(error: ApiError) -> Unavailable:
    if error.code == 429:
        return Busy(f"Kubernetes accepts no more requests now: {error.message}")
    if error.code in _ABOUT_ONE:
        return Denied(f"Kubernetes refuses: {error.message}")
    verb = "does not answer" if error.code == 0 or error.code >= 500 else "refuses"
    return Unavailable(f"Kubernetes {verb}: {error.message}")
