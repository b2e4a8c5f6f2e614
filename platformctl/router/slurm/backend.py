"""The Slurm back end, over slurmrestd. Ids are Slurm's job ids; the token is the job's comment.

Requests that change something are made as the job's own user; `reader` is only used to read. The router polls
GET /jobs/state once a second (80 bytes a job). It reads the records (8 kB each) of jobs that changed. It also
reads some waiting jobs in turn, because the states have neither their reason nor their estimated start.
Slurm restarts a job of the router by itself only if the Job asks for it (slurm.requeue); otherwise the router
decides about retries.
"""

import time
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
from platformctl.jobs.contents import UnusableError
from platformctl.jobs.model import Refusal, Target
from platformctl.router.backend import (
    Busy,
    Claim,
    Explanation,
    Load,
    Refused,
    Seen,
    Ticket,
    Unavailable,
    UserBusy,
)
from platformctl.router.loop.cached import Cached
from platformctl.router.slurm import states as slurm_states
from platformctl.router.slurm.arrays import Arrays
from platformctl.router.slurm.cluster import Cluster
from platformctl.router.slurm.contents import ReadContents, nothing
from platformctl.router.slurm.errors import unavailable, verdict, words
from platformctl.router.slurm.explain import explanation
from platformctl.router.slurm.ownership import Ownership
from platformctl.router.slurm.waiting import Waiting
from platformctl.vocabulary import FINAL, Phase

# How long the accounting database may lag behind slurmctld; after that, what it does not know counts as lost.
_LATE_SECONDS = 600
# How old fair shares may be that people see. Slurm reckons them once a minute.
_SHARES_SECONDS = 30.0
# ESLURM_ACCOUNTING_POLICY: the user has too many jobs, or the job breaks another limit; it is not said which.
_POLICY = 2050
# Of the errors that mean "not now": the rate limit, which slurmctld has for each user.
_USERS_OWN = frozenset({1804})


