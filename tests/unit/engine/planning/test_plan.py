import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl import paths
from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import digest, plan, record, words
from platformctl.engine.planning.plan import Plan, RunSelection
from platformctl.engine.planning.record import Records
from platformctl.engine.remote import Reply
from platformctl.engine.running import install
from platformctl.engine.running.journal import Event, Journal
from platformctl.engine.running.redact import Redactor
from platformctl.engine.stages import STAGES as TABLE
from platformctl.engine.stages import Stage, StageRunner, each
from tests.unit.engine.planning.whole_site import SITE, VARIABLES, site_records
from tests.unit.engine.sites import Hosts, make_fleet
from tests.unit.roles.kubernetes.plugins import load

STAGES = (
    Stage("preflight", "all", runner=StageRunner.PREFLIGHT),
    Stage("artifacts", "localhost", runner=StageRunner.ARTIFACTS),
    Stage("node", "node", ("node",), each("preflight"), effect="slurmd may restart"),
)
HOSTS = {"n1": ("node",), "n2": ("node",)}


@pytest.fixture
def data(role: Callable[..., Path]) -> Path:
    return role("node", "memory", "key")


def make(fleet: Fleet, records: Records, data: Path, **selection: object) -> Plan:
    full = bool(selection.get("full"))
    chosen = RunSelection(
        frozenset(selection.get("hosts", fleet.hosts)), frozenset(stage.name for stage in STAGES), full
    )
    return plan.make(STAGES, fleet, records, chosen, data, {})


