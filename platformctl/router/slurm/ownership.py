"""Which Job each job of slurmctld belongs to, by job id. An id means the same job while slurmctld lists it.

The token is in a job's record (8 kB), not in the list of states (80 bytes). So each record is read once and
its owner is cached. If slurmctld lost a job, it may have issued the id again; then the cache is cleared.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from platformctl.clients.slurmrestd import SlurmError, SlurmRestClient, UnknownJobError
from platformctl.router.backend import Claim
from platformctl.router.slurm import states as slurm_states
from platformctl.router.slurm.errors import unavailable
from platformctl.vocabulary import FINAL, Phase

_READS_AT_ONCE = 8
# Up to _FEW unknown jobs are read one by one; more are read in the list of all jobs, if it has at most _MANY.
_FEW, _MANY = 10, 1000


class Ownership:
    """The owner of each job. waits: called with the id and user of each newly found job that is queued."""

    def __init__(
        self, client: SlurmRestClient, site: str, reader: str, waits: Callable[[int, str], None]
    ) -> None:
        self._client = client
        self._site = site
        self._reader = reader
        self._waits = waits
        # By a job's own id; None: a job of another site or user.
        self._owners: dict[int, tuple[Claim, int] | None] = {}
        self._live: frozenset[int] = frozenset()
        self._listing_before: dict[str, str] = {}
        self._listing = asyncio.Lock()
        self._listed_at = 0.0
        self._listed: list[tuple[Claim, str]] = []

    def ours(self, number: int) -> bool:
        """Whether a job is known to belong to this site."""
        return self._owners.get(number) is not None

    def forget(self, number: int) -> None:
        """Forget a job that slurmctld does not know."""
        self._owners.pop(number, None)

    async def states(self) -> dict[str, str]:
        """All jobs' states. It also notes the live jobs, and clears the cache if a live job was lost."""
        try:
            states = await self._client.states(self._reader)
        except SlurmError as error:
            self._owners.clear()
            raise unavailable(error) from error
        # Most polls find nothing new, and there may be ten thousand jobs.
        if states == self._listing_before:
            return states
        self._listing_before = states
        listed = {_own(key) for key in states}
        if not self._live <= listed:
            # slurmctld lost a job that had not ended: it may have issued the id again.
            self._owners.clear()
        self._live = frozenset(
            _own(key) for key, state in states.items() if slurm_states.phase(state.split(",")) not in FINAL
        )
        for number in self._owners.keys() - listed:
            del self._owners[number]
        return states

    def learn(self, records: Iterable[dict[str, Any]]) -> None:
        """Cache the owners of the jobs in these records."""
        for record in records:
            number = record["job_id"]
            known = self.ours(number)
            owner = self._owners[number] = self._owner(record)
            if owner and not known and slurm_states.run_of(record).phase is Phase.QUEUED:
                self._waits(number, owner[0].user)

    def _owner(self, record: dict[str, Any]) -> tuple[Claim, int] | None:
        token = slurm_states.comment_token(record)
        if token is None or token.site != self._site:
            return None
        claim = Claim(token, "", str(record.get("name", "")), str(record.get("user_name", "")))
        return claim, slurm_states.whole_id(record)

    async def unfinished(self) -> list[tuple[Claim, str]]:
        """Unfinished jobs of this site, listed after the call began; concurrent calls share a list."""
        asked = time.monotonic()
        async with self._listing:
            if self._listed_at < asked:
                begun = time.monotonic()
                listed = len(await self.states())
                unknown = self._live - self._owners.keys()
                if len(unknown) > _FEW and listed <= _MANY:
                    await self._identify_all()
                else:
                    await self._identify(unknown)
                ours = [self._owners.get(number) for number in self._live]
                claims = {job_id: claim for owner in ours if owner for claim, job_id in [owner]}
                self._listed = [(claim, str(job_id)) for job_id, claim in claims.items()]
                self._listed_at = begun
        return self._listed

    async def has_jobs(self, user: str) -> bool:
        """Whether a user has unfinished jobs of this site."""
        return any(claim.user == user for claim, _ in await self.unfinished())

    async def _identify_all(self) -> None:
        """Read the owners of all jobs."""
        try:
            self.learn(await self._client.jobs(self._reader))
        except SlurmError as error:
            raise unavailable(error) from error

    async def _identify(self, numbers: frozenset[int]) -> None:
        """Read the owners of these jobs."""
        slots = asyncio.Semaphore(_READS_AT_ONCE)

        async def identify(number: int) -> None:
            async with slots:
                if number in self._owners:
                    return
                try:
                    self.learn(await self._client.records(self._reader, number))
                except UnknownJobError:
                    return
                except SlurmError as error:
                    raise unavailable(error) from error

        await asyncio.gather(*(identify(number) for number in numbers))


def _own(key: str) -> int:
    """The own id of a job or an element."""
    return int(key.partition("_")[0])
