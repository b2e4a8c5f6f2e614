"""Whose turn it is when owners have different numbers of items."""

import asyncio

import pytest

from platformctl.router.loop.pace import Pace
from platformctl.router.loop.slots import Slots
from platformctl.router.loop.turns import Turns, share


def taken(turns: Turns[str], count: int) -> list[str]:
    found = []
    for _ in range(count):
        one = turns.take()
        assert one
        found.append(one[1])
    return found


def test_one_with_many_items_delays_anothers_by_one() -> None:
    turns = Turns[str]()
    for number in range(1500):
        turns.put("alice", f"a{number}")
    assert taken(turns, 1) == ["a0"]
    turns.put("bob", "b0")
    turns.put("bob", "b1")
    assert taken(turns, 5) == ["a1", "b0", "a2", "b1", "a3"]
    assert len(turns) == 1500 - 4 + 0
    assert (turns.waiting("alice"), turns.waiting("bob")) == (1496, 0)


def test_an_owner_gets_no_more_than_its_share_at_the_same_time() -> None:
    turns = Turns[str](at_once=2)
    news = [turns.put("alice", name) for name in ("a0", "a1", "a2", "a3")]
    assert news == [True, True, False, False]
    assert taken(turns, 2) == ["a0", "a1"]
    assert turns.take() is None
    assert turns.put("bob", "b0")
    assert taken(turns, 1) == ["b0"]
    assert turns.done("alice")
    assert taken(turns, 1) == ["a2"]
    assert not turns.done("bob")


def test_urgent_items_of_an_owner_go_first_but_every_fourth_is_ordinary() -> None:
    turns = Turns[str]()
    for number in range(4):
        turns.put("alice", f"news-{number}", urgent=False)
        turns.put("alice", f"new-{number}")
    turns.put("bob", "b-news", urgent=False)
    found = taken(turns, 9)
    assert found[:6] == ["new-0", "b-news", "new-1", "new-2", "news-0", "new-3"]
    assert len(set(found)) == 9


def test_an_item_that_becomes_urgent_is_taken_once() -> None:
    turns = Turns[str]()
    turns.put("alice", "x", urgent=False)
    turns.put("alice", "y", urgent=False)
    assert not turns.put("alice", "y")
    assert not turns.put("alice", "x", urgent=False)
    assert len(turns) == 2
    assert taken(turns, 2) == ["y", "x"]
    assert turns.take() is None


def test_a_dropped_item_is_not_taken() -> None:
    turns = Turns[str]()
    turns.put("alice", "x")
    turns.put("alice", "y")
    turns.drop("x")
    assert taken(turns, 1) == ["y"]
    assert turns.take() is None


def test_a_share_leaves_places_to_others_where_there_are_some() -> None:
    assert [share(places) for places in (1, 2, 4, 16, 32)] == [1, 2, 3, 12, 24]


async def test_slots_are_given_in_turn_and_returned_by_those_who_gave_up() -> None:
    slots, order = Slots(2), list[str]()
    gate = asyncio.Event()

    async def request(owner: str) -> None:
        async with slots.hold(owner):
            order.append(owner)
            await gate.wait()

    alices = [asyncio.create_task(request("alice")) for _ in range(6)]
    await asyncio.sleep(0)
    bob = asyncio.create_task(request("bob"))
    await asyncio.sleep(0)
    assert order == ["alice", "alice"]
    alices[0].cancel()
    alices[5].cancel()
    await asyncio.sleep(0.01)
    assert len(order) == 3
    gate.set()
    await asyncio.gather(*alices, bob, return_exceptions=True)
    assert order.index("bob") <= 3
    assert order.count("alice") == 5
    async with slots.hold("carol"), slots.hold("carol"):
        pass


def test_a_pace_does_not_let_one_owner_delay_anothers_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("platformctl.router.loop.pace.time.monotonic", lambda: now[0])
    pace = Pace(10)
    waits = [pace.wait(("ns", f"a{number}"), "alice") for number in range(100)]
    assert waits[0] == 0.0
    assert waits[-1] == pytest.approx(9.9)
    assert pace.wait(("ns", "b0"), "bob") == 0.0
    assert pace.wait(("ns", "b1"), "bob") == pytest.approx(0.2)
    now[0] += 0.2
    assert pace.wait(("ns", "b1"), "bob") == 0.0
    assert pace.wait(("ns", "a2"), "alice") == 0.0
