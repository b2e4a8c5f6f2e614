import asyncio

from platformctl.engine import remote


def test_work_on_many_hosts_is_done_fifty_at_once_and_answered_in_order() -> None:
    running, most = 0, 0

    async def one(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert asyncio.run(remote.together(one(number) for number in range(120))) == list(range(120))
    assert most == 50
