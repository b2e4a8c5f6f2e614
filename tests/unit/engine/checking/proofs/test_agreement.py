"""install, verify, status and plan ask the same checks, so whatever one of them sees, the others see."""

import asyncio
import dataclasses

import pytest

from platformctl.engine import remote
from platformctl.engine.checking import proofs, status, verify
from platformctl.engine.checking.proofs import Wanted, drift, waiting
from platformctl.engine.checking.proofs.health_check import Place
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import STAGES, Stage
from tests.unit.engine.checking.answering import Site, deployment, key, of_hosts, ready_node
from tests.unit.engine.sites import make_fleet

GROUPS = {
    "ctl1": (
        "registry", "containerd", "kubernetes_control_plane", "munge", "slurm_accounting", "slurm_controller",
        "slurm_rest",
    ),
    "k1": ("containerd", "kubernetes_node"),
    "k2": ("containerd", "kubernetes_node"),
    "s1": ("munge", "slurm_node"),
}  # fmt: skip
# A DRA driver offers it, so that the API's answers here need not count it, and by CDI.
CARD = {"kind": "other", "name": "card", "files": ["/dev/card0"], "offered_by": "dra"}
FLEET = make_fleet(
    GROUPS,
    {
        "kubernetes_service_network": "10.96.0.0/12",
        "site_domain": "test.example",
        "users_accounts": [{"name": "alice", "uid": 10001}],
    },
    {
        name: {"node_owner": owner, "node_devices": [CARD]}
        for name, owner in (("k1", "kubernetes"), ("k2", "kubernetes"), ("s1", "slurm"))
    },
)
HOST_CHECKS = of_hosts(FLEET)
NAMES = [f"{host}-{each.stage.name}-{each.check.name}" for host, each in HOST_CHECKS]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(FLEET)
    monkeypatch.setattr(remote, "run", site.run)

    # Whoever waits gives up at once.
    async def settle(*given: object, **named: object) -> waiting.Verdict:
        return await waiting_settle(*given, **{**named, "patience": lambda _: 0.0})

    waiting_settle = waiting.settle
    monkeypatch.setattr(waiting, "settle", settle)
    return site


def verified() -> list[str]:
    """The words of what `verify` finds wrong."""
    rows = asyncio.run(verify._health(FLEET, lambda *_: None))
    return [f"{row.name}: {row.found}" for row in rows if not row.fine]


def proven(each: Wanted, host: str) -> list[str]:
    """The words with which `install` ends the stage on a host."""
    known = {name: set(Site(FLEET).applied(name)) for name in FLEET.hosts}
    return asyncio.run(waiting.prove(FLEET, each.stage, [host], known)).words(host)


def drifted(site: Site) -> dict[tuple[str, str], tuple[str, ...]]:
    """What `plan` names."""
    texts = drift.questions(FLEET, FLEET.hosts)
    replies = {
        name: asyncio.run(site.run(FLEET.hosts[name].connection, text)) for name, text in texts.items()
    }
    stages = {name: {stage: {"parts": {}} for stage in site.applied(name)} for name in FLEET.hosts}
    said = {name: reply.out for name, reply in replies.items() if reply.code == 0}
    clusters = asyncio.run(drift.ask_clusters(FLEET))
    return dict(drift.read(FLEET, Records(stages, said=said), clusters))


def test_a_healthy_site_is_healthy_for_all(site: Site) -> None:
    assert verified() == []
    found = asyncio.run(status.gather(FLEET))
    assert found.healthy, [item for item in (*found.hosts, *found.services) if not item.healthy]
    assert drifted(site) == {}
    for stage in STAGES:
        if stage.proofs and stage.group != "localhost":
            assert proven(Wanted(stage, proofs.of(stage)[0], ()), stage.targets(FLEET)[0]) == []


@pytest.mark.parametrize(("host", "each"), HOST_CHECKS, ids=NAMES)
def test_what_is_wrong_on_a_host_is_wrong_for_all(site: Site, host: str, each: Wanted) -> None:
    words = f"broken {each.check.name}"
    given = f"! k1 {words}" if each.check.peers(FLEET, FLEET.hosts["ctl1"]) and host != "k1" else words
    site.bad[host, key(each)] = (0 if given != words else 1, given)
    assert any(words in line for line in verified())
    found = asyncio.run(status.gather(FLEET))
    if each.check.quick:
        assert not found.healthy
        assert any(words in other.remark for other in found.hosts if other.name == host)
    else:
        assert found.healthy
    planned = drifted(site)
    acts = each.check.quick and not each.check.harmful
    assert bool(planned) is acts
    if acts:
        assert words in planned[each.stage.name, host][0]
    if host in each.stage.targets(FLEET):
        assert any(words in line for line in proven(each, host))


