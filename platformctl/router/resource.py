"""The Job resource as the router reads and writes it.

Every write carries the resourceVersion that was read, so a decision made on an old copy is refused by
the API server instead of being carried out twice.
"""

from dataclasses import dataclass
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError
from platformctl.jobs.model import Target
from platformctl.router.backend import FINAL, Phase

GROUP, VERSION, PLURAL = "kfoundry.io", "v1alpha1", "jobs"
FINALIZER = "kfoundry.io/router"
SUBMITTER = "kfoundry.io/submitter"


def path(namespace: str, name: str = "") -> str:
    """The API path of a Job, or of a namespace's Jobs."""
    base = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
    return f"{base}/{name}" if name else base


@dataclass(frozen=True)
class JobResource:
    """One Job as the API server returned it."""

    raw: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """The object's metadata."""
        return dict(self.raw.get("metadata") or {})

    @property
    def status(self) -> dict[str, Any]:
        """The object's status; empty before the router first wrote it."""
        return dict(self.raw.get("status") or {})

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.metadata["namespace"])

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.metadata["name"])

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return str(self.metadata["uid"])

    @property
    def submitter(self) -> str:
        """Who created the Job, as stamped by admission; empty when it was not stamped."""
        return str((self.metadata.get("annotations") or {}).get(SUBMITTER, ""))

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for."""
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def guarded(self) -> bool:
        """Whether deletion waits for the router."""
        return FINALIZER in (self.metadata.get("finalizers") or [])

    @property
    def phase(self) -> Phase | None:
        """status.phase; None for a Job the router has not looked at."""
        found = self.status.get("phase")
        return Phase(found) if found else None

    @property
    def final(self) -> bool:
        """Whether the Job has ended."""
        return self.phase in FINAL

    @property
    def backend(self) -> Target | None:
        """Where the Job was sent, once decided."""
        found = self.status.get("backend")
        return Target(found) if found else None

    @property
    def backend_id(self) -> str:
        """The back end's id, once recorded."""
        return str(self.status.get("backendId") or "")

    @property
    def attempt(self) -> int:
        """Number of the current attempt."""
        return int(self.status.get("attempt") or 1)

    @property
    def released(self) -> bool:
        """Whether the back end's job may have been released, and so may have run."""
        return bool(self.status.get("released"))


class JobStore:
    """Reads and writes Job resources. ConflictError: the copy was old. NotFoundError: the Job is gone."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client

    async def read(self, namespace: str, name: str) -> JobResource | None:
        """The Job as it is now."""
        try:
            return JobResource(await self._client.get(path(namespace, name)))
        except NotFoundError:
            return None

    async def guard(self, job: JobResource) -> JobResource:
        """Have deletion wait for the router."""
        return await self._finalizers(job, [*(job.metadata.get("finalizers") or []), FINALIZER])

    async def let_go(self, job: JobResource) -> JobResource:
        """Let deletion go on."""
        kept = [name for name in job.metadata.get("finalizers") or [] if name != FINALIZER]
        return await self._finalizers(job, kept)

    async def write_status(self, job: JobResource, changes: dict[str, Any]) -> JobResource:
        """Change fields of the status; None removes one."""
        patch = {"metadata": {"resourceVersion": job.metadata["resourceVersion"]}, "status": changes}
        return JobResource(await self._client.merge(f"{path(job.namespace, job.name)}/status", patch))

    async def _finalizers(self, job: JobResource, names: list[str]) -> JobResource:
        metadata = {"resourceVersion": job.metadata["resourceVersion"], "finalizers": names}
        return JobResource(await self._client.merge(path(job.namespace, job.name), {"metadata": metadata}))
