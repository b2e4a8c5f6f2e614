"""Finds jobs in a back end that no Job resource claims, and cancels them.

They arise when a router died between submitting and writing the id, and the Job was then submitted
again, ended or deleted: held copies, mostly. A job is cancelled only when two sweeps in a row found it
unclaimed.
"""

from collections.abc import Mapping
from typing import Protocol

import structlog

from platformctl.jobs.model import Target
from platformctl.router.backend import Backend, Claim
from platformctl.vocabulary import FINAL, Phase

# A Job that ended so has ended whatever it had, also where the back end could not be asked then.
_NOTHING_LEFT = frozenset({Phase.CANCELLED, Phase.REFUSED})

log = structlog.get_logger(__name__)


class Known(Protocol):
    """What is remembered of a Job resource: its attempt and the id it recorded, empty while it has none."""

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
        if known is None or known.attempt != claim.token.attempt or known.phase in _NOTHING_LEFT:
            return False
        if known.backend is None:
            # The Job is being submitted: this may be the job it will record.
            return known.phase not in FINAL
        ours = (known.backend, known.backend_id, known.copy)
        return ours == (self._backend.target, job_id, claim.token.copy)
