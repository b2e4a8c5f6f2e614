"""Finds jobs in a back end that no Job resource claims, and cancels them.

They are left when a router dies after it submitted a job and before it wrote the id, and the Job is then
submitted again, ended or deleted. Most of them are held. A job is cancelled only if two sweeps in a row find
it unclaimed.
"""

from collections.abc import Mapping
from typing import Protocol

import structlog

from platformctl.jobs.model import Target
from platformctl.router.backend import Backend, Claim
from platformctl.vocabulary import FINAL, Phase

# A Job in these phases must have no job in a back end, even if the back end did not answer when it ended.
_NOTHING_LEFT = frozenset({Phase.CANCELLED, Phase.REFUSED})

log = structlog.get_logger(__name__)


class Known(Protocol):
    """What the sweep needs of a Job resource. Texts are empty while nothing is recorded."""

    @property
    def attempt(self) -> int:
        """Number of the current attempt."""
        ...

    @property
    def backend(self) -> Target | None:
        """Where it was sent."""
        ...

    @property
    def backend_id(self) -> str:
        """The recorded id."""
        ...

    @property
    def copy(self) -> str:
        """Which submission it recorded."""
        ...

    @property
    def phase(self) -> Phase | None:
        """Where the Job is."""
        ...


class Sweeper:
    """Compares one back end with the Job resources; remembers what was unclaimed in the last sweep."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._suspects: set[str] = set()

    async def sweep(self, jobs: Mapping[str, Known]) -> int:
        """Cancel unclaimed jobs; returns how many. jobs: all Job resources by uid."""
        claimed = await self._backend.claimed()
        unclaimed = {job_id: claim for claim, job_id in claimed if not self._belongs(claim, job_id, jobs)}
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
        if known is None or known.attempt != claim.token.attempt or known.phase in _NOTHING_LEFT:
            return False
        if known.backend is None:
            # The Job is being submitted: this may be the job that it will record.
            return known.phase not in FINAL
        ours = (known.backend, known.backend_id, known.copy)
        return ours == (self._backend.target, job_id, claim.token.copy)
