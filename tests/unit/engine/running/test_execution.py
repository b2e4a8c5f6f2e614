"""Records and stages together: real scheduler and records, a stand-in for Ansible."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.planning import plan, record
from platformctl.engine.planning.plan import RunSelection
from platformctl.engine.running import execution, steps
from platformctl.engine.running.execution import Execution
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.stages import Peers, Stage, StageRunner, some
from tests.unit.engine.sites import Hosts, make_fleet

STAGES = (Stage("node", "node", ("node",)),)
AFTER = Stage("after", "after", ("node",), some("node"))
PROOF = Stage("after", LOCALHOST, (), some("node"), StageRunner.VERIFY, peers=(Peers("all"),), record="node")
FLEET = make_fleet({"n1": ("node", "after"), "n2": ("node",)})
OK, FAILED = HostResult(Status.OK), HostResult(Status.FAILED, "task", "message")


class Ansible:
    """Ends by a script; looks at what the hosts' records say meanwhile."""

    ends: ClassVar[dict[str, HostResult]] = {}
    error: BaseException | None = None
    meanwhile: ClassVar[dict[str, bool]] = {}
    halfway: ClassVar[set[str]] = set()

    def __init__(self, *_: object) -> None:
        pass

    async def run(self, stage: str, hosts: tuple[str, ...], _variables: object = None) -> StageResult:
        records = await record.read(FLEET, hosts)
        Ansible.meanwhile = {host: records.parts(host, stage) is not None for host in hosts}
        if Ansible.error:
            raise Ansible.error
        return StageResult(stage, {host: Ansible.ends.get(host, OK) for host in hosts}, 0.1)


@pytest.fixture
def install(
    hosts: Hosts, role: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., object]:
    data = role("node")
    monkeypatch.setattr(execution, "Session", Ansible)
    Ansible.ends, Ansible.error = {}, None

    async def run(full: bool = False, stages: tuple[Stage, ...] = STAGES) -> dict[str, Status]:
        """Plan and run; how the last stage ended on each host it was planned for."""
        records = await record.read(FLEET, ("n1", "n2"))
        selection = RunSelection(frozenset(FLEET.hosts), frozenset({"node", "after"}), full)
        found = plan.make(stages, FLEET, records, selection, data, {})
        with Journal(tmp_path / "run", Redactor([]), lambda _: None) as journal:
            reporter = Reporter(FLEET, journal, "install")
            context = steps.Context(FLEET, data, journal)
            run_of_it = Execution(context, records, reporter, 0)
            try:
                results = await run_of_it.run(stages, found)
            finally:
                Ansible.halfway = run_of_it.halfway
        return {host: end.status for result in results.values() for host, end in result.hosts.items()}

    return run


async def test_only_hosts_that_ended_well_are_done_next_time(install: Callable) -> None:
    Ansible.ends = {"n2": FAILED}
    assert await install() == {"n1": Status.OK, "n2": Status.FAILED}
    Ansible.ends = {}
    assert await install() == {"n2": Status.OK}
    assert await install() == {}


async def test_hosts_are_halfway_if_a_stage_has_begun_there_and_not_all_ended_well(install: Callable) -> None:
    Ansible.ends = {"n2": FAILED}
    await install()
    assert Ansible.halfway == {"n2"}
    # n1 is up to date, so this run begins nothing there.
    Ansible.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await install()
    assert Ansible.halfway == {"n2"}


async def test_a_digest_is_taken_back_while_its_stage_is_at_work(install: Callable) -> None:
    await install()
    await install(full=True)
    assert Ansible.meanwhile == {"n1": False, "n2": False}


async def test_a_host_that_cannot_record_is_left_alone(install: Callable, hosts: Hosts) -> None:
    await install()
    (hosts.folder("192.0.2.12") / "digests.json.new").mkdir()
    assert await install(full=True) == {"n1": Status.OK, "n2": Status.FAILED}
    assert set(Ansible.meanwhile) == {"n1"}


async def test_a_defect_is_the_end_of_its_stage_and_not_of_the_run(install: Callable, tmp_path: Path) -> None:
    Ansible.error = KeyError("oops")
    assert await install() == {"n1": Status.FAILED, "n2": Status.FAILED}
    assert "KeyError: 'oops'" in (tmp_path / "run" / "node.log").read_text()


