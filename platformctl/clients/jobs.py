"""Jobs as their submitter reaches them: kfoundry.io/v1alpha1 through the API server, with the user's rights.

Jobs are plain dictionaries, as the API server returns them. What the router is asked for after the
creation of a Job is asked by annotations, since the spec does not change.
"""

from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError

API = "/apis/kfoundry.io/v1alpha1"
CANCEL = "kfoundry.io/cancel-requested"
RETRY = "kfoundry.io/retry-requested"
EXPLAIN = "kfoundry.io/explain-requested"
_WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_PAGE = "500"


class NoJobsError(Exception):
    """The cluster does not serve Jobs: the site's router is not installed there."""


class JobsClient:
    """The Jobs of one namespace; `everywhere` lists those of all."""

    def __init__(self, client: KubernetesClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def _path(self, name: str = "") -> str:
        base = f"{API}/namespaces/{self.namespace}/jobs"
        return f"{base}/{name}" if name else base

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

    async def list(self, everywhere: bool = False) -> list[dict[str, Any]]:
        """All Jobs of the namespace, or of all namespaces, fetched in pages."""
        path = f"{API}/jobs" if everywhere else self._path()
        found: list[dict[str, Any]] = []
        query = {"limit": _PAGE}
        while True:
            try:
                page = await self._client.get(path, **query)
            except NotFoundError as error:
                raise NoJobsError(str(error)) from None
            found += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return found
            query["continue"] = following

    async def ask(self, job: dict[str, Any], annotation: str, value: str) -> dict[str, Any]:
        """Ask the router for something about this very Job and not a later one of its name."""
        metadata = {"uid": job["metadata"]["uid"], "annotations": {annotation: value}}
        return await self._client.merge(self._path(job["metadata"]["name"]), {"metadata": metadata})

    async def delete(self, job: dict[str, Any]) -> None:
        """Delete this very Job; the router cancels what runs before it goes."""
        await self._client.delete(self._path(job["metadata"]["name"]), uid=job["metadata"]["uid"])

    async def _missing(self, error: NotFoundError) -> Exception:
        """Why something was not found: the Job, or the whole API."""
        try:
            await self._client.get(API)
        except NotFoundError:
            return NoJobsError(str(error))
        return error
