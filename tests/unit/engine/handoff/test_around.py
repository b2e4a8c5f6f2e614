"""Nodes that are drained for the time of an installation."""

import asyncio

import pytest

from platformctl.engine.handoff import around
from platformctl.engine.handoff.around import AroundInstall
from platformctl.engine.handoff.each import Ended
from platformctl.engine.handoff.work import Policy
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    calls: list[tuple[str, tuple[str, ...]]] = []

    async def drain_all(_fleet, names, reason, *_, keep):
        assert keep
        assert reason == DRAINER.reason
        calls.append(("drain", tuple(names)))
        return [
            Ended(name, name != "n2", f"{name}: words", ExitCode.DONE if name != "n2" else ExitCode.REFUSED)
            for name in names
        ]

    async def undrain_all(_fleet, names, *_, only):
        assert only == DRAINER.reason
        calls.append(("undrain", tuple(names)))
        return [Ended(name, True, f"{name} is not drained any more") for name in names]

    monkeypatch.setattr(around, "drain_all", drain_all)
    monkeypatch.setattr(around, "undrain_all", undrain_all)
    return calls


DRAINER = AroundInstall(make_fleet({"n1": (), "n2": ()}), Policy(1.0))


async def test_nodes_are_drained_and_put_back(done):
    said = []
    await DRAINER.drain(["n1"], said.append)
    await DRAINER.undrain(["n1"], said.append)
    assert done == [("drain", ("n1",)), ("undrain", ("n1",))]
    assert said == ["n1: words", "n1 is not drained any more"]


async def test_if_one_does_not_get_empty_all_are_put_back(done):
    with pytest.raises(PlatformError, match="n2: words") as refused:
        await DRAINER.drain(["n1", "n2"], lambda _: None)
    assert refused.value.code is ExitCode.REFUSED
    assert refused.value.next.startswith("the same command with more --timeout")
    assert done == [("drain", ("n1", "n2")), ("undrain", ("n1", "n2"))]


async def test_if_the_run_is_cancelled_while_it_waits_all_are_put_back(done, monkeypatch):
    async def forever(*_, **__):
        await asyncio.sleep(60)

    monkeypatch.setattr(around, "drain_all", forever)
    task = asyncio.create_task(DRAINER.drain(["n1"], lambda _: None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [("undrain", ("n1",))]


async def test_the_remedy_of_a_failed_undrain_is_the_undrain_of_those_nodes(done, monkeypatch):
    async def undrain_all(_fleet, names, *_, **__):
        return [Ended(name, name == "n1", f"{name}: words", ExitCode.UNREACHABLE) for name in names]

    monkeypatch.setattr(around, "undrain_all", undrain_all)
    with pytest.raises(PlatformError, match="n2: words") as failed:
        await DRAINER.undrain(["n1", "n2"], lambda _: None)
    assert failed.value.next == f"platformctl node undrain -i {DRAINER.fleet.inventory} n2"
    assert failed.value.code is ExitCode.UNREACHABLE