def test_a_node_that_is_not_ready_is_wrong_for_all(site: Site) -> None:
    site.nodes["k1"] = ready_node("k1", "192.0.2.12", "False")
    assert verified() == ["node: k1: NotReady: kubelet says False (look at: kubectl describe node)"]
    hosts = {host.name: host for host in asyncio.run(status.gather(FLEET)).hosts}
    assert (hosts["k1"].healthy, hosts["k2"].healthy) == (False, True)
    stage = next(stage for stage in STAGES if stage.name == "kubernetes_node")
    assert "NotReady" in proven(Wanted(stage, proofs.TABLE["node"], ()), "k1")[0]
    assert proven(Wanted(stage, proofs.TABLE["node"], ()), "k2") == []
    assert drifted(site) == {("kubernetes_node", "k1"): ("node: NotReady: kubelet says False",)}


def test_a_node_that_slurm_drained_is_wrong_for_all(site: Site) -> None:
    site.slurm["s1"] = ("drained", "Kill task failed")
    (line,) = verified()
    assert "Kill task failed" in line
    hosts = {host.name: host for host in asyncio.run(status.gather(FLEET)).hosts}
    assert "Kill task failed" in hosts["s1"].remark
    stage = next(stage for stage in STAGES if stage.name == "slurm_node")
    assert "Kill task failed" in proven(Wanted(stage, proofs.TABLE["slurm_node"], ()), "s1")[0]
    site.slurm["s1"] = ("drained", "bob repairs it")
    assert verified() == []
    assert asyncio.run(status.gather(FLEET)).healthy


@pytest.mark.parametrize("broken", ["api", "slurmctld", "accounting", "deployment"])
def test_what_is_wrong_with_a_whole_cluster_is_wrong_for_all(site: Site, broken: str) -> None:
    if broken == "deployment":
        site.deployments[1] = deployment("job-router", "platform-system", ready=0)
    else:
        setattr(site, broken, 1)
    assert verified()
    found = asyncio.run(status.gather(FLEET))
    assert [service.name for service in found.services if not service.healthy]
    assert drifted(site)


def test_a_host_without_power_is_wrong_for_all_and_its_neighbours_are_not(site: Site) -> None:
    site.down.add("k1")
    site.bad["k2", "kubernetes_node.pod-network"] = (0, "! k1 pods do not reach those of k1")
    assert verified() == ["ssh: k1 does not answer: ssh: connect: No route to host"]
    hosts = {host.name: host for host in asyncio.run(status.gather(FLEET)).hosts}
    assert {name for name, host in hosts.items() if not host.healthy} == {"k1"}


def test_a_question_without_an_answer_is_never_fine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = site.run

    async def deaf(*given: object, **named: object) -> remote.Reply:
        reply = await answer(*given, **named)
        text = "\n".join(line for line in reply.out.splitlines() if "pod-network" not in line)
        return dataclasses.replace(reply, out=text)

    monkeypatch.setattr(remote, "run", deaf)
    assert [line for line in verified() if "no answer to this question" in line]
    assert not asyncio.run(status.gather(FLEET)).healthy


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.proofs], ids=lambda stage: stage.name)
def test_every_check_of_a_stage_is_asked_right_after_it_ran(site: Site, stage: Stage) -> None:
    """Its record is written only when they pass."""
    hosts = stage.targets(FLEET)
    keepers = {stage.recorded_on(FLEET, host) for host in hosts}
    site.unrecorded = {(keeper, stage.name) for keeper in keepers}
    known = {host: set(site.applied(host)) - {stage.name} for host in FLEET.hosts}
    verdict = asyncio.run(waiting.prove(FLEET, stage, hosts, known))
    assert verdict.bad == []
    assert {answer.check.name for answer in verdict.answers} == {check.name for check in proofs.of(stage)}


@pytest.mark.parametrize("name", ["charts", "slurm_controller", "kubernetes_network"])
def test_a_control_host_that_goes_away_before_the_proof_is_never_fine(site: Site, name: str) -> None:
    site.down.add("ctl1")
    stage = next(stage for stage in STAGES if stage.name == name)
    known = {host: set(site.applied(host)) for host in FLEET.hosts}
    verdict = asyncio.run(waiting.prove(FLEET, stage, stage.targets(FLEET), known))
    assert verdict.words(stage.targets(FLEET)[0]) or "ctl1" in verdict.down


def test_places_where_nothing_is_asked_are_known() -> None:
    """Every check is asked in this site at least once, so the tests above leave none out."""
    asked = {each.check.name for _, each in HOST_CHECKS}
    clusters = {check.name for check in proofs.TABLE.values() if check.place is not Place.HOST}
    assert asked | clusters >= {check.name for check in proofs.TABLE.values()}
