from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl.engine import digest, plan, record
from platformctl.engine.fleet import Fleet
from platformctl.engine.plan import Plan, Scope
from platformctl.engine.record import Records
from platformctl.engine.remote import Reply
from platformctl.engine.stages import Kind, Stage, Workload, each
from tests.unit.engine.sites import Hosts, make_fleet

STAGES = (
    Stage("preflight", "all", kind=Kind.PREFLIGHT),
    Stage("artifacts", "localhost", kind=Kind.ARTIFACTS),
    Stage("node", "node", ("node",), each("preflight"), workload=Workload.JOBS, effect="slurmd may restart",
          harms={"key": "jobs lose their daemons"}),
)  # fmt: skip
HOSTS = {"n1": ("node",), "n2": ("node",)}


@pytest.fixture
def data(role: Callable[..., Path]) -> Path:
    return role("node", "memory", "key")


def make(fleet: Fleet, records: Records, data: Path, **scope: object) -> Plan:
    full = bool(scope.get("full"))
    chosen = Scope(
        frozenset(scope.get("hosts", fleet.hosts)), frozenset(stage.name for stage in STAGES), full
    )
    return plan.make(STAGES, fleet, records, chosen, data, {})


def applied(fleet: Fleet, data: Path) -> Records:
    """Records of a site on which everything is applied."""
    return Records(
        {name: {"node": {"parts": digest.parts(STAGES[2], name, fleet, data, {})}} for name in fleet.hosts}
    )


def test_a_new_host_gets_all_and_is_checked_first(data: Path) -> None:
    found = make(make_fleet(HOSTS), Records({}), data)
    assert found.work == {"preflight": ("n1", "n2"), "node": ("n1", "n2")}
    assert found.steps[-1].reasons == ("not applied yet",)


def test_a_converged_site_has_nothing_to_do(data: Path) -> None:
    fleet = make_fleet(HOSTS, {"memory": 1})
    assert make(fleet, applied(fleet, data), data).steps == ()


def test_a_changed_variable_is_named_on_its_host_alone(data: Path) -> None:
    records = applied(make_fleet(HOSTS, {"memory": 1}), data)
    found = make(make_fleet(HOSTS, {"memory": 1}, {"n2": {"memory": 2}}), records, data)
    assert found.work == {"preflight": ("n2",), "node": ("n2",)}
    assert found.steps[-1].reasons == ("variable memory changed",)


def test_a_stage_that_did_not_end_is_planned_again(data: Path) -> None:
    fleet = make_fleet(HOSTS)
    records = applied(fleet, data)
    records.stages["n1"]["node"] = {"begun": "2026-01-01T00:00:00+00:00"}
    found = make(fleet, records, data)
    assert [(step.host, step.reasons) for step in found.steps if step.stage == "node"] == [
        ("n1", ("did not end well last time",))
    ]
    assert not found.steps[-1].fresh


def test_full_and_limit(data: Path) -> None:
    fleet = make_fleet(HOSTS)
    found = make(fleet, applied(fleet, data), data, full=True, hosts=("n2",))
    assert found.work["node"] == ("n2",)
    assert found.steps[-1].reasons == ("--full",)


def test_a_host_that_is_down_is_planned_and_named(data: Path) -> None:
    fleet = make_fleet(HOSTS)
    records = applied(fleet, data)
    del records.stages["n2"]
    records.down["n2"] = Reply(255, "", "No route to host")
    found = make(fleet, records, data)
    assert found.down == {"n2": "No route to host"}
    assert found.work["node"] == ("n2",)


def test_impact_counts_what_runs_on_the_host(data: Path) -> None:
    records = applied(make_fleet(HOSTS, {"memory": 1, "key": "a"}), data)
    running = {Workload.JOBS: {"n1": 3}}
    mild = make(make_fleet(HOSTS, {"memory": 2, "key": "a"}), records, data)
    effects = {found.host: found for found in plan.impacts(STAGES, mild, running)}
    assert (effects["n1"].running, effects["n1"].harmful) == ("3 slurm jobs", False)
    assert effects["n2"].running == ""
    harmful = make(make_fleet(HOSTS, {"memory": 1, "key": "b"}), records, data)
    assert [found.harmful for found in plan.impacts(STAGES, harmful, running)] == [True, False]


async def test_records_survive_on_the_host(hosts: Hosts) -> None:
    fleet = make_fleet(HOSTS)
    hosts.down.add("192.0.2.12")
    records = await record.read(fleet, ("n1", "n2"))
    assert set(records.down) == {"n2"}
    await records.begin(fleet.hosts["n1"], "base")
    again = await record.read(fleet, ("n1",))
    assert (again.parts("n1", "base"), again.begun("n1", "base")) == (None, True)
    await records.store(fleet.hosts["n1"], "base", {"role:base": "x"})
    again = await record.read(fleet, ("n1",))
    assert again.parts("n1", "base") == {"role:base": "x"}
    path = hosts.folder("192.0.2.11") / "digests.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{broken")
    assert (await record.read(fleet, ("n1",))).stages == {"n1": {}}
