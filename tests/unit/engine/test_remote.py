import asyncio

import pytest

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


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (remote.Reply(255, "", "No route to host"), "does not answer: No route to host"),
        (
            remote.Reply(1, "", "sudo: a password is required"),
            "does not let its user become root: sudo: a password is required",
        ),
        (remote.Reply(2, "", "cat: Is a directory"), "does not say what it has: cat: Is a directory"),
    ],
)
def test_what_a_host_does_that_cannot_be_asked(reply: remote.Reply, expected: str) -> None:
    assert reply.refusal == expected
