"""A client for Jobs (kfoundry.io/v1alpha1) through the API server, with the rights of the user.

Jobs are plain dictionaries, as the API server returns them. Later requests to the router are annotations,
because the spec does not change.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import aiohttp

from platformctl.clients.kubernetes import ExpiredError, KubernetesClient, NotFoundError, UnavailableError
from platformctl.vocabulary import API, JOBS, LOGS_API, job_path, log_path

_WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_WATCH_SECONDS = 300
_STILL_SECONDS = 5
# The API server's answer for an API behind it that is away.
_NO_SERVICE = 503


class NoJobsError(Exception):
    """The cluster does not serve Jobs: the site's router is not installed there."""


class NoLogsError(Exception):
    """The cluster does not serve the output of Jobs: the site has no logs API."""


class JobsClient:
    """The Jobs of one namespace; `everywhere` lists those of all."""

    def __init__(self, client: KubernetesClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def _path(self, name: str = "") -> str:
        return job_path(self.namespace, name)

    def at(self, namespace: str) -> "JobsClient":
        """The Jobs of another namespace; empty for this one."""
        return JobsClient(self._client, namespace or self.namespace)

    async def whoami(self) -> str:
        """The name by which the API server knows the caller."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return str((await self._client.create(_WHOAMI, body))["status"]["userInfo"]["username"])

    async def submit(self, document: dict[str, Any]) -> dict[str, Any]:
        """Create a Job; returns it as stored."""
        try:
            return await self._client.create(self._path(), document)
        except NotFoundError as error:
            raise await self._missing(error) from None

    async def get(self, name: str) -> dict[str, Any]:
        """One Job."""
        try:
            return await self._client.get(self._path(name))
        except NotFoundError as error:
            raise await self._missing(error) from None

    async def list(self, everywhere: bool = False, labels: str = "") -> list[dict[str, Any]]:
        """All Jobs of the namespace, or of all namespaces, fetched in pages. labels: a label selector."""
        path = JOBS if everywhere else self._path()
        jobs: list[dict[str, Any]] = []
        selected = {"labelSelector": labels} if labels else {}
        try:
            async for page in self._client.list_pages(path, **selected):
                jobs += page["items"]
        except NotFoundError as error:
            raise NoJobsError(str(error)) from None
        return jobs

    async def queues(self) -> Sequence[str]:
        """Names of the cluster's queues."""
        names: list[str] = []
        async for page in self._client.list_pages(f"{API}/queues"):
            names += [str(queue["metadata"]["name"]) for queue in page["items"]]
        return names

    async def changes(self, name: str) -> AsyncGenerator[dict[str, Any]]:
        """A Job as it is now and after every change, until it is deleted. Close it when done.

        The same state may come twice, because a watch that ends or breaks is started again.
        """
        one = {"fieldSelector": f"metadata.name={name}"}
        while True:
            listed = await self._client.get(self._path(), **one)
            if not listed["items"]:
                return
            yield listed["items"][0]
            version = listed["metadata"]["resourceVersion"]
            with suppress(ExpiredError, UnavailableError):
                async with aclosing(
                    self._client.watch(self._path(), version, _WATCH_SECONDS, **one)
                ) as events:
                    async for event in events:
                        if event["type"] == "DELETED":
                            return
                        if event["type"] in ("ADDED", "MODIFIED"):
                            yield event["object"]

    async def ask(self, job: dict[str, Any], annotations: Mapping[str, str | None]) -> dict[str, Any]:
        """Set request annotations on this Job, not on a later one with the same name.

        None removes an earlier request.
        """
        metadata = {"uid": job["metadata"]["uid"], "annotations": dict(annotations)}
        return await self._client.merge(self._path(job["metadata"]["name"]), {"metadata": metadata})

    async def resume(self, job: dict[str, Any]) -> None:
        """Resume a suspended Job."""
        patch = {"metadata": {"uid": job["metadata"]["uid"]}, "spec": {"suspend": False}}
        await self._client.merge(self._path(job["metadata"]["name"]), patch)

    async def delete(self, job: dict[str, Any]) -> None:
        """Delete this Job, not a later one with the same name; the router first cancels what runs."""
        await self._client.delete(self._path(job["metadata"]["name"]), uid=job["metadata"]["uid"])

    async def page(
        self,
        name: str,
        offset: int | None = None,
        tail: int | None = None,
        index: int | None = None,
        attempt: int | None = None,
    ) -> tuple[int, bytes, bool]:
        """A page of an attempt's output: its offset, its bytes, and whether nothing follows."""
        async with self._answer(name, **_query(offset, tail, index, attempt)) as response:
            start = int(response.headers.get("Kfoundry-Offset", offset or 0))
            body = await response.read()
            return start, body, response.headers.get("Kfoundry-Complete") == "true"

    async def follow(
        self, name: str, offset: int = 0, index: int | None = None, attempt: int | None = None
    ) -> AsyncGenerator[bytes]:
        """An attempt's output as it is written, until the attempt has ended. A broken stream is resumed."""
        while True:
            before = offset
            with suppress(UnavailableError):
                query = _query(offset, None, index, attempt)
                async with self._answer(name, follow="true", **query) as response:
                    offset = int(response.headers.get("Kfoundry-Offset", offset or 0))
                    async for piece in response.content.iter_any():
                        offset += len(piece)
                        yield piece
            start, remainder, complete = await self.page(name, offset, None, index, attempt)
            offset = start + len(remainder)
            yield remainder
            if complete:
                return
            if offset == before:
                await self._until_changed(name)

    async def _until_changed(self, name: str) -> None:
        """Wait until the Job changes, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STILL_SECONDS), aclosing(self.changes(name)) as changes:
                await anext(changes)
                await anext(changes, None)

    @asynccontextmanager
    async def _answer(self, name: str, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
        path = log_path(self.namespace, name)
        try:
            async with self._client.answer(path, **query) as response:
                yield response
        except NotFoundError as error:
            try:
                await self._client.get(LOGS_API)
            except NotFoundError:
                raise NoLogsError(str(error)) from None
            raise
        except UnavailableError as error:
            if error.code != _NO_SERVICE:
                raise
            what = f"the logs API, which serves the output of Jobs, does not answer: {error.message}"
            raise UnavailableError(error.code, error.reason, what) from error

    async def _missing(self, error: NotFoundError) -> Exception:
        """The exception for a 404: either the Job is missing, or the whole API."""
        try:
            await self._client.get(API)
        except NotFoundError:
            return NoJobsError(str(error))
        return error


def _query(offset: int | None, tail: int | None, index: int | None, attempt: int | None) -> dict[str, str]:
    given = {"offset": offset, "tailBytes": tail, "index": index, "attempt": attempt}
    return {key: str(value) for key, value in given.items() if value is not None}
