"""The promises of the Slurm back end, kept with the stand-in for slurmrestd."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp.test_utils import TestServer

from platformctl.clients.slurmrestd import SlurmError, SlurmRestClient, SlurmUnavailableError, TokenMinter
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.backend import Busy, Ticket, Unavailable
from platformctl.router.slurm.backend import SlurmBackend
from platformctl.vocabulary import Phase
from tests.contracts.backend import found_ids
from tests.contracts.slurm_backend import *  # noqa: F403
from tests.contracts.slurm_backend import SlurmWorld
from tests.fakes.slurmrestd import FakeSlurm
from tests.integration.router.world import ALICE, SITE


@pytest.fixture
def fake() -> FakeSlurm:
    return FakeSlurm()


@pytest.fixture
async def client(fake: FakeSlurm) -> AsyncIterator[SlurmRestClient]:
    async with AsyncExitStack() as stack:
        server = TestServer(fake.app())
        await server.start_server()
        stack.push_async_callback(server.close)
        address = str(server.make_url(""))
        yield await stack.enter_async_context(SlurmRestClient(address, TokenMinter(b"k" * 32), DIALECTS))


@pytest.fixture
def slurm(fake: FakeSlurm, client: SlurmRestClient) -> SlurmWorld:
    backend = SlurmBackend(client, SITE, "slurm", 1.0)

    def finish(job_id: str, index: int | None, code: int) -> None:
        if index is None:
            fake.finish(int(job_id), code)
        else:
            fake.finish_element(int(job_id), index, code)

    return SlurmWorld(backend, ALICE, SITE, finish)


async def test_slurmctld_away_is_unavailable_at_every_call(fake: FakeSlurm, slurm: SlurmWorld) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    fake.away = True
    for call in (
        slurm.backend.submit_held(ticket),
        slurm.backend.find(ticket.claim),
        slurm.backend.read(ticket.claim, job_id),
        slurm.backend.release(ticket, job_id),
        slurm.backend.cancel(ticket.claim, job_id),
        slurm.backend.states(),
        slurm.backend.claimed(),
    ):
        with pytest.raises(Unavailable, match="slurmctld is away"):
            await call


async def test_slurmrestd_away_is_unavailable() -> None:
    async with SlurmRestClient("http://127.0.0.1:9", TokenMinter(b"k" * 32), DIALECTS) as client:
        with pytest.raises(SlurmUnavailableError, match="slurmrestd is away"):
            await client.states("slurm")


async def test_a_strangers_cancel_is_told_though_the_answer_is_200(
    client: SlurmRestClient, slurm: SlurmWorld
) -> None:
    job_id = await slurm.backend.submit_held(slurm.ticket())
    with pytest.raises(SlurmError, match="permission denied"):
        await client.cancel("bob", int(job_id))


async def test_many_who_look_for_tokens_share_one_list(fake: FakeSlurm, slurm: SlurmWorld) -> None:
    import asyncio

    tickets = [slurm.ticket() for _ in range(20)]
    ids = [await slurm.backend.submit_held(ticket) for ticket in tickets]
    before = fake.requests
    found = await asyncio.gather(*(found_ids(slurm.backend, ticket.claim) for ticket in tickets))
    assert found == [[job_id] for job_id in ids]
    # States and records for the first, states for those that asked while it was answered.
    assert fake.requests - before <= 3
    before = fake.requests
    await slurm.backend.claimed()
    assert fake.requests - before == 1


async def test_a_look_for_tokens_hides_no_change_from_the_next_look_at_states(
    fake: FakeSlurm, slurm: SlurmWorld
) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.backend.submit_held(ticket)
    before = (await slurm.backend.states())[job_id]
    await slurm.backend.release(ticket, job_id)
    await slurm.backend.claimed()
    assert (await slurm.backend.states())[job_id] != before


async def test_jobs_that_wait_are_read_again_in_turn(fake: FakeSlurm, slurm: SlurmWorld) -> None:
    tickets = [slurm.ticket() for _ in range(3)]
    ids = [await slurm.backend.submit_held(ticket) for ticket in tickets]
    for ticket, job_id in zip(tickets, ids, strict=True):
        await slurm.backend.read(ticket.claim, job_id)
    looks = [await slurm.backend.states() for _ in range(4)]
    for job_id in ids:
        assert len({look[job_id] for look in looks}) > 1
        assert {slurm.backend.phase_of(look[job_id]) for look in looks} == {Phase.QUEUED}


async def test_what_slurm_lost_and_gave_to_another_is_known_again(fake: FakeSlurm, slurm: SlurmWorld) -> None:
    """The id is issued again while nobody looks: whose it was is not believed any longer."""
    lost = slurm.ticket()
    job_id = await slurm.backend.submit_held(lost)
    assert await found_ids(slurm.backend, lost.claim) == [job_id]
    fake.lose(int(job_id))
    await slurm.backend.states()
    theirs = slurm.ticket()
    assert await slurm.backend.submit_held(theirs) == job_id
    assert await found_ids(slurm.backend, theirs.claim) == [job_id]
    assert await found_ids(slurm.backend, lost.claim) == []


async def test_what_is_full_is_told_apart_from_what_is_away(fake: FakeSlurm, slurm: SlurmWorld) -> None:
    fake.max_jobs = 0
    with pytest.raises(Busy, match="MaxJobCount"):
        await slurm.backend.submit_held(slurm.ticket())


async def half_an_array(fake: FakeSlurm, slurm: SlurmWorld) -> tuple[Ticket, str]:
    """An array whose first element failed and was forgotten, while the second has not ended."""
    ticket = slurm.ticket(array="0-1")
    job_id = await slurm.subject.released(ticket)
    fake.finish_element(int(job_id), 0, 3)
    (failed,) = (job.job_id for job in fake.jobs.values() if job.indices == (0,))
    fake.purge(failed)
    return ticket, job_id


async def test_a_router_that_began_while_the_database_was_away_asks_it_again(
    fake: FakeSlurm, client: SlurmRestClient, slurm: SlurmWorld
) -> None:
    ticket, job_id = await half_an_array(fake, slurm)
    begun = SlurmBackend(client, SITE, "slurm", 1.0)
    fake.database_away = True
    with pytest.raises(Unavailable):
        await begun.read(ticket.claim, job_id)
    fake.database_away = False
    fake.finish_element(int(job_id), 1)
    seen = await begun.read(ticket.claim, job_id)
    assert seen is not None
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, 3)


async def test_a_router_that_began_asks_for_what_ended_before_the_elements_that_wait(
    fake: FakeSlurm, client: SlurmRestClient, slurm: SlurmWorld
) -> None:
    ticket, job_id = await half_an_array(fake, slurm)
    (waiting,) = (job for job in fake.jobs.values() if job.indices == (1,))
    waiting.state = "PENDING"
    begun = SlurmBackend(client, SITE, "slurm", 1.0)
    seen = await begun.read(ticket.claim, job_id)
    assert seen is not None
    assert seen.tasks is not None
    assert (seen.tasks.waiting, seen.tasks.failed) == (1, 1)


async def test_a_forgotten_job_is_not_lost_while_the_database_is_away(
    fake: FakeSlurm, slurm: SlurmWorld
) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.subject.released(ticket)
    fake.finish(int(job_id))
    fake.purge(int(job_id))
    fake.database_away = True
    with pytest.raises(Unavailable):
        await slurm.backend.read(ticket.claim, job_id)
    fake.database_away = False
    seen = await slurm.backend.read(ticket.claim, job_id)
    assert seen is not None
    assert seen.phase is Phase.SUCCEEDED


async def test_a_forgotten_job_is_not_lost_while_its_end_is_not_in_the_database(
    fake: FakeSlurm, slurm: SlurmWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = slurm.ticket()
    job_id = await slurm.subject.released(ticket)
    fake.purge(int(job_id))
    with pytest.raises(Unavailable, match="does not know yet"):
        await slurm.backend.read(ticket.claim, job_id)
    monkeypatch.setattr("platformctl.router.slurm.backend._LATE_SECONDS", 0)
    assert await slurm.backend.read(ticket.claim, job_id) is None
