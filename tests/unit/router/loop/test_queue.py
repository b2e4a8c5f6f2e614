import asyncio
import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from platformctl.router.loop.queue import Key, RetryLater, WorkQueue

A, B = ("ns", "a"), ("ns", "b")


async def run_until(done: Callable[[], bool], queue: WorkQueue, work: object, more: float = 0.03) -> None:
    """Work until it is done, and some seconds more, in which what is too much would show."""
    task = asyncio.create_task(queue.run(work))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(5):
            while not done():  # noqa: ASYNC110  (what is waited for has no event)
                await asyncio.sleep(0.002)
        await asyncio.sleep(more)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue, done = WorkQueue(workers=4), Counter[Key]()

    async def work(key: Key) -> None:
        done[key] += 1

    for _ in range(5):
        queue.add(A)
    queue.add(B)
    await run_until(lambda: len(done) == 2, queue, work)
    assert done == {A: 1, B: 1}


async def test_a_key_is_never_worked_on_twice_at_once_and_news_is_not_lost() -> None:
    queue, busy, looks = WorkQueue(workers=4), 0, 0

    async def work(_key: Key) -> None:
        nonlocal busy, looks
        busy += 1
        assert busy == 1
        looks += 1
        if looks == 1:
            queue.add(A)
            queue.add(A)
        await asyncio.sleep(0.01)
        busy -= 1

    queue.add(A)
    await run_until(lambda: looks == 2, queue, work)
    assert looks == 2


async def test_work_says_when_it_wants_to_look_again() -> None:
    queue, looks = WorkQueue(workers=4), 0

    async def work(_key: Key) -> float | None:
        nonlocal looks
        looks += 1
        return 0.02 if looks < 4 else None

    queue.add(A)
    await run_until(lambda: looks == 4, queue, work)
    assert looks == 4


async def test_failures_come_back_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformctl.router.loop.queue.FIRST_DELAY", 0.01)
    monkeypatch.setattr("platformctl.router.loop.queue.MAX_DELAY", 0.04)
    queue, times = WorkQueue(workers=4), []

    async def work(_key: Key) -> None:
        times.append(asyncio.get_running_loop().time())
        raise RetryLater("away")

    queue.add(A)
    await run_until(lambda: len(times) == 6, queue, work)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps[3:]) > 0.018


async def test_an_earlier_appointment_holds() -> None:
    queue, looks = WorkQueue(workers=4), 0

    async def work(_key: Key) -> None:
        nonlocal looks
        looks += 1

    queue.add(A, 0.02)
    queue.add(A, 10)
    queue.add(B, 10)
    queue.add(B, 0.02)
    await run_until(lambda: looks == 2, queue, work)
    assert looks == 2


async def test_what_is_urgent_goes_first_and_the_rest_gets_its_turns() -> None:
    queue = WorkQueue()
    order: list[str] = []

    async def work(key: Key) -> None:
        order.append(key[1])

    for number in range(6):
        queue.add(("ns", f"news-{number}"), urgent=False)
    for number in range(6):
        queue.add(("ns", f"new-{number}"))
    queue.add(("ns", "news-5"))
    queue.add(("ns", "new-0"), urgent=False)
    await run_until(lambda: len(order) == 12, queue, work)
    assert sorted(order) == sorted({*order})
    assert len(order) == 12
    assert order[:4] == ["new-0", "new-1", "new-2", "news-0"]
    assert order.index("news-5") < order.index("news-3")


async def test_an_appointment_is_void_once_its_key_was_looked_at() -> None:
    queue, looks = WorkQueue(workers=4), 0

    async def work(_key: Key) -> None:
        nonlocal looks
        looks += 1

    queue.add(A, 0.05)
    queue.add(A)
    await run_until(lambda: looks == 1, queue, work, more=0.1)
    assert looks == 1


async def test_a_closed_queue_takes_nothing_and_forgets() -> None:
    queue, looks = WorkQueue(workers=4), 0

    async def work(_key: Key) -> None:
        nonlocal looks
        looks += 1

    queue.add(A)
    queue.close()
    queue.add(B)
    queue.open()
    await run_until(lambda: True, queue, work)
    assert looks == 0
    assert len(queue) == 0


async def test_owners_take_turns_and_none_has_all_workers() -> None:
    queue = WorkQueue(lambda key: key[0], workers=4)
    order: list[Key] = []
    gate = asyncio.Event()

    async def work(key: Key) -> None:
        order.append(key)
        await gate.wait()

    for number in range(1500):
        queue.add(("alice", str(number)))
    task = asyncio.create_task(queue.run(work))
    await asyncio.sleep(0.02)
    assert len(order) == 3
    queue.add(("bob", "0"))
    await asyncio.sleep(0.02)
    assert order[3:] == [("bob", "0")]
    assert queue.waiting("alice") == 1497
    gate.set()
    async with asyncio.timeout(5):
        while len(order) < 1501:  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(set(order)) == 1501
