"""The Slurm back end, over slurmrestd. Ids are Slurm's job ids; the token is the job's comment.

What changes anything is done as the job's own user; `reader` is only ever used to read. Observation is
one GET /jobs/state a second, 80 bytes a job; records (8 kB) are read of jobs that changed, and of a few
that wait in turn, since neither their reason nor their estimated start is in the states. Slurm never
starts a job of the router a second time by itself (no requeue); that is the router's decision.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from platformctl.clients.slurmrestd import (
    SlurmBusyError,
    SlurmError,
    SlurmRestClient,
    SlurmUnavailableError,
    UnknownJobError,
)
from platformctl.jobs import slurm as translation
from platformctl.jobs.model import Target
from platformctl.router.backend import (
    Busy,
    Claim,
    Denied,
    Explanation,
    Load,
    Refused,
    Seen,
    Ticket,
    Unavailable,
)
from platformctl.router.slurm import states as slurm_states
from platformctl.router.slurm.arrays import Arrays
from platformctl.router.slurm.cluster import Cluster
from platformctl.router.slurm.explain import explanation
from platformctl.vocabulary import FINAL, Phase

# Records of waiting jobs that are read again each time the states are polled.
_REFRESH = 2
# How long the accounting database may lag behind slurmctld before what it does not know is taken for lost.
_LATE_SECONDS = 600
_READS_AT_ONCE = 8
# So many unknown jobs are read one by one; more of them from the list of all jobs, unless that is long.
_FEW, _MANY = 10, 2000
_HINTS = {
    2081: "the array is larger than Slurm allows (MaxArraySize), or not understood",
    2014: "no node of Slurm has what it asks for",
}


class SlurmBackend:
    """See platformctl.router.backend for the protocol."""

    target: Target = Target.SLURM
    reread_after: float | None = None
    # A killed slurmctld forgets what it answered in its last seconds, and issues the id again.
    durable: bool = False

    def __init__(self, client: SlurmRestClient, site: str, reader: str, interval: float) -> None:
        self.interval = interval
        self.client = client
        self._site = site
        self.reader = reader
        self._arrays = Arrays()
        # Since when the accounting database is waited for, by the id of a job.
        self._behind: dict[int, float] = {}
        self._cluster = Cluster(client, reader)
        self._listing = asyncio.Lock()
        self._listed_at = 0.0
        self._listed: list[tuple[Claim, str]] = []
        # Whose a job is, by its own id, for as long as slurmctld lists it without a break; None: not ours.
        self._owners: dict[int, tuple[Claim, int] | None] = {}
        self._live: frozenset[int] = frozenset()
        self._listing_before: dict[str, str] = {}
        self._digested: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._waiting: deque[int] = deque()
        self._refreshed: dict[int, int] = {}

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with the nodes and limits of its partition, were they empty."""
        return await self._cluster.unfit(ticket)

    async def load(self) -> Load:
        """From a list of all nodes that is not older than a quarter of a minute."""
        return await self._cluster.load()

    async def submit_held(self, ticket: Ticket) -> str:
        """One POST; a job without its held flag or token is never made."""
        user = ticket.user.name
        try:
            dialect = await self.client.dialect(self.reader)
            body = translation.submission(
                ticket.job, ticket.user, ticket.claim.name, ticket.claim.token, dialect, ticket.queue
            )
            return str(await self.client.submit(user, body))
        except SlurmBusyError as error:
            raise Busy(_words(error)) from error
        except SlurmUnavailableError as error:
            raise Unavailable(_words(error)) from error
        except SlurmError as error:
            raise Refused(f"Slurm: {_verdict(error)}") from error

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """From one list of all states, shared by everyone who asked before it was begun."""
        return [
            (found, job_id)
            for found, job_id in await self._list()
            if found.token.same_attempt(claim.token) and found.user == claim.user
        ]

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """From slurmctld; from the accounting database what slurmctld has forgotten."""
        number = int(job_id)
        try:
            records = await self.client.records(self.reader, number)
        except UnknownJobError:
            self._owners.pop(number, None)
            return await self._forgotten(claim, number)
        except SlurmError as error:
            raise _unavailable(error) from error
        self._learn(records)
        if not slurm_states.carries(records[0], claim):
            return await self._forgotten(claim, number, reissued=True)
        if not slurm_states.array_id(records[0]):
            return slurm_states.seen(slurm_states.run_of(records[0]))
        return await self._read_array(claim, number, records)

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """As the user."""
        try:
            await self.client.update(ticket.user.name, int(job_id), {"hold": False})
        except SlurmError as error:
            raise _unavailable(error) from error

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """As the user, after the token was compared; an array with all its elements."""
        seen = await self.read(claim, job_id)
        if seen is None or seen.phase in FINAL:
            return
        try:
            await self.client.cancel(claim.user, int(job_id))
        except SlurmError as error:
            raise _unavailable(error) from error

    async def states(self) -> Mapping[str, str]:
        """From GET /jobs/state; a few jobs that wait are told to be different from the last time."""
        found = await self._states()
        if found != self._digested or self._arrays:
            self._digests, self._digested = self._arrays.digests(found, time.monotonic()), found
        digests = dict(self._digests)
        self._refresh(digests)
        for number, times in self._refreshed.items():
            digests[str(number)] += f"#{times}"
        return digests

    def phase_of(self, state: str) -> Phase | None:
        """A job's base state tells it; an array's digest does not."""
        base = state.partition("#")[0].split(",")
        return None if base[0].startswith("array:") else slurm_states.phase(base)

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """From the job's record, the others that wait in its partition, and its user's limits."""
        try:
            return await explanation(self.client, self.reader, self._cluster, ticket, int(job_id))
        except SlurmError as error:
            raise _unavailable(error) from error

    async def claimed(self) -> list[tuple[Claim, str]]:
        """Unfinished jobs of this site's routers."""
        return await self._list()

    async def _read_array(self, claim: Claim, number: int, records: list[dict[str, Any]]) -> Seen:
        runs = [await self._run(record) for record in records]
        own = [record["job_id"] for record in records]
        merged, missing = self._arrays.merge(number, runs, own)
        # A router that has just begun does not know what slurmctld has forgotten; of what is held, nothing.
        if missing or not (self._arrays.knows(number) or all(run.held for run in runs)):
            rows = await self._accounted(claim, number)
            merged, missing = self._arrays.merge(number, [*runs, *rows], own)
        self._arrays.complete(number)
        seen = slurm_states.seen_array(merged)
        if missing and seen.phase in (Phase.SUCCEEDED, Phase.FAILED):
            self._wait(number, "elements that slurmctld has forgotten")
        self._behind.pop(number, None)
        if seen.phase in FINAL:
            self._arrays.forget(number)
        return seen

    async def _run(self, record: dict[str, Any]) -> slurm_states.Run:
        """One record as a run; the indices that Slurm left out of a long record come from the states."""
        cut = str(record.get("array_task_string") or "").endswith("...")
        if not cut:
            return slurm_states.run_of(record)
        try:
            states = await self.client.states(self.reader, record["job_id"])
        except SlurmError as error:
            raise _unavailable(error) from error
        prefix = f"{record['job_id']}_"
        indices = tuple(int(key.removeprefix(prefix)) for key in states if key.startswith(prefix))
        return slurm_states.run_of(record, indices)

    async def _forgotten(self, claim: Claim, number: int, reissued: bool = False) -> Seen | None:
        """How a job ended that slurmctld no longer has; None when that cannot be told.

        reissued: slurmctld gave the id to another job, so it lost this one and will not tell its end.
        """
        runs = await self._accounted(claim, number)
        if not reissued and any(run.phase not in FINAL for run in runs):
            self._wait(number, "the end of a job that slurmctld has forgotten")
        self._arrays.forget(number)
        self._behind.pop(number, None)
        if not runs or any(run.phase not in FINAL for run in runs):
            return None
        return slurm_states.seen_array(runs) if runs[0].indices else slurm_states.seen(runs[0])

    def _wait(self, number: int, what: str) -> None:
        """Raise Unavailable while the accounting database may only be late: slurmctld writes when it can."""
        since = self._behind.setdefault(number, time.monotonic())
        if time.monotonic() - since < _LATE_SECONDS:
            raise Unavailable(f"the accounting database does not know yet {what}")

    async def _accounted(self, claim: Claim, number: int) -> list[slurm_states.Run]:
        try:
            rows = await self.client.accounted(self.reader, number)
        except SlurmUnavailableError as error:
            raise Unavailable(_words(error)) from error
        except SlurmError:
            return []
        return [slurm_states.accounted_run(row) for row in rows if slurm_states.carries(row, claim)]

    async def _states(self) -> dict[str, str]:
        """All jobs' states; remembers which are live, and forgets whose jobs are where one got lost."""
        try:
            found = await self.client.states(self.reader)
        except SlurmError as error:
            self._owners.clear()
            raise _unavailable(error) from error
        # Most polls find nothing new, and there may be ten thousand jobs.
        if found == self._listing_before:
            return found
        self._listing_before = found
        listed = {_own(key) for key in found}
        if not self._live <= listed:
            # slurmctld lost what had not ended: it may have issued the ids again.
            self._owners.clear()
        self._live = frozenset(
            _own(key) for key, state in found.items() if slurm_states.phase(state.split(",")) not in FINAL
        )
        for number in self._owners.keys() - listed:
            del self._owners[number]
        return found

    def _refresh(self, digests: Mapping[str, str]) -> None:
        """Choose the next few of our jobs that wait."""
        for number in [number for number in self._refreshed if digests.get(str(number)) != "PENDING"]:
            del self._refreshed[number]
        for _ in range(min(len(self._waiting), 4 * _REFRESH)):
            number = self._waiting.popleft()
            if self._owners.get(number) is None or digests.get(str(number)) != "PENDING":
                continue
            self._waiting.append(number)
            self._refreshed[number] = self._refreshed.get(number, 0) + 1

    def _learn(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            number = record["job_id"]
            before = self._owners.get(number)
            self._owners[number] = self._owner(record)
            if self._owners[number] and not before and slurm_states.run_of(record).phase is Phase.QUEUED:
                self._waiting.append(number)

    def _owner(self, record: dict[str, Any]) -> tuple[Claim, int] | None:
        token = slurm_states.comment_token(record)
        if token is None or token.site != self._site:
            return None
        claim = Claim(token, "", str(record.get("name", "")), str(record.get("user_name", "")))
        return claim, slurm_states.array_id(record) or record["job_id"]

    async def _list(self) -> list[tuple[Claim, str]]:
        asked = time.monotonic()
        async with self._listing:
            if self._listed_at < asked:
                begun = time.monotonic()
                listed = len(await self._states())
                unknown = self._live - self._owners.keys()
                if len(unknown) > _FEW and listed <= _MANY:
                    await self._identify_all()
                else:
                    await self._identify(unknown)
                ours = [self._owners.get(number) for number in self._live]
                found = {job_id: claim for owner in ours if owner for claim, job_id in [owner]}
                self._listed = [(claim, str(job_id)) for job_id, claim in found.items()]
                self._listed_at = begun
        return self._listed

    async def _identify_all(self) -> None:
        """Read whose all jobs are."""
        try:
            self._learn(await self.client.jobs(self.reader))
        except SlurmError as error:
            raise _unavailable(error) from error

    async def _identify(self, numbers: frozenset[int]) -> None:
        """Read whose jobs these are."""
        slots = asyncio.Semaphore(_READS_AT_ONCE)

        async def identify(number: int) -> None:
            async with slots:
                if number in self._owners:
                    return
                try:
                    self._learn(await self.client.records(self.reader, number))
                except UnknownJobError:
                    return
                except SlurmError as error:
                    raise _unavailable(error) from error

        await asyncio.gather(*(identify(number) for number in numbers))


def _own(key: str) -> int:
    """A job's or an element's own id."""
    return int(key.partition("_")[0].partition("+")[0])


def _unavailable(error: SlurmError) -> Unavailable:
    if isinstance(error, SlurmBusyError):
        return Busy(_words(error))
    return (Unavailable if isinstance(error, SlurmUnavailableError) else Denied)(_words(error))


def _words(error: SlurmError) -> str:
    if isinstance(error, SlurmBusyError):
        return f"Slurm takes no more now: {error.message}"
    verb = "does not answer" if isinstance(error, SlurmUnavailableError) else "refuses"
    return f"Slurm {verb}: {error.message}"


def _verdict(error: SlurmError) -> str:
    hint = _HINTS.get(error.number)
    return f"{error.message} ({hint})" if hint else error.message