class SlurmBackend:
    """See platformctl.router.backend for the protocol."""

    target: Target = Target.SLURM
    reread_after: float | None = None
    # A killed slurmctld loses the jobs that it accepted in its last seconds, and issues their ids again.
    durable: bool = False

    def __init__(
        self,
        client: SlurmRestClient,
        site: str,
        reader: str,
        interval: float,
        read: ReadContents = nothing,
    ) -> None:
        self.interval = interval
        self.client = client
        self.reader = reader
        self._contents = read
        self._arrays = Arrays()
        # Since when the router waits for the accounting database, by job id.
        self._behind: dict[int, float] = {}
        self._cluster = Cluster(client, reader)
        self._shares = Cached(lambda: client.fair_shares(reader), _SHARES_SECONDS)
        self._waiting = Waiting()
        self._ownership = Ownership(client, site, reader, self._waiting.add)
        self._digested: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    async def unfit(self, ticket: Ticket) -> str:
        """Compares the request with the limits and nodes of its partition, as if the nodes were empty."""
        return await self._cluster.unfit(ticket)

    async def load(self) -> Load:
        """Computed from a list of all nodes that is at most a quarter of a minute old."""
        return await self._cluster.load()

    async def submit_held(self, ticket: Ticket) -> str:
        """Submit with one POST, so that no job exists without its held flag and token."""
        user = ticket.user.name
        try:
            contents = await self._contents(ticket)
            dialect = await self.client.dialect(self.reader)
            if refused := [*translation.lacking(ticket.job, dialect), *await self._elsewhere(ticket)]:
                raise Refused("; ".join(map(str, refused)))
            body = translation.submission(
                ticket.job,
                ticket.user,
                ticket.claim.name,
                ticket.claim.token,
                dialect,
                ticket.queue,
                contents,
                ticket.claim.namespace,
            )
            return str(await self.client.submit(user, body))
        except UnusableError as error:
            raise Refused(str(error)) from error
        except SlurmBusyError as error:
            raise (UserBusy if error.number in _USERS_OWN else Busy)(words(error)) from error
        except SlurmUnavailableError as error:
            raise Unavailable(words(error)) from error
        except SlurmError as error:
            # Once the user's other jobs have ended, it can only be the job itself.
            if error.number == _POLICY and await self._ownership.has_jobs(user):
                why = f"Slurm accepts no more jobs of {user} now, or not this one: {error.message}"
                raise UserBusy(why) from error
            raise Refused(f"Slurm: {verdict(error)}") from error

    async def _elsewhere(self, ticket: Ticket) -> list[Refusal]:
        """Why the job is for another cluster, if it names clusters."""
        named = ticket.job.slurm.get("clusters", ())
        if not named:
            return []
        here = await self.client.cluster(self.reader)
        if here in named:
            return []
        why = f"Slurm's cluster here is {here or 'not known by name'}: leave out the names {', '.join(named)}"
        return [Refusal("spec.slurm.clusters", why)]

    async def find(self, claim: Claim) -> list[tuple[Claim, str]]:
        """Found in one list of all states; calls that came before it was requested share it."""
        return [
            (candidate, job_id)
            for candidate, job_id in await self._ownership.unfinished()
            if candidate.token.same_attempt(claim.token) and candidate.user == claim.user
        ]

    async def read(self, claim: Claim, job_id: str) -> Seen | None:
        """Read from slurmctld, or from the accounting database if slurmctld has forgotten the job."""
        number = int(job_id)
        try:
            records = await self.client.records(self.reader, number)
        except UnknownJobError:
            self._ownership.forget(number)
            return await self._forgotten(claim, number)
        except SlurmError as error:
            raise unavailable(error) from error
        self._ownership.learn(records)
        if not slurm_states.carries(records[0], claim):
            return await self._forgotten(claim, number, reissued=True)
        if not slurm_states.array_id(records[0]):
            return slurm_states.seen_components([slurm_states.run_of(record) for record in records])
        return await self._read_array(claim, number, records)

    async def release(self, ticket: Ticket, job_id: str) -> None:
        """As the user. A heterogeneous job's components are held one by one; the first is released last."""
        first, others = int(job_id), list[int]()
        try:
            if ticket.job.components:
                records = await self.client.records(self.reader, first)
                others = [record["job_id"] for record in records if record["job_id"] != first]
            for number in (*others, first):
                await self.client.update(ticket.user.name, number, {"hold": False})
        except SlurmError as error:
            raise unavailable(error) from error

    async def cancel(self, claim: Claim, job_id: str) -> None:
        """Cancel as the user, after comparing the token; an array is cancelled with all its elements."""
        seen = await self.read(claim, job_id)
        if seen is None or seen.phase in FINAL:
            return
        try:
            await self.client.cancel(claim.user, int(job_id))
        except SlurmError as error:
            raise unavailable(error) from error

    async def states(self) -> Mapping[str, str]:
        """From GET /jobs/state; a few waiting jobs are marked as changed, so that they are read again."""
        states = await self._ownership.states()
        if states != self._digested or self._arrays:
            self._digests, self._digested = self._arrays.digests(states, time.monotonic()), states
        return self._waiting.marked(self._digests, self._ownership.ours)

    def phase_of(self, state: str) -> Phase | None:
        """The phase of a job's base state; None for an array's digest."""
        base = state.partition("#")[0].split(",")
        return None if base[0].startswith("array:") else slurm_states.phase(base)

    async def explain(self, ticket: Ticket, job_id: str) -> Explanation:
        """Explained from its record, the other jobs that wait in its partition, and its user's limits."""
        try:
            return await explanation(
                self.client, self.reader, self._cluster, self._shares, ticket, int(job_id)
            )
        except SlurmError as error:
            raise unavailable(error) from error

    async def claimed(self) -> list[tuple[Claim, str]]:
        """Unfinished jobs of this site's routers."""
        return await self._ownership.unfinished()

    async def _read_array(self, claim: Claim, number: int, records: list[dict[str, Any]]) -> Seen:
        runs = [await self._run(record) for record in records]
        own = [record["job_id"] for record in records]
        merged, missing = self._arrays.merge(number, runs, own)
        # A router that just started does not know which elements slurmctld forgot; none if the array is held.
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
            raise unavailable(error) from error
        prefix = f"{record['job_id']}_"
        indices = tuple(int(key.removeprefix(prefix)) for key in states if key.startswith(prefix))
        return slurm_states.run_of(record, indices)

    async def _forgotten(self, claim: Claim, number: int, reissued: bool = False) -> Seen | None:
        """How a job ended that slurmctld no longer has; None if that is unknown.

        reissued: slurmctld gave the id to another job, so it lost this one and will never report its end.
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
        """Raise Unavailable while the accounting database may only lag behind slurmctld."""
        since = self._behind.setdefault(number, time.monotonic())
        if time.monotonic() - since < _LATE_SECONDS:
            raise Unavailable(f"the accounting database does not know yet {what}")

    async def _accounted(self, claim: Claim, number: int) -> list[slurm_states.Run]:
        try:
            rows = await self.client.accounted(self.reader, number)
        except SlurmUnavailableError as error:
            raise Unavailable(words(error)) from error
        except SlurmError:
            return []
        return [slurm_states.accounted_run(row) for row in rows if slurm_states.carries(row, claim)]