def applied(fleet: Fleet, data: Path) -> Records:
    """Records of a site on which everything is applied."""
    return Records(
        {
            name: {"node": {"parts": digest.StageDigest(STAGES[2], fleet, data, {}).parts(name)}}
            for name in fleet.hosts
        }
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
    assert found.steps[-1].reasons == ("variable memory changed to 2",)


@pytest.mark.parametrize(("days", "due"), [(89, False), (91, True)])
def test_certificates_are_signed_again_while_they_last(data: Path, days: int, due: bool) -> None:
    fleet = make_fleet(HOSTS)
    records = applied(fleet, data)
    at = datetime.now(UTC) - timedelta(days=days)
    records.stages["n1"]["node"]["at"] = at.isoformat("T", "seconds")
    signing = tuple(replace(stage, certificates=stage.name == "node") for stage in STAGES)
    selection = RunSelection(frozenset({"n1"}), frozenset({"node"}))
    found = plan.make(signing, fleet, records, selection, data, {})
    reason = "its certificates are signed again from time to time"
    assert [step.reasons for step in found.steps] == ([(reason,)] if due else [])
    assert make(fleet, records, data).steps == ()


def test_what_signs_certificates_says_so() -> None:
    """Else nothing would sign them again; and what is due gets new ones."""
    tasks = (paths.data_dir() / "roles").glob("*/tasks/*.yml")
    importing = {path.parts[-3] for path in tasks if "name: tls_certificate" in path.read_text()}
    assert {role for stage in TABLE if stage.certificates for role in stage.roles} == importing
    signing = load("roles/tls_certificate/filter_plugins/site_certificate.py")
    assert signing._VALID - plan.SIGNED_AGAIN_AFTER < signing._RENEW_BEFORE < signing._VALID


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
    assert found.down == {"n2": "does not answer: No route to host"}
    assert found.work["node"] == ("n2",)


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


DAMAGED = ["{broken", "", "[]", "null", '{"base": 1}', '{"base": {"parts": 3}}', '{"base": {"at": "once"}}']


@pytest.mark.parametrize("text", DAMAGED)
async def test_a_damaged_record_is_unknown_and_never_not_applied(text: str, hosts: Hosts, data: Path) -> None:
    fleet = make_fleet(HOSTS)
    for address in ("192.0.2.11", "192.0.2.12"):
        hosts.folder(address).mkdir(parents=True)
    (hosts.folder("192.0.2.11") / "digests.json").write_text(text)
    records = await record.read(fleet, ("n1", "n2"))
    assert records.damaged == {"n1"}
    steps = {step.host: step for step in make(fleet, records, data).steps if step.stage == "node"}
    assert "unknown" in steps["n1"].reasons[0]
    assert (steps["n1"].fresh, steps["n2"].fresh) == (False, True)
    # The first change writes a sound record, which still says that anything may be applied.
    await records.begin(fleet.hosts["n1"], "other")
    again = await record.read(fleet, ("n1",))
    assert again.damaged == set()
    assert again.begun("n1", "node")


async def test_a_record_that_cannot_be_read_is_said(hosts: Hosts) -> None:
    (hosts.folder("192.0.2.11") / "digests.json").mkdir(parents=True)
    records = await record.read(make_fleet(HOSTS), ("n1",))
    assert "Is a directory" in records.down["n1"].refusal


LOCAL = Stage("charts", "localhost", runner=StageRunner.CHARTS, variables=("memory",), record="node")


def local(records: Records, hosts: set[str], memory: int = 1) -> Plan:
    """The plan of a step on the operator's machine whose digest the first node keeps."""
    selection = RunSelection(frozenset(hosts), frozenset({"charts"}))
    return plan.make((LOCAL,), make_fleet(HOSTS, {"memory": memory}), records, selection, Path(), {})


def kept(memory: int = 1) -> Records:
    fleet = make_fleet(HOSTS, {"memory": memory})
    parts = digest.StageDigest(LOCAL, fleet, Path(), {}).parts("localhost")
    return Records({"n1": {"charts": {"parts": parts}}})


def test_a_step_on_this_machine_is_recorded_on_its_host_and_goes_with_it() -> None:
    assert local(kept(), {"n1", "n2"}).steps == ()
    (step,) = local(kept(), {"n1"}, memory=2).steps
    assert (step.host, step.reasons) == ("localhost", ("variable memory changed to 2",))
    assert local(kept(), {"n2"}, memory=2).steps == ()


def test_a_host_that_is_down_says_so_and_is_in_service(data: Path) -> None:
    fleet = make_fleet(HOSTS)
    records = applied(fleet, data)
    records.down["n2"] = Reply(255, "", "No route to host")
    found = make(fleet, records, data)
    (step,) = [step for step in found.steps if step.stage == "node"]
    assert (step.reasons, step.fresh) == (("the host cannot be asked",), False)


def test_only_a_host_without_anything_is_fresh(data: Path) -> None:
    records = Records({"n1": {"base": {"parts": {}}}, "n2": {}})
    found = make(make_fleet(HOSTS), records, data)
    checks = {step.host: step for step in found.steps if step.stage == "preflight"}
    assert {name: step.fresh for name, step in checks.items()} == {"n1": False, "n2": True}
    assert checks["n1"].reasons == ("before anything is done to the host",)
    assert {step.fresh for step in found.steps if step.stage == "node"} == {True}


def test_with_full_hosts_are_checked_though_nothing_else_is_due_there(data: Path) -> None:
    fleet = make_fleet({"n1": ("node",), "other": ()})
    records = applied(fleet, data)
    assert make(fleet, records, data, full=True).work["preflight"] == ("n1", "other")
    assert make(fleet, records, data).work == {}


MOVED = SITE | {"k1": ("slurm_node", "munge", "containerd")}


def moved(hosts: set[str] | None = None) -> Plan:
    """The plan of the site after k1 left kubernetes_node."""
    fleet = make_fleet(MOVED, VARIABLES)
    selection = RunSelection(frozenset(hosts or fleet.hosts), frozenset(stage.name for stage in TABLE))
    return plan.make(TABLE, fleet, site_records(make_fleet(SITE, VARIABLES)), selection, paths.data_dir(), {})


def test_what_a_host_still_does_for_a_group_it_left_is_named() -> None:
    assert moved().left == {"k1": ("kubernetes_node",)}
    assert moved({"n1"}).left == {}
    (line,) = words.left_over(moved(), make_fleet(MOVED))
    assert line.startswith("k1: services of kubernetes_node still run")
    assert "platformctl reset -i /tmp/inventory --limit k1 " in line


def test_hosts_that_left_the_same_group_share_a_line() -> None:
    found = Plan((), {}, {"k1": ("kubernetes_node",), "k2": ("kubernetes_node",), "n1": ("slurm_node",)})
    lines = words.left_over(found, make_fleet(SITE))
    assert [line.partition(":")[0] for line in lines] == ["k1, k2", "n1"]
    assert "--limit k1,k2 " in lines[0]


def test_another_first_host_of_a_group_leaves_nothing_behind() -> None:
    before = make_fleet(SITE, VARIABLES)
    fleet = make_fleet({"ctl0": SITE["ctl1"]} | SITE, VARIABLES)
    selection = RunSelection(frozenset(fleet.hosts), frozenset(stage.name for stage in TABLE))
    assert plan.make(TABLE, fleet, site_records(before), selection, paths.data_dir(), {}).left == {}


def test_plan_shows_what_a_host_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def draft(_: install.Installation) -> install.Draft:
        return install.Draft(moved(), (), fetched=True)

    monkeypatch.setattr(install.Installation, "draft", draft)
    monkeypatch.setattr(loading, "load", lambda _: make_fleet(MOVED, VARIABLES))
    done = CliRunner().invoke(app, ["--output", "json", "plan", "-i", "site"])
    rows = [row for row in json.loads(done.stdout) if row["impact"] == "its services still run"]
    assert [(row["host"], row["stage"]) for row in rows] == [("k1", "kubernetes_node")]
    assert "reset -i /tmp/inventory --limit k1" in done.stderr
    text = CliRunner().invoke(app, ["plan", "-i", "site"])
    assert "its services still run" in text.stdout
    assert "reset -i /tmp/inventory --limit k1" in text.stderr


def test_install_announces_what_a_host_still_does(tmp_path: Path) -> None:
    told: list[Event] = []
    fleet = make_fleet(MOVED, VARIABLES)
    with Journal(tmp_path / "run", Redactor([]), told.append) as journal:
        draft = install.Draft(moved(), (), fetched=True)
        install.Installation(fleet, install.Options())._announce(draft, journal)
    assert told[-1]["message"] == words.left_over(moved(), fleet)[0]


def test_a_first_installation_is_one_line(data: Path) -> None:
    found = make(make_fleet(HOSTS), Records({}), data)
    assert words.summary(found) == ["first installation: 2 stages on 2 hosts"]
    assert [line.partition(" (")[0] for line in words.summary(found, details=True)] == [
        "plan: preflight on n1, n2",
        "plan: node on n1, n2",
    ]
    down = make(make_fleet(HOSTS), Records({}, {"n2": Reply(255, "", "No route to host")}), data)
    assert words.summary(down)[:2] == [
        "n2 does not answer: No route to host",
        "first installation: 2 stages on 1 host",
    ]


def test_a_new_host_of_an_installed_site_is_one_line_beside_the_others(data: Path) -> None:
    fleet = make_fleet(HOSTS, {"memory": 1})
    old = applied(fleet, data)
    del old.stages["n2"]
    changed = make(make_fleet(HOSTS, {"memory": 2}), old, data)
    first, *others = words.summary(changed)
    assert first == "first installation: 2 stages on 1 host (n2)"
    assert [line.partition(" (")[0] for line in others] == ["plan: preflight on n1", "plan: node on n1"]
    assert all("n2" not in line for line in others)


def test_what_was_begun_is_no_first_installation(data: Path) -> None:
    begun = Records({"n1": {"node": {"begun": "2026-01-01T00:00:00+00:00"}}})
    lines = words.summary(make(make_fleet(HOSTS), begun, data))
    assert lines[0] == "first installation: 2 stages on 1 host (n2)"
    assert any("did not end well last time" in line for line in lines)


def test_plan_shows_a_first_installation_in_one_line(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    async def draft(_: install.Installation) -> install.Draft:
        return install.Draft(make(make_fleet(HOSTS), Records({}), data), (), fetched=True)

    monkeypatch.setattr(install.Installation, "draft", draft)
    monkeypatch.setattr(loading, "load", lambda _: make_fleet(HOSTS))
    short = CliRunner().invoke(app, ["plan", "-i", "site"]).stdout
    assert short == "first installation: 2 stages on 2 hosts (platformctl -v plan names them)\n"
    long = CliRunner().invoke(app, ["-v", "plan", "-i", "site"]).stdout
    assert long.count("not applied yet") == 2
    rows = json.loads(CliRunner().invoke(app, ["-o", "json", "plan", "-i", "site"]).stdout)
    assert [(row["host"], row["stage"]) for row in rows if row["why"] == "not applied yet"] == [
        ("n1", "node"),
        ("n2", "node"),
    ]


def test_a_host_that_does_not_answer_is_named_once(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    plan = make(
        make_fleet(HOSTS),
        Records({}, down={"n1": Reply(255, "", "no route"), "n2": Reply(255, "", "refused")}),
        data,
    )

    async def draft(_: install.Installation) -> install.Draft:
        return install.Draft(plan, (), fetched=True)

    monkeypatch.setattr(install.Installation, "draft", draft)
    monkeypatch.setattr(loading, "load", lambda _: make_fleet(HOSTS))
    short = CliRunner().invoke(app, ["plan", "-i", "site"])
    assert short.stdout == "nothing to do: every host that answers has what the inventory says\n"
    assert [line.split()[0] for line in short.stderr.splitlines()] == ["n1", "n2"]
    assert short.exit_code == 4
    assert CliRunner().invoke(app, ["plan", "-i", "site", "-v"]).stdout.count("cannot be asked") == 2
    assert [line.split()[0] for line in words.summary(plan)] == ["n1", "n2"]


def test_install_lists_what_each_stage_waits_for(tmp_path: Path, data: Path) -> None:
    told: list[Event] = []
    fleet = make_fleet(HOSTS)
    with Journal(tmp_path / "run", Redactor([]), told.append) as journal:
        run = install.Installation(fleet, install.Options(), STAGES, data)
        run._list(make(fleet, Records({}), data), journal)
    hosts = ["n1", "n2"]
    stages = {"preflight": {"hosts": hosts, "needs": []}, "node": {"hosts": hosts, "needs": ["preflight"]}}
    assert [event for event in told if event["event"] == "planned"] == [
        {"event": "planned", "stages": stages}
    ]


async def test_what_changed_before_a_stage_was_begun_is_still_known(hosts: Hosts, data: Path) -> None:
    """A run that was killed forgets no change that has its effect only now."""
    records = applied(make_fleet(HOSTS, {"memory": 1}), data)
    fleet = make_fleet(HOSTS, {"memory": 2})
    for _ in range(2):
        await records.begin(fleet.hosts["n1"], "node")
    again = await record.read(fleet, ("n1", "n2"))
    again.stages["n2"] = records.stages["n2"]
    steps = {step.host: step for step in make(fleet, again, data).steps if step.stage == "node"}
    assert steps["n1"].reasons == ("did not end well last time",)
    assert set(steps["n1"].changed) == set(steps["n2"].changed) == {"variable:memory"}
    await again.store(fleet.hosts["n1"], "node", {"role:node": "x"})
    assert "before" not in again.stages["n1"]["node"]
