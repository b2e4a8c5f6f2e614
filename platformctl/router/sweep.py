"""Finds jobs in a back end that no Job resource claims, and cancels them.

They arise when a router died between submitting and writing the id, and the Job was then submitted
again or deleted: held copies, mostly. A job is cancelled only when two sweeps in a row found it unclaimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from platformctl.jobs.model import Target
from platformctl.router.backend import Backend, Claim

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Known:
    """What a Job resource says about itself: its attempt and the id it recorded, empty while it has none."""

    attempt: int
    backend: Target | None
    backend_id: str


class Sweeper:
    """Compares one back end with the Job resources; keeps what was suspicious the last time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._suspects: set[str] = set()

    async def sweep(self, jobs: Mapping[str, Known]) -> int:
        """Cancel what nobody claims; returns how many. `jobs` holds all Job resources by uid."""
        found = await self._backend.claimed()
        unclaimed = {job_id: claim for claim, job_id in found if not self._belongs(claim, job_id, jobs)}
        certain = {job_id: claim for job_id, claim in unclaimed.items() if job_id in self._suspects}
        for job_id, claim in certain.items():
            log.warning(
                "cancelling an unclaimed job",
                backend=self._backend.target,
                job_id=job_id,
                token=str(claim.token),
            )
            await self._backend.cancel(claim, job_id)
        self._suspects = set(unclaimed) - set(certain)
        return len(certain)

    def _belongs(self, claim: Claim, job_id: str, jobs: Mapping[str, Known]) -> bool:
        known = jobs.get(claim.token.uid)
        if known is None or known.attempt != claim.token.attempt or known.backend is not self._backend.target:
            return False
        # Without a recorded id the Job is being submitted: this may be the job it will adopt.
        return known.backend_id in ("", job_id)
