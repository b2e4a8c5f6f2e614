"""What the Slurm back end promises beside what all do, whatever slurmrestd it speaks to.

A module that imports these tests gives a fixture `slurm`. So the stand-in, which the fault tests rest
on, is held to what the real slurmrestd does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from platformctl.jobs.model import User
from platformctl.router.backend import Ticket
from platformctl.router.slurm.backend import SlurmBackend
from platformctl.vocabulary import FINAL, Phase
from tests.contracts.backend import *  # noqa: F403
from tests.contracts.backend import Subject, found_ids


@dataclass
class SlurmWorld:
    """A back end and its user. finish: has a job or an element end, where they do not end by themselves."""

    backend: SlurmBackend
    user: User
    site: str
    finish: Callable[[str, int | None, int], None] = lambda _job_id, _index, _code: None

    @property
    def subject(self) -> Subject:
        """The same for the tests that hold for every back end."""

        async def finish(job_id: str, codes: dict[int | None, int]) -> None:
            for index, code in codes.items():
                self.finish(job_id, index, code)

        return Subject(self.backend, self.user, self.site, _nowhere, "partition", finish)

    def ticket(self, **spec: object) -> Ticket:
        """A new Job's first attempt."""
        return self.subject.ticket(**spec)


def _nowhere(ticket: Ticket) -> Ticket:
    return replace(ticket, job=replace(ticket.job, queue="nowhere"))


@pytest.fixture
def subject(slurm: SlurmWorld) -> Subject:
    return slurm.subject


async def test_both_outputs_go_to_one_file_in_the_home(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    seen = await slurm.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert seen.output == f"{slurm.user.home}/contract-{job_id}.out"
    await slurm.backend.cancel(ticket.claim, job_id)


async def test_a_claim_knows_its_user(slurm: SlurmWorld) -> None:
    job_id = await slurm.backend.submit_held(slurm.ticket())
    (claim,) = [claim for claim, found in await slurm.backend.claimed() if found == job_id]
    assert claim.user == slurm.user.name
    await slurm.backend.cancel(claim, job_id)


async def test_a_token_that_another_user_wrote_proves_nothing(slurm: SlurmWorld) -> None:
    """Comments are the users' own to write, and the uid in a token is no secret."""
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    victim = replace(ticket.claim, user="somebody-else")
    assert await found_ids(slurm.backend, ticket.claim) == [job_id]
    assert await found_ids(slurm.backend, victim) == []
    assert await slurm.backend.read(victim, job_id) is None
    await slurm.backend.cancel(ticket.claim, job_id)


async def test_an_id_that_slurm_never_gave_is_nobodys(slurm: SlurmWorld) -> None:
    assert await slurm.backend.read(slurm.ticket().claim, "99999999") is None


async def test_a_partition_that_is_not_there_is_named(slurm: SlurmWorld) -> None:
    assert "no partition nowhere" in await slurm.backend.unfit(_nowhere(slurm.ticket()))


async def test_a_router_that_just_began_knows_an_array_as_well(slurm: SlurmWorld) -> None:
    ticket = slurm.ticket(array="1,3")
    job_id = await slurm.subject.released(ticket)
    await slurm.subject.finish(job_id, {1: 1, 3: 3})
    first = await slurm.subject.until(ticket, job_id, *FINAL)
    begun = SlurmBackend(slurm.backend.client, slurm.site, slurm.backend.reader, 1.0)
    again = await begun.read(ticket.claim, job_id)
    assert again is not None
    assert (again.phase, again.tasks) == (Phase.FAILED, first.tasks)
