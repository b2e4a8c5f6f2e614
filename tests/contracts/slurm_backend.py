"""What the Slurm back end promises, whatever slurmrestd it speaks to: the real one, or the stand-in.

A module that imports these tests gives a fixture `slurm`. So the stand-in, which the fault tests rest
on, is held to what the real one does.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import FINAL, Claim, Phase, Refused, Seen, Ticket
from platformctl.router.slurm import SlurmBackend


@dataclass
class SlurmWorld:
    """A back end and its user. finish: has a job end with a code, where jobs do not end by themselves."""

    backend: SlurmBackend
    user: User
    site: str
    finish: Callable[[str, int], None] = lambda _job_id, _code: None

    def ticket(self, **spec: object) -> Ticket:
        job = parse({"script": "#!/bin/bash\nexit 5\n", **spec})
        assert isinstance(job, JobSpec), job
        token = Token(self.site, str(uuid.uuid4()), 1)
        return Ticket(Claim(token, "default", "contract", self.user.name), job, self.user)

    async def ended(self, ticket: Ticket, job_id: str) -> Seen:
        async with asyncio.timeout(60):
            while True:
                seen = await self.backend.read(ticket.claim, job_id)
                if seen is not None and seen.phase in FINAL:
                    return seen
                await asyncio.sleep(0.2)


def other(claim: Claim) -> Claim:
    """A claim of another Job."""
    return replace(claim, token=replace(claim.token, uid=str(uuid.uuid4())))


async def test_a_submitted_job_is_held_and_found_by_its_token(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    seen = await slurm.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.held, seen.phase) == (True, Phase.QUEUED)
    assert seen.output == f"{slurm.user.home}/contract-{job_id}.out"
    assert await slurm.backend.find(ticket.claim) == [job_id]
    assert await slurm.backend.find(other(ticket.claim)) == []
    assert job_id in await slurm.backend.states()
    claimed = {found: claim for claim, found in await slurm.backend.claimed()}
    assert claimed[job_id].token == ticket.claim.token
    assert claimed[job_id].user == slurm.user.name
    await slurm.backend.cancel(ticket.claim, job_id)


async def test_an_id_without_the_token_is_nobodys(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    stranger = other(ticket.claim)
    assert await slurm.backend.read(stranger, job_id) is None
    await slurm.backend.cancel(stranger, job_id)
    seen = await slurm.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert seen.held
    await slurm.backend.cancel(ticket.claim, job_id)
    assert await slurm.backend.read(ticket.claim, "99999999") is None


async def test_a_released_job_runs_and_its_end_is_told(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    await slurm.backend.release(ticket, job_id)
    await slurm.backend.release(ticket, job_id)
    slurm.finish(job_id, 5)
    seen = await slurm.ended(ticket, job_id)
    assert (seen.phase, seen.exit_code, seen.held) == (Phase.FAILED, 5, False)
    assert seen.nodes
    assert seen.started is not None
    assert seen.ended is not None
    assert seen.ended >= seen.started
    assert await slurm.backend.find(ticket.claim) == []


async def test_a_cancelled_job_ends_and_may_be_cancelled_again(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    await slurm.backend.cancel(ticket.claim, job_id)
    seen = await slurm.ended(ticket, job_id)
    assert (seen.phase, seen.held) == (Phase.CANCELLED, False)
    await slurm.backend.cancel(ticket.claim, job_id)
    assert await slurm.backend.find(ticket.claim) == []


async def test_an_unknown_queue_is_refused_and_nothing_is_left(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket(queue="nowhere")
    with pytest.raises(Refused, match="partition"):
        await slurm.backend.submit_held(ticket)
    assert await slurm.backend.find(ticket.claim) == []
