"""Work that a plan would harm: who agreed to it, and what is done otherwise."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from platformctl.engine import remote
from platformctl.engine.planning.impact import Hurt, Impact
from platformctl.engine.planning.work import Job, Pod
from platformctl.engine.remote import Reply
from platformctl.engine.running import protection
from platformctl.engine.running.install import Options
from platformctl.engine.running.protection import Protection, Say
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller",), "n1": ("slurm_node",), "k1": ("kubernetes_node",)})
RESERVATION = (
    "ReservationName=upkeep StartTime=2026-01-01T00:00:00 EndTime=2026-01-02T00:00:00 Duration=1-00:00:00"
    " Nodes=n[1-2] NodeCnt=2 CoreCnt=8 Features=(null) PartitionName=(null) Flags=MAINT,SPEC_NODES TRES=cpu=8"
    " Users=root Groups=(null) Accounts=(null) Licenses=(null) State=ACTIVE\n"
)


def job(reservation: str = "", *nodes: str) -> Hurt:
    return Hurt(Job("7", "alice", ("main",), "RUNNING", "9:00", nodes or ("n1",), reservation), "fails")


POD = Hurt(Pod("team", "web", "k1", datetime(2026, 1, 1, tzinfo=UTC)), "ends")


def harm(*hurt: Hurt, unknown: str = "") -> tuple[Impact, ...]:
    return (Impact("ctl1", "slurm_controller", hurt=hurt, unknown=unknown), Impact("n1", "slurm_node"))


class Drainer:
    """Notes what it is asked for."""

    options = "--drain"

    def __init__(self) -> None:
        self.done: list[tuple[str, tuple[str, ...]]] = []

    async def drain(self, names: Sequence[str], say: Say) -> None:
        self.done.append(("drain", tuple(names)))

    async def undrain(self, names: Sequence[str], say: Say) -> None:
        self.done.append(("undrain", tuple(names)))


async def protect(
    chosen: Protection, impacts: tuple[Impact, ...], then: tuple[Impact, ...] = ()
) -> tuple[str, ...]:
    async def look() -> tuple[Impact, ...]:
        return then

    return await protection.protect(FLEET, chosen, impacts, look, lambda _: None)


async def test_a_harmless_plan_needs_nothing() -> None:
    drainer = Drainer()
    assert await protect(Protection(), harm()) == ()
    assert await protect(Protection(drainer=drainer), harm()) == ()
    assert drainer.done == []


async def test_harm_is_refused_and_names_each_job_and_pod() -> None:
    with pytest.raises(PlatformError) as refused:
        await protect(Protection(), harm(job(), POD))
    assert refused.value.code is ExitCode.REFUSED
    assert "so nothing was done" in refused.value.what
    assert refused.value.details == [
        "job 7 of alice (partition main, on n1, at most 9:00 left): fails",
        "pod team/web (on k1, bare: nothing starts it again): ends",
    ]
    assert "--drain" in refused.value.next
    assert await protect(Protection(yes=True), harm(job(), POD)) == ()


WAITS = Hurt(Job("8", "bob", ("fast",), "PENDING", "9:00"), "fails")
ELSEWHERE = job("", "gone")


@pytest.mark.parametrize(
    ("chosen", "impacts", "drain"),
    [
        (Protection(), harm(job(), POD), True),
        (Protection(reservation="upkeep"), harm(job()), True),
        (Protection(), harm(WAITS), False),
        (Protection(), harm(job(), WAITS), False),
        (Protection(), harm(ELSEWHERE), False),
        (Protection(), harm(job(), unknown="slurmctld does not answer"), False),
        (Protection(drainer=Drainer()), harm(job()), False),
        (Protection(drains=False), harm(job()), False),
    ],
)
def test_a_drain_is_advised_only_if_it_can_help(
    chosen: Protection, impacts: tuple[Impact, ...], drain: bool
) -> None:
    refused = protection.refusal(
        FLEET, impacts, replace(chosen, line="platformctl install -i site --limit n1")
    )
    assert ("--drain" in refused.next) == drain
    assert "platformctl install -i site --limit n1 --yes, which lets it happen" in refused.next


def test_the_advice_repeats_what_was_chosen() -> None:
    chosen = Options(limit=("n1",), stages=("slurm_node",), agreed=("k3s",)).protection(FLEET.inventory)
    install = f"platformctl install -i {FLEET.inventory} --limit n1 --stage slurm_node --yes k3s"
    assert protection.refusal(FLEET, harm(job()), chosen).next.startswith(f"{install} --drain, which")
    kept = replace(chosen, reservation="upkeep")
    assert f"{install} --reservation upkeep --drain" in protection.refusal(FLEET, harm(job()), kept).next
    add = Options(limit=("n2", "ctl1"), stages=("slurm_node",), command="platformctl node add -i site n2")
    advice = protection.refusal(FLEET, harm(job()), add.protection(FLEET.inventory)).next
    assert advice == (
        f"platformctl node drain -i {FLEET.inventory} n1 --reason TEXT, then the same command, then"
        f" platformctl node undrain -i {FLEET.inventory} n1;"
        " or platformctl node add -i site n2 --yes, which lets it happen"
    )


async def test_what_is_not_known_is_refused_too() -> None:
    with pytest.raises(PlatformError, match="is not known") as refused:
        await protect(Protection(), harm(unknown="slurmctld does not answer"))
    assert refused.value.details == ["unknown: slurmctld does not answer"]
    assert await protect(Protection(yes=True), harm(unknown="slurmctld does not answer")) == ()


@pytest.mark.parametrize("yes", [False, True])
async def test_nodes_are_drained_and_asked_again(yes: bool) -> None:
    drainer = Drainer()
    assert await protect(Protection(yes, drainer=drainer), harm(job(), POD)) == ("n1", "k1")
    assert drainer.done == [("drain", ("n1", "k1"))]


@pytest.mark.parametrize("yes", [False, True])
async def test_what_a_drain_does_not_end_is_refused_and_the_nodes_return(yes: bool) -> None:
    drainer = Drainer()
    waiting = Hurt(Job("8", "bob", ("fast",), "PENDING", "9:00"), "fails")
    with pytest.raises(PlatformError, match="would harm work") as refused:
        await protect(Protection(yes, drainer=drainer), harm(job(), waiting), harm(waiting))
    assert drainer.done == [("drain", ("n1",)), ("undrain", ("n1",))]
    assert refused.value.details == ["job 8 of bob (partition fast, waits): fails"]


async def test_nodes_return_if_the_run_ends_while_the_schedulers_are_asked_again() -> None:
    drainer = Drainer()

    async def look() -> tuple[Impact, ...]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await protection.protect(FLEET, Protection(drainer=drainer), harm(job()), look, lambda _: None)
    assert drainer.done == [("drain", ("n1",)), ("undrain", ("n1",))]


async def test_an_error_while_nodes_return_is_said_and_hides_no_other() -> None:
    class Stuck(Drainer):
        async def undrain(self, names: Sequence[str], say: Say) -> None:
            raise PlatformError("n1 is still drained", next="look there")

    said: list[str] = []
    error = await protection.put_back(Stuck(), ["n1"], said.append)
    assert error is not None
    assert said == ["n1 is still drained; to do: look there"]


async def test_a_node_that_the_inventory_lacks_cannot_be_drained() -> None:
    drainer = Drainer()
    with pytest.raises(PlatformError):
        await protect(Protection(drainer=drainer), harm(job("", "gone")), harm(job("", "gone")))
    assert drainer.done == []


def says(monkeypatch: pytest.MonkeyPatch, text: str, code: int = 0) -> None:
    async def run(*_: object, **__: object) -> Reply:
        return Reply(code, text, "Reservation upkeep not found")

    monkeypatch.setattr(remote, "run", run)


async def test_jobs_in_the_reservation_may_be_harmed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, RESERVATION)
    chosen = Protection(reservation="upkeep")
    assert await protect(chosen, harm(job("upkeep"))) == ()
    for other in (job(), job("another"), job("upkeep", "n3"), POD):
        with pytest.raises(PlatformError, match="outside of the reservation upkeep") as refused:
            await protect(chosen, harm(job("upkeep"), other))
        assert refused.value.details == [str(other)]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (RESERVATION.replace("ACTIVE", "INACTIVE"), "not active now"),
        (RESERVATION.replace("MAINT,", ""), "lacks the flag MAINT"),
        ("No reservations in the system\n", "no such reservation"),
        ("", "no such reservation"),
    ],
)
async def test_a_reservation_must_be_for_maintenance_and_active(
    monkeypatch: pytest.MonkeyPatch, said: str, why: str
) -> None:
    says(monkeypatch, said)
    with pytest.raises(PlatformError, match=why) as refused:
        await protect(Protection(reservation="upkeep"), harm())
    assert refused.value.code is ExitCode.REFUSED


async def test_a_reservation_that_slurm_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, "", code=1)
    with pytest.raises(PlatformError, match="Reservation upkeep not found"):
        await protect(Protection(reservation="upkeep"), harm())
    with pytest.raises(PlatformError, match="no Slurm"):
        await protection.reserved(make_fleet({"n1": ()}), Protection(reservation="upkeep"))
