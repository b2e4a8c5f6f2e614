"""The Job resource as the router reads and writes it.

Every write carries the resourceVersion that was read. If the decision was based on an old version, the API
server refuses the write, so nothing is done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError
from platformctl.jobs.model import Target
from platformctl.vocabulary import (
    CANCEL_REQUESTED,
    FINAL,
    FINALIZER,
    MANAGER,
    RETRY_REQUESTED,
    SUBMITTER,
    Phase,
    job_path,
)

# The two fields that say how long an ended Job stays; if both are there, they say the same.
LIFETIMES = ("ttlAfterFinished", "ttlSecondsAfterFinished")


@dataclass(frozen=True)
class JobResource:
    """One Job as the API server returned it."""

    raw: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """The object's metadata; do not modify it."""
        return self.raw.get("metadata") or {}

    @property
    def status(self) -> dict[str, Any]:
        """The object's status, empty before the router first wrote it; do not modify it."""
        return self.raw.get("status") or {}

    @property
    def spec(self) -> dict[str, Any]:
        """The object's spec as its user wrote it; empty if it is not a mapping."""
        spec = self.raw.get("spec")
        return spec if isinstance(spec, dict) else {}

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
        """Who created the Job, as admission wrote it; empty if admission did not."""
        return self._annotation(SUBMITTER)

    @property
    def foreign(self) -> bool:
        """Whether another controller manages the Job."""
        return self.spec.get("managedBy") not in (None, "", MANAGER)

    @property
    def cancel_requested(self) -> bool:
        """Whether its user wants it to end, and the resource to stay."""
        return self._annotation(CANCEL_REQUESTED) == "true"

    @property
    def retry_requested(self) -> bool:
        """Whether its user wants another attempt after the current one. A number makes it work once."""
        return self._annotation(RETRY_REQUESTED) == str(self.attempt)

    @property
    def wishes(self) -> tuple[int, bool, bool, bool]:
        """What a user can still request: the spec's generation, deletion, a cancel, another attempt."""
        generation = int(self.metadata.get("generation") or 0)
        return generation, self.deleting, self.cancel_requested, self.final and self.retry_requested

    @property
    def expires(self) -> bool:
        """Whether it is deleted some time after its end."""
        return any(self.spec.get(name) is not None for name in LIFETIMES)

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
        """status.phase; None for a Job that was never reconciled."""
        phase = self.status.get("phase")
        return Phase(phase) if phase else None

    @property
    def final(self) -> bool:
        """Whether the Job has ended."""
        return self.phase in FINAL

    @property
    def unreachable(self) -> bool:
        """Whether the status says that the back end does not answer."""
        return any(
            (item["type"], item["status"]) == ("Reachable", "False")
            for item in self.status.get("conditions") or []
        )

    @property
    def backend(self) -> Target | None:
        """Where the Job was sent, once decided."""
        backend = self.status.get("backend")
        return Target(backend) if backend else None

    @property
    def backend_id(self) -> str:
        """The back end's id, once recorded; from then on the job may run."""
        return str(self.status.get("backendId") or "")

    @property
    def copy(self) -> str:
        """The submission of the attempt that was recorded."""
        return str(self.status.get("copy") or "")

    @property
    def attempt(self) -> int:
        """Number of the current attempt."""
        return int(self.status.get("attempt") or 1)

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """The attempts that ended before the current one, oldest first."""
        return self.status.get("attempts") or []

    @property
    def remaining(self) -> str:
        """The elements of an array that the current attempt has; empty for all."""
        return str(self.status.get("remaining") or "")

    @property
    def let_through(self) -> bool:
        """Whether the gates have let it through: its dependencies are met."""
        return self.backend is not None or any(item.get("backend") for item in self.attempts)

    def _annotation(self, name: str) -> str:
        return str((self.metadata.get("annotations") or {}).get(name, ""))


class JobStore:
    """Reads and writes Job resources. ConflictError: the version read is old. NotFoundError: it is gone.

    wrote: called with each Job after a write.
    """

    def __init__(
        self, client: KubernetesClient, wrote: Callable[[JobResource], None] = lambda _: None
    ) -> None:
        self._client = client
        self._wrote = wrote

    async def read(self, namespace: str, name: str) -> JobResource | None:
        """The Job as it is now."""
        try:
            return JobResource(await self._client.get(job_path(namespace, name)))
        except NotFoundError:
            return None

    async def guard(self, job: JobResource) -> JobResource:
        """Add the finalizer, so that deletion waits for the router."""
        return await self._finalizers(job, [*(job.metadata.get("finalizers") or []), FINALIZER])

    async def let_go(self, job: JobResource) -> JobResource:
        """Remove the finalizer, so that deletion continues."""
        kept = [name for name in job.metadata.get("finalizers") or [] if name != FINALIZER]
        return await self._finalizers(job, kept)

    async def delete(self, job: JobResource) -> None:
        """Request the deletion of this Job, not of a later one with the same name."""
        await self._client.delete(job_path(job.namespace, job.name), uid=job.uid)

    async def write_status(self, job: JobResource, changes: dict[str, Any]) -> JobResource:
        """Change fields of the status; None removes one."""
        patch = {"metadata": {"resourceVersion": job.metadata["resourceVersion"]}, "status": changes}
        return await self._merge(f"{job_path(job.namespace, job.name)}/status", patch)

    async def _finalizers(self, job: JobResource, names: list[str]) -> JobResource:
        metadata = {"resourceVersion": job.metadata["resourceVersion"], "finalizers": names}
        return await self._merge(job_path(job.namespace, job.name), {"metadata": metadata})

    async def _merge(self, where: str, patch: dict[str, Any]) -> JobResource:
        merged = JobResource(await self._client.merge(where, patch))
        self._wrote(merged)
        return merged
