"""The Slurm back end, over slurmrestd. Ids are Slurm's job ids; the token is the job's comment.

What changes anything is done as the job's own user; `reader` is only ever used to read.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from platformctl.clients.slurmrestd import (
    SlurmError,
    SlurmRestClient,
    SlurmUnavailableError,
    UnknownJobError,
)
from platformctl.jobs import slurm as translation
from platformctl.jobs.model import Target
from platformctl.router import slurm_states
from platformctl.router.backend import FINAL, Claim, Refused, Seen, Ticket, Unavailable


class SlurmBackend:
    """See platformctl.router.backend for the protocol."""

    target: Target = Target.SLURM
    look_again: float | None = None
    # A killed slurmctld forgets what it answered in its last seconds, and issues the id again.
    durable: bool = False

    def __init__(self, client: SlurmRestClient, site: str, reader: str, interval: float) -> None:
        self.interval = interval
        self._client = client
        self._site = site
        self._reader = reader
        self._listing = asyncio.Lock()
        self._listed_at = 0.0
        self._listed: list[tuple[Claim, str]] = []

    async def unfit(self, ticket: Ticket) -> str:
        """Slurm judges a job when it is submitted."""
        return ""

    async def submit_held(self, ticket: Ticket) -> str:
        """One POST; a job without its held flag or token is never made."""
        user = ticket.user.name
        try:
            dialect = await self._client.dialect(self._reader)
            body = translation.submission(
                ticket.job, ticket.user, ticket.claim.name, ticket.claim.token, dialect
            )
            return str(await self._client.submit(user, body))
        except SlurmUnavailableError as error:
            raise Unavailable(_words(error)) from error
        except SlurmError as error:
            raise Refused(f"Slurm: {error.message}") from error

    async def find(self, claim: Claim) -> list[str]:
        """From one list of all jobs, shared by everyone who asked before it was begun."""
        return [job_id for found, job_id in await self._list() if found.token == claim.token]

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """From slurmctld; from the accounting database when slurmctld has forgotten the job."""
        try:
            record = await self._client.job(self._reader, int(job_id))
        except UnknownJobError:
            record = {}
        except SlurmError as error:
            raise Unavailable(_words(error)) from error
        if slurm_states.comment_token(record) == claim.token:
            return slurm_states.seen(record)
        return await self._ended(claim, int(job_id))

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """As the user."""
        try:
            await self._client.update(ticket.user.name, int(job_id), {"hold": False})
        except SlurmError as error:
            raise Unavailable(_words(error)) from error

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """As the user, after the token was compared."""
        seen = await self.read(claim, job_id)
        if seen is None or seen.phase in FINAL:
            return
        try:
            await self._client.cancel(claim.user, int(job_id))
        except SlurmError as error:
            raise Unavailable(_words(error)) from error

    async def states(self) -> Mapping[str, str]:
        """From GET /jobs/state."""
        try:
            found = await self._client.states(self._reader)
        except SlurmError as error:
            raise Unavailable(_words(error)) from error
        return {str(job_id): state for job_id, state in found.items()}

    async def claimed(self) -> list[tuple[Claim, str]]:
        """Unfinished jobs of this site's routers."""
        return await self._list()

    async def _list(self) -> list[tuple[Claim, str]]:
        asked = time.monotonic()
        async with self._listing:
            if self._listed_at < asked:
                begun = time.monotonic()
                try:
                    records = await self._client.jobs(self._reader)
                except SlurmError as error:
                    raise Unavailable(_words(error)) from error
                self._listed = [found for record in records if (found := self._claim(record))]
                self._listed_at = begun
        return self._listed

    def _claim(self, record: dict[str, Any]) -> tuple[Claim, str] | None:
        token = slurm_states.comment_token(record)
        if token is None or token.site != self._site:
            return None
        if slurm_states.seen(record).phase in FINAL:
            return None
        claim = Claim(token, "", str(record.get("name", "")), str(record.get("user_name", "")))
        return claim, str(record["job_id"])

    async def _ended(self, claim: Claim, job_id: int) -> Seen | None:
        try:
            rows = await self._client.accounted(self._reader, job_id)
        except SlurmUnavailableError as error:
            raise Unavailable(_words(error)) from error
        except SlurmError:
            return None
        ours = [row for row in rows if slurm_states.comment_token(row) == claim.token]
        return next((seen for row in ours if (seen := slurm_states.accounted(row))), None)


def _words(error: SlurmError) -> str:
    verb = "does not answer" if isinstance(error, SlurmUnavailableError) else "refuses"
    return f"Slurm {verb}: {error.message}"
