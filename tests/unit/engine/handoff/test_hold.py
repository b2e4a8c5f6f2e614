"""Nodes that are taken out of service: whose word it is, and who may end it."""

from dataclasses import replace

import pytest

from platformctl.engine.handoff import hold, slurm_side, work
from platformctl.engine.handoff.account import Account, Drain
from platformctl.engine.handoff.each import Ended
from platformctl.engine.handoff.slurm_side import SlurmNode
from platformctl.engine.handoff.work import Policy
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"ctl1": ("slurm_controller",), "n1": ("slurm_node",)})
POLICY = Policy(1.0)


class Site:
    """Slurm's drain of n1 and the node's account."""

    def __init__(self) -> None:
        self.account = Account("n1")
        self.drain: Drain | None = None
        self.waited = 0

    async def read(self, *_: object) -> Account:
        return self.account

    async def write(self, _client: object, account: Account) -> Account:
        self.account = replace(account)
        return account

    async def look(self, *_: object) -> SlurmNode:
        return SlurmNode(frozenset({"DRAIN"} if self.drain else {"IDLE"}), self.drain)

    async def set_drain(self, _fleet: object, _name: str, text: str) -> Drain:
        self.drain = Drain(text, "root@now")
        return self.drain

    async def resume(self, _fleet: object, _name: str, ours: Drain | None) -> bool:
        if self.drain == ours:
            self.drain = None
        return self.drain is None

    async def leave(self, *_: object) -> list[str]:
        self.waited += 1
        return []

    async def nothing(self, *_: object) -> None:
        return None


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site()

    async def each(_fleet, names, _command, do, _at_once):  # type: ignore[no-untyped-def]
        return [Ended(name, True, await do(None, name)) for name in names]

    monkeypatch.setattr(hold, "each", each)
    for module in (hold.accounts, work.accounts):
        monkeypatch.setattr(module, "read", found.read)
        monkeypatch.setattr(module, "write", found.write)
    monkeypatch.setattr(slurm_side, "look", found.look)
    monkeypatch.setattr(slurm_side, "drain", found.set_drain)
    monkeypatch.setattr(slurm_side, "resume", found.resume)
    monkeypatch.setattr(hold, "leave_slurm", found.leave)
    for name in ("look", "close", "open_"):
        monkeypatch.setattr(hold.kubernetes_side, name, found.nothing)
    return found


async def drain(reason: str, keep: bool = False) -> str:
    (ended,) = await hold.drain_all(FLEET, ["n1"], reason, POLICY, 1, lambda _: None, keep=keep)
    return ended.words


async def undrain(only: str = "") -> str:
    (ended,) = await hold.undrain_all(FLEET, ["n1"], 1, lambda _: None, only=only)
    return ended.words


async def test_a_run_puts_back_what_it_took_out(site: Site) -> None:
    await drain("this run", keep=True)
    assert site.account.held == "this run"
    assert site.drain
    assert await undrain("this run") == "n1 is not drained any more"
    assert (site.drain, site.account.held, site.account.hold) == (None, "", None)


async def test_a_run_leaves_what_an_administrator_took_out_and_waits_for_its_work(site: Site) -> None:
    await drain("new memory")
    before, set_by_them = site.account, site.drain
    assert "new memory" in await drain("this run", keep=True)
    assert site.waited == 2
    assert "stays out of service" in await undrain("this run")
    assert (site.account, site.drain) == (before, set_by_them)
    await undrain()
    assert (site.drain, site.account.held) == (None, "")


async def test_an_administrator_who_takes_a_node_over_meanwhile_keeps_it(site: Site) -> None:
    await drain("this run", keep=True)
    await drain("new memory")
    assert "new memory" in await undrain("this run")
    assert site.account.held == "new memory"
    assert site.drain


async def test_a_new_reason_of_an_administrator_replaces_the_old_one(site: Site) -> None:
    await drain("new memory")
    await drain("new disk")
    assert site.account.held == "new disk"
