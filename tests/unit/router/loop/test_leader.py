"""One of several routers leads, whatever the API server answers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from platformctl.clients.kubernetes import AlreadyExistsError, ConflictError, NotFoundError, UnavailableError
from platformctl.router.loop.leader import Election, Terms

TERMS = Terms(duration=1, patience=0.3, retry=0.05)


class Leases:
    """The API server's one lease. away: it does not answer; swallow: it does what it is told in silence."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False
        self.swallow = False
        self.writes = 0

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        self._answer()
        if self.lease is None:
            raise NotFoundError(404, "NotFound", "")
        return self.lease

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        if self.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "")
        return self._store(body["spec"])

    async def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        assert self.lease is not None
        if patch["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "")
        stored = self._store(self.lease["spec"] | patch["spec"])
        if self.swallow:
            raise UnavailableError(504, "Timeout", "")
        return stored

    def _store(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        self.lease = {"metadata": {"resourceVersion": str(self.version)}, "spec": spec}
        return self.lease

    def _answer(self) -> None:
        if self.away:
            raise UnavailableError(0, "Unreachable", "")

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""


class Candidate:
    """A router that only notes when it works."""

    def __init__(self, leases: Leases, identity: str) -> None:
        self.election = Election(leases, "ns", "router", identity, TERMS)
        self.works = False
        self.task = asyncio.create_task(self.election.run(self._work))

    async def _work(self) -> None:
        self.works = True
        try:
            await asyncio.Event().wait()
        finally:
            self.works = False

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while True:
            if check():
                return
            await asyncio.sleep(0.005)


async def test_one_of_two_works_and_renews() -> None:
    leases = Leases()
    first, second = Candidate(leases, "a_1"), Candidate(leases, "b_1")
    await until(lambda: first.works or second.works)
    writes = leases.writes
    await until(lambda: leases.writes > writes + 3)
    assert first.works != second.works
    await first.stop()
    await second.stop()


async def test_a_holder_that_dies_is_followed_when_its_lease_ran_out() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    second = Candidate(leases, "b_1")
    await first.stop()
    begun = asyncio.get_running_loop().time()
    await until(lambda: second.works)
    # Renewals count from when the second saw the last of them.
    assert TERMS.duration * 0.7 < asyncio.get_running_loop().time() - begun < TERMS.duration + 4 * TERMS.retry
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1
    await second.stop()


async def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    second = Candidate(leases, "b_1")
    await first.stop()
    await first.election.give_back()
    begun = asyncio.get_running_loop().time()
    await until(lambda: second.works)
    assert asyncio.get_running_loop().time() - begun < TERMS.duration / 2
    await second.stop()


async def test_the_next_process_of_the_same_pod_does_not_wait() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    await first.stop()
    begun = asyncio.get_running_loop().time()
    again = Candidate(leases, "a_2")
    await until(lambda: again.works)
    assert asyncio.get_running_loop().time() - begun < TERMS.duration / 2
    await again.stop()


async def test_a_holder_that_cannot_renew_stops_before_another_begins() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    leases.away = True
    begun = asyncio.get_running_loop().time()
    await until(lambda: not first.works)
    assert asyncio.get_running_loop().time() - begun < TERMS.patience + 3 * TERMS.retry < TERMS.duration
    leases.away = False
    await until(lambda: first.works)
    await first.stop()


async def test_a_holder_whose_lease_was_taken_stops_at_once() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    leases._store({"holderIdentity": "b_1", "leaseDurationSeconds": 60})
    await until(lambda: not first.works)
    # Time to take it back, if it did.
    await asyncio.sleep(TERMS.retry * 4)
    assert leases.holder == "b_1"
    assert not first.works
    await first.stop()


async def test_a_renewal_whose_answer_was_lost_is_still_one() -> None:
    leases = Leases()
    first = Candidate(leases, "a_1")
    await until(lambda: first.works)
    leases.swallow = True
    writes = leases.writes
    await until(lambda: leases.writes > writes)
    leases.swallow = False
    await until(lambda: leases.writes > writes + 3)
    assert first.works
    await first.stop()
