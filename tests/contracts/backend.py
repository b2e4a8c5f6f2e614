"""What every back end promises (platformctl.router.backend), whatever scheduler it stands before.

A module that imports these tests gives a fixture `subject`. A scheduler whose jobs do not end by
themselves is helped by Subject.finish; where they do, the job's script ends with the code that is expected.
A new back end needs nothing but such a fixture to be held to the protocol.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from platformctl.jobs.model import JobSpec, Resources, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Backend, Claim, Refused, Seen, Tasks, Ticket
from platformctl.vocabulary import FINAL, Phase

# Each index is the exit code of its element; a job that is no array ends with 5.
SCRIPT = "#!/bin/bash\nexit ${KFOUNDRY_INDEX:-5}\n"
CODE = 5
_SECONDS = 90


async def _by_itself(_job_id: str, _codes: dict[int | None, int]) -> None:
    """Jobs end without help."""


@dataclass
class Subject:
    """A back end with what a test needs to use it.

    finish: has a released job end with these exit codes, by index, None for a job that is no array.
    refused: what to change of a ticket to have it refused, and a part of what is said then.
    """

    backend: Backend
    user: User
    site: str
    refused: Callable[[Ticket], Ticket]
    words: str
    finish: Callable[[str, dict[int | None, int]], Awaitable[None]] = _by_itself

    def ticket(self, **spec: object) -> Ticket:
        """A new Job's first attempt."""
        job = parse({"script": SCRIPT, **spec})
        assert isinstance(job, JobSpec), job
        token = Token(self.site, str(uuid.uuid4()), 1)
        return Ticket(Claim(token, "default", "contract", self.user.name), job, self.user)

    async def released(self, ticket: Ticket) -> str:
        """Submit and release."""
        job_id = await self.backend.submit_held(ticket)
        await self.backend.release(ticket, job_id)
        return job_id

    async def until(self, ticket: Ticket, job_id: str, *phases: Phase) -> Seen:
        """Read until the job is in one of the phases."""
        async with asyncio.timeout(_SECONDS):
            while True:
                seen = await self.backend.read(ticket.claim, job_id)
                if seen is not None and seen.phase in phases:
                    return seen
                await asyncio.sleep(0.2)

    async def over(self, ticket: Ticket, job_id: str) -> Seen | None:
        """Read until the job has ended, or is gone."""
        async with asyncio.timeout(_SECONDS):
            while True:
                seen = await self.backend.read(ticket.claim, job_id)
                if seen is None or seen.phase in FINAL:
                    return seen
                await asyncio.sleep(0.2)

    async def changed(self, job_id: str, state: str) -> str | None:
        """Ask for states until that of the job is another."""
        async with asyncio.timeout(_SECONDS):
            while True:
                now = (await self.backend.states()).get(job_id)
                if now != state:
                    return now
                await asyncio.sleep(0.2)


async def found_ids(backend: Backend, claim: Claim) -> list[str]:
    """Ids of the unfinished jobs of an attempt."""
    return [job_id for _, job_id in await backend.find(claim)]


def other(claim: Claim) -> Claim:
    """A claim of another Job."""
    return replace(claim, token=replace(claim.token, uid=str(uuid.uuid4())))


def copy_of(ticket: Ticket) -> Ticket:
    """For one more submission of the same attempt."""
    return replace(ticket, claim=replace(ticket.claim, token=ticket.claim.token.another_submission()))


async def test_a_submitted_job_is_held_and_found_by_its_token(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.backend.submit_held(ticket)
    assert 0 < len(job_id) <= 253
    seen = await subject.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.held, seen.phase, seen.started) == (True, Phase.QUEUED, None)
    assert await found_ids(subject.backend, ticket.claim) == [job_id]
    assert await found_ids(subject.backend, other(ticket.claim)) == []
    claimed = {found: claim for claim, found in await subject.backend.claimed()}
    assert claimed[job_id].token == ticket.claim.token
    await subject.backend.cancel(ticket.claim, job_id)


async def test_what_is_submitted_twice_is_found_whole(subject: Subject) -> None:
    """One job where an attempt is taken only once; else two, and both are told."""
    ticket = subject.ticket()
    ids = {await subject.backend.submit_held(ticket) for _ in range(2)}
    assert len(ids) == (1 if subject.backend.durable else 2)
    assert set(await found_ids(subject.backend, ticket.claim)) == ids
    for job_id in ids:
        await subject.backend.cancel(ticket.claim, job_id)


async def test_each_copy_of_an_attempt_is_told_from_the_others(subject: Subject) -> None:
    if subject.backend.durable:
        pytest.skip("takes an attempt only once, as the test before proves: no copies to tell apart")
    first = copy_of(subject.ticket())
    second = copy_of(first)
    ids = {await subject.backend.submit_held(ticket): ticket.claim for ticket in (first, second)}
    assert {job_id: claim.token for claim, job_id in await subject.backend.find(second.claim)} == {
        job_id: claim.token for job_id, claim in ids.items()
    }
    for job_id, claim in ids.items():
        (another,) = (ticket.claim for ticket in (first, second) if ticket.claim is not claim)
        assert await subject.backend.read(another, job_id) is None
        assert await subject.backend.read(claim, job_id) is not None
        await subject.backend.cancel(claim, job_id)


