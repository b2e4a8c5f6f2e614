"""Work that a signal must not leave half done."""

import asyncio

import pytest

from platformctl.engine.locking.interrupt import to_its_end


async def test_work_ends_although_the_task_is_cancelled_more_than_once() -> None:
    ended: list[str] = []

    async def work() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append("work")
        return "done"

    task = asyncio.create_task(to_its_end(work()))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["work"]
    assert await to_its_end(work()) == "done"


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise KeyError("oops")

    with pytest.raises(KeyError):
        await to_its_end(work())