async def test_a_stage_needs_any_host_of_the_site_and_not_of_the_plan(
    install: Callable, hosts: Hosts
) -> None:
    """Where only the host that is down has something to do, the others have what is needed."""
    await install()
    hosts.down.add(FLEET.hosts["n2"].connection.address)
    ends = await install(stages=(*STAGES, AFTER))
    assert ends == {"n2": Status.UNREACHABLE, "n1": Status.OK}


async def test_a_proof_without_some_hosts_is_made_again_when_they_are_back(
    install: Callable, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def proven(stage: Stage, hosts: tuple[str, ...], _: steps.Context) -> StageResult:
        return StageResult(stage.name, dict.fromkeys(hosts, OK))

    monkeypatch.setattr(steps, "run", proven)
    stages = (*STAGES, PROOF)
    hosts.down.add(FLEET.hosts["n2"].connection.address)
    assert (await install(stages=stages))[LOCALHOST] is Status.OK
    hosts.down.clear()
    Ansible.ends = {"n2": FAILED}
    assert (await install(stages=stages))[LOCALHOST] is Status.OK
    Ansible.ends = {}
    assert await install(stages=stages) == {"n2": Status.OK, LOCALHOST: Status.OK}
    assert await install(stages=stages) == {}


DAEMON = Stage("node", "node", ("node",), effect="slurmd may restart")


class Proofs:
    """Stands in for the health checks: which hosts are sick, and what was proven."""

    def __init__(self) -> None:
        self.sick: set[str] = set()
        self.asked: list[tuple[tuple[str, ...], set[str]]] = []

    async def prove(self, _fleet: object, _stage: Stage, hosts: list[str], *rest: object) -> dict:
        in_service = rest[1]
        assert isinstance(in_service, set)
        self.asked.append((tuple(hosts), in_service))
        words = HostResult(Status.FAILED, "health checks after the stage", "kubelet: is dead")
        return {host: words for host in hosts if host in self.sick}


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> Proofs:
    found = Proofs()
    monkeypatch.setattr(execution.proving, "prove", found.prove)
    return found


async def test_a_stage_is_not_done_where_its_proof_fails(install: Callable, proofs: Proofs) -> None:
    proofs.sick = {"n2"}
    assert await install() == {"n1": Status.OK, "n2": Status.FAILED}
    proofs.sick = set()
    assert await install() == {"n2": Status.OK}
    assert await install() == {}


async def test_only_where_the_stage_ended_well_there_is_something_to_prove(
    install: Callable, proofs: Proofs
) -> None:
    Ansible.ends = {"n1": FAILED}
    await install()
    assert proofs.asked == [(("n2",), set())]


async def test_a_broken_daemon_on_the_first_host_spares_the_others(install: Callable, proofs: Proofs) -> None:
    await install(stages=(DAEMON,))
    proofs.asked.clear()
    proofs.sick = {"n1"}
    assert await install(full=True, stages=(DAEMON,)) == {"n1": Status.FAILED, "n2": Status.BLOCKED}
    assert proofs.asked == [(("n1",), {"n1"})]
    # The host that was not tried keeps its record; the other is done again.
    proofs.sick = set()
    assert await install(stages=(DAEMON,)) == {"n1": Status.OK}


async def test_a_failed_task_on_the_first_host_spares_the_others(install: Callable, proofs: Proofs) -> None:
    await install(stages=(DAEMON,))
    Ansible.ends = {"n1": FAILED}
    assert await install(full=True, stages=(DAEMON,)) == {"n1": Status.FAILED, "n2": Status.BLOCKED}


async def test_new_hosts_are_not_waited_for(install: Callable, proofs: Proofs) -> None:
    await install(stages=(DAEMON,))
    assert proofs.asked == [(("n1", "n2"), set())]


async def test_all_groups_come_when_each_is_well(install: Callable, proofs: Proofs) -> None:
    await install(stages=(DAEMON,))
    proofs.asked.clear()
    assert await install(full=True, stages=(DAEMON,)) == {"n1": Status.OK, "n2": Status.OK}
    assert [hosts for hosts, _ in proofs.asked] == [("n1",), ("n2",)]