async def test_an_id_without_the_token_is_nobodys(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.backend.submit_held(ticket)
    stranger = other(ticket.claim)
    assert await subject.backend.read(stranger, job_id) is None
    await subject.backend.cancel(stranger, job_id)
    seen = await subject.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert seen.held
    await subject.backend.cancel(ticket.claim, job_id)


async def test_a_released_job_runs_and_its_end_is_told(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.released(ticket)
    await subject.backend.release(ticket, job_id)
    await subject.finish(job_id, {None: CODE})
    seen = await subject.until(ticket, job_id, *FINAL)
    assert (seen.phase, seen.exit_code, seen.held) == (Phase.FAILED, CODE, False)
    assert seen.reason
    assert seen.nodes
    assert seen.started is not None
    assert seen.ended is not None
    assert seen.ended >= seen.started
    assert seen.usage is not None
    assert (seen.again, seen.overran) == (False, False)
    assert await found_ids(subject.backend, ticket.claim) == []


async def test_states_change_when_there_is_something_to_read(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.backend.submit_held(ticket)
    held = (await subject.backend.states())[job_id]
    assert subject.backend.phase_of(held) in (None, Phase.QUEUED)
    await subject.backend.release(ticket, job_id)
    await subject.finish(job_id, {None: CODE})
    await subject.until(ticket, job_id, *FINAL)
    ended = await subject.changed(job_id, held)
    assert ended is None or subject.backend.phase_of(ended) in (None, Phase.FAILED)


async def test_a_cancelled_job_ends_and_may_be_cancelled_again(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.released(ticket)
    await subject.backend.cancel(ticket.claim, job_id)
    await subject.over(ticket, job_id)
    await subject.backend.cancel(ticket.claim, job_id)
    assert await found_ids(subject.backend, ticket.claim) == []
    assert job_id not in [found for _, found in await subject.backend.claimed()]


async def test_a_job_cancelled_before_its_start_has_no_exit_code(subject: Subject) -> None:
    for spec in ({}, {"array": "0-2"}):
        ticket = subject.ticket(**spec)
        job_id = await subject.backend.submit_held(ticket)
        await subject.backend.cancel(ticket.claim, job_id)
        seen = await subject.over(ticket, job_id)
        assert seen is None or (seen.phase, seen.exit_code, seen.started) == (Phase.CANCELLED, None, None)


async def test_what_can_never_run_is_refused_and_nothing_is_left(subject: Subject) -> None:
    ticket = subject.refused(subject.ticket())
    with pytest.raises(Refused, match=subject.words):
        await subject.backend.submit_held(ticket)
    assert await found_ids(subject.backend, ticket.claim) == []


async def test_an_array_is_one_job_whose_elements_are_told(subject: Subject) -> None:
    ticket = subject.ticket(array="0-2")
    job_id = await subject.backend.submit_held(ticket)
    seen = await subject.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.held, seen.tasks) == (True, Tasks(waiting=3))
    assert await found_ids(subject.backend, ticket.claim) == [job_id]
    assert [
        found for claim, found in await subject.backend.claimed() if claim.token == ticket.claim.token
    ] == [job_id]
    await subject.backend.release(ticket, job_id)
    before = (await subject.backend.states())[job_id]
    await subject.finish(job_id, {0: 0, 1: 1, 2: 2})
    seen = await subject.until(ticket, job_id, *FINAL)
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, 1)
    assert seen.tasks == Tasks(succeeded=1, failed=2, exit_codes=((1, 1), (2, 2)))
    assert seen.usage is not None
    assert (await subject.backend.states()).get(job_id) != before
    assert await found_ids(subject.backend, ticket.claim) == []


async def test_an_array_is_cancelled_as_a_whole(subject: Subject) -> None:
    ticket = subject.ticket(array="0-2")
    job_id = await subject.backend.submit_held(ticket)
    await subject.backend.cancel(ticket.claim, job_id)
    seen = await subject.over(ticket, job_id)
    assert seen is None or seen.phase is Phase.CANCELLED
    assert await found_ids(subject.backend, ticket.claim) == []


async def test_what_no_node_could_hold_is_named(subject: Subject) -> None:
    assert await subject.backend.unfit(subject.ticket()) == ""
    limits = {"cpu": "5000", "nvidia.com/gpu": "900"}
    resources = Resources(millicores=5000 * 1000, gpus=900, limits=limits)
    absurd = replace(subject.ticket().job, resources=resources)
    why = await subject.backend.unfit(replace(subject.ticket(), job=absurd))
    assert "cpu 5000" in why
    assert "nvidia.com/gpu 900" in why


async def test_the_load_is_a_part_of_the_whole(subject: Subject) -> None:
    load = await subject.backend.load()
    assert 0 <= load.cpus <= 1
    assert load.gpus is None or 0 <= load.gpus <= 1


async def test_a_job_that_waits_is_explained(subject: Subject) -> None:
    ticket = subject.ticket()
    job_id = await subject.backend.submit_held(ticket)
    explanation = await subject.backend.explain(ticket, job_id)
    assert explanation.sentences
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in explanation.sentences)
    await subject.backend.cancel(ticket.claim, job_id)
