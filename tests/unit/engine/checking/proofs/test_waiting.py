"""Waiting for health: how long, for what, and what is repaired."""

import asyncio
from collections.abc import Sequence

import pytest

from platformctl.engine import remote
from platformctl.engine.checking.proofs import waiting
from platformctl.engine.checking.proofs.health_check import Answer
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from platformctl.engine.stages import STAGES, Stage
from tests.unit.engine.checking.answering import Site
from tests.unit.engine.sites import make_fleet

GROUPS = {"ctl1": ("kubernetes_control_plane",), "k1": ("kubernetes_node",), "k2": ("kubernetes_node",)}
FLEET = make_fleet(GROUPS, {"kubernetes_service_network": "10.96.0.0/12"})
NODE = next(stage for stage in STAGES if stage.name == "kubernetes_node")
DEAD = (1, "the packet rules of kube-proxy are gone")


class Mending(Site):
    """A site whose service address on k1 works again after the repair, or after some questions."""

    def __init__(self) -> None:
        super().__init__(FLEET)
        self.bad["k1", "kubernetes_node.service-address"] = DEAD
        self.repairs: list[tuple[str, str]] = []
        self.mends_itself = 0

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        if "delete pods" in script and "question()" not in script:
            host = next(host.name for host in self.fleet.hosts.values() if host.connection == connection)
            self.repairs.append((host, script))
            self.bad.clear()
            return Reply(0, "", "")
        reply = await super().run(connection, script, data, seconds)
        if self.mends_itself and len(self.asked) > self.mends_itself:
            self.bad.clear()
        return reply


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Mending:
    site = Mending()
    monkeypatch.setattr(remote, "run", site.run)
    monkeypatch.setattr(waiting, "_FIRST_PAUSE", 0.0)
    return site


def prove(
    site: Mending,
    in_service: tuple[str, ...] = (),
    stage: Stage = NODE,
    hosts: tuple[str, ...] = ("k1", "k2"),
) -> tuple[waiting.Verdict, list[str]]:
    told: list[str] = []

    def say(bad: Sequence[Answer], _: float) -> None:
        told.append(waiting.waits(bad))

    known = {name: set(site.applied(name)) for name in ("ctl1",)}
    return asyncio.run(waiting.prove(FLEET, stage, hosts, known, in_service, say)), told


def test_a_host_in_service_is_repaired_once(site: Mending) -> None:
    verdict, _ = prove(site, in_service=("k1", "k2"))
    assert verdict.bad == []
    ((host, script),) = site.repairs
    assert host == "k1"
    assert script.startswith("NODE=k1\n")


def test_a_new_host_is_waited_for_and_not_repaired(site: Mending) -> None:
    site.mends_itself = 15
    verdict, told = prove(site)
    assert verdict.bad == []
    assert site.repairs == []
    assert told[0] == "waits for service address of k1: the packet rules of kube-proxy are gone"


def test_only_what_is_not_good_is_asked_again(site: Mending) -> None:
    site.mends_itself = 12
    prove(site)
    again = site.asked[12:]
    assert set(again) == {("k1", "kubernetes_node.service-address")}


def test_what_never_becomes_good_is_told_with_what_to_look_at(
    site: Mending, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100000, 50))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(clock)))
    verdict, _ = prove(site)
    (words,) = verdict.words("k1")
    assert words.startswith("service address: the packet rules of kube-proxy are gone (look at: kubectl")
    assert verdict.words("k2") == []


def test_a_host_that_goes_away_is_unreachable_and_not_sick(site: Mending) -> None:
    site.down.add("k1")
    verdict, _ = prove(site)
    assert set(verdict.down) == {"k1"}
    assert verdict.words("k1") == []


def test_a_neighbour_is_asked_whether_it_is_in_service(site: Mending) -> None:
    """Of k2 nothing was read before; its stage is applied, so k1 must reach it."""
    site.bad = {("k1", "kubernetes_node.pod-network"): (0, "! k2 pods do not reach those of k2")}
    site.mends_itself = 6
    verdict, told = prove(site, hosts=("k1",))
    assert verdict.bad == []
    assert any("do not reach" in line for line in told)
    site.bad = {("k1", "kubernetes_node.pod-network"): (0, "! k2 pods do not reach those of k2")}
    site.bare.add("k2")
    assert prove(site, hosts=("k1",))[1] == []
