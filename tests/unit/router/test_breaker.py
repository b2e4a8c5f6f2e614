"""What is sent to a back end that is away or full, and when those who wait return."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from platformctl.jobs.model import Target
from platformctl.router import breaker as module
from platformctl.router.backend import Busy, Denied, Refused, Unavailable, UserBusy
from platformctl.router.breaker import Breaker, CircuitOpenError, State
from platformctl.router.loop.queue import Key

ANYTHING: Any = SimpleNamespace(user="alice")
TICKET: Any = SimpleNamespace(user=SimpleNamespace(name="alice"))


class Slurm:
    """A back end that raises what it is told to."""

    target = Target.SLURM
    interval = 1.0
    reread_after = None
    durable = False

    def __init__(self) -> None:
        self.answer: Exception | None = None
        self.calls = 0
        self.most = self._now = 0

    async def read(self, _claim: Any, _job_id: str) -> None:
        await self._called()

    async def submit_held(self, _ticket: Any) -> str:
        await self._called()
        return "7"

    async def _called(self) -> None:
        self.calls += 1
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if self.answer:
            raise self.answer


class Site:
    """A breaker before a back end, and Jobs that look again when woken, as a controller has them do."""

    def __init__(self, looking: bool = True) -> None:
        self.slurm = Slurm()
        self.woken: list[Key] = []
        self.states: list[State] = []
        self._looking = looking
        backend: Any = self.slurm
        self.breaker = Breaker(backend, self.wake, self.states.append)
        self.tasks: set[asyncio.Task[None]] = set()
        self.done: set[Key] = set()
        self._news = asyncio.Event()

    def wake(self, key: Key) -> None:
        self.woken.append(key)
        if self._looking:
            task = asyncio.get_running_loop().create_task(self.reconcile(key))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def reconcile(self, key: Key) -> None:
        try:
            await self.breaker.submit_held(TICKET)
        except CircuitOpenError as error:
            error.circuit.park(key, key[0])
        else:
            self.done.add(key)
            self._news.set()

    async def all_done(self, count: int) -> None:
        while len(self.done) < count:
            self._news.clear()
            await self._news.wait()

    async def fail(self, times: int = 1) -> list[Exception]:
        found: list[Exception] = []
        for _ in range(times):
            try:
                await self.breaker.read(ANYTHING, "7")
            except Exception as error:
                found.append(error)
        return found


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that the tests move; what is due at a tick is due soon."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_TICK", 0.001)
    return now


async def test_after_some_failures_in_a_row_nothing_is_sent() -> None:
    site = Site()
    site.slurm.answer = Unavailable("slurmctld is away")
    first, second, third, fourth = await site.fail(4)
    assert not isinstance(second, CircuitOpenError)
    assert isinstance(third, CircuitOpenError)
    assert third.sent
    assert isinstance(fourth, CircuitOpenError)
    assert not fourth.sent
    assert str(first) == str(fourth) == "slurmctld is away"
    assert (site.slurm.calls, site.breaker.state, site.states) == (3, State.OPEN, [State.OPEN])


async def test_an_answer_in_between_starts_the_count_anew() -> None:
    site = Site()
    for answer in (Unavailable("x"), Unavailable("x"), Refused("no"), Unavailable("x"), Unavailable("x")):
        site.slurm.answer = answer
        await site.fail()
    assert site.breaker.state is State.CLOSED


async def test_what_is_denied_to_one_job_closes_the_way_for_none() -> None:
    site = Site()
    site.slurm.answer = Denied("access denied")
    found = await site.fail(5)
    assert [type(error) for error in found] == [Denied] * 5
    assert (site.slurm.calls, site.breaker.state) == (5, State.CLOSED)


async def test_probes_come_later_and_later_and_one_at_a_time(clock: list[float]) -> None:
    site = Site()
    site.slurm.answer = Unavailable("x")
    await site.fail(3)
    sent = []
    for second in range(200):
        clock[0] = 1000.0 + second
        before = site.slurm.calls
        await asyncio.gather(*(site.fail() for _ in range(20)))
        assert site.slurm.calls - before <= 1
        if site.slurm.calls > before:
            sent.append(second)
    assert sent == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181]


async def test_a_probe_that_answers_closes_it(clock: list[float]) -> None:
    site = Site()
    site.slurm.answer = Unavailable("x")
    await site.fail(3)
    clock[0] += 1
    site.slurm.answer = None
    assert await site.fail(5) == []
    assert site.states == [State.OPEN, State.HALF_OPEN, State.CLOSED]


async def test_a_probe_that_is_cut_off_is_made_again(clock: list[float]) -> None:
    site = Site()
    site.slurm.answer = Unavailable("x")
    await site.fail(3)
    clock[0] += 1
    probe = asyncio.create_task(site.fail())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert site.breaker.state is State.OPEN
    clock[0] += 1
    site.slurm.answer = None
    assert await site.fail() == []


async def test_ten_thousand_parked_jobs_send_probes_only_and_all_return(clock: list[float]) -> None:
    site = Site()
    site.slurm.answer = Unavailable("x")
    await site.fail(3)
    keys = [("ns", str(number)) for number in range(10_000)]
    for key in keys:
        await site.reconcile(key)
    assert site.slurm.calls == 3
    for _ in range(600):
        clock[0] += 1
        # A tick and more, for what is due by then.
        await asyncio.sleep(0.002)
    assert site.slurm.calls < 40
    site.slurm.answer = None
    clock[0] += 30
    async with asyncio.timeout(20):
        await site.all_done(len(keys))
    assert site.slurm.most <= 16
    assert len(site.woken) < len(keys) + 100


async def test_a_full_back_end_gets_no_submissions_but_is_asked_all_the_rest() -> None:
    site = Site()
    site.slurm.answer = Busy("MaxJobCount is reached")
    with pytest.raises(CircuitOpenError) as caught:
        await site.breaker.submit_held(TICKET)
    assert not caught.value.sent
    with pytest.raises(CircuitOpenError, match="MaxJobCount"):
        await site.breaker.submit_held(TICKET)
    assert (site.slurm.calls, site.breaker.state) == (1, State.CLOSED)
    site.slurm.answer = None
    assert await site.fail(3) == []
    assert site.slurm.calls == 4


async def test_who_was_turned_away_returns_at_the_speed_at_which_others_are_taken(clock: list[float]) -> None:
    site = Site(looking=False)
    site.slurm.answer = Busy("full")
    for number in range(100):
        await site.reconcile(("ns", str(number)))
    clock[0] += 1
    async with asyncio.timeout(5):
        while not site.woken:  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0.001)
    before = len(site.woken)
    site.slurm.answer = None
    await site.reconcile(("ns", "probe"))
    assert site.breaker._submissions.state is State.CLOSED
    assert len(site.woken) == before + 2


async def test_outages_while_a_submission_asks_are_told_apart(clock: list[float]) -> None:
    """A probe of a full back end that meets an outage leaves both circuits open."""
    site = Site()
    site.slurm.answer = Busy("full")
    await site.reconcile(("ns", "a"))
    clock[0] += 1
    site.slurm.answer = Unavailable("away")
    with pytest.raises(Unavailable, match="away"):
        await site.breaker.submit_held(TICKET)
    with pytest.raises(CircuitOpenError, match="full"):
        await site.breaker.submit_held(TICKET)


async def test_a_user_who_has_too_many_jobs_stops_nobody_else() -> None:
    site = Site(looking=False)
    site.slurm.answer = UserBusy("Slurm accepts no more jobs of alice now")
    bobs: Any = SimpleNamespace(user=SimpleNamespace(name="bob"))
    with pytest.raises(CircuitOpenError) as first:
        await site.breaker.submit_held(TICKET)
    assert not first.value.sent
    site.slurm.answer = None
    with pytest.raises(CircuitOpenError, match="no more jobs of alice"):
        await site.breaker.submit_held(TICKET)
    assert await site.breaker.submit_held(bobs) == "7"
    assert site.slurm.calls == 2
    assert site.breaker.state is State.CLOSED


async def test_parked_jobs_return_in_turn_by_user() -> None:
    site = Site(looking=False)
    site.slurm.answer = Busy("full")
    with pytest.raises(CircuitOpenError) as full:
        await site.breaker.submit_held(TICKET)
    for number in range(100):
        full.value.circuit.park(("alice", str(number)), "alice")
    full.value.circuit.park(("bob", "0"), "bob")
    circuit = full.value.circuit
    circuit._release(3)
    assert site.woken == [("alice", "0"), ("bob", "0"), ("alice", "1")]
