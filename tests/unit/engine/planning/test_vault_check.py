"""Which vaults fit the hosts of a site, and what is said of one that does not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.planning import digest, fingerprints, plan, record, vault_check
from platformctl.engine.planning.plan import RunSelection
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import Stage, StageRunner
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import Hosts, make_fleet

MUNGE = Stage("munge", "munge", ("munge",))
CHARTS = Stage(
    "charts", LOCALHOST, (), runner=StageRunner.CHARTS, variables=("secret_slurm_jwt_key",), record="munge"
)
TABLE = (MUNGE, CHARTS)
GROUPS = {"n1": ("munge",), "n2": ("munge",), "n3": ("munge",)}
VAULT = {"secret_munge_key": "first", "secret_slurm_jwt_key": "token"}


def site(vault: Mapping[str, str] = VAULT, groups: Mapping[str, tuple[str, ...]] = GROUPS) -> Fleet:
    return make_fleet(groups, vault)


async def installed(fleet: Fleet, data: Path, *only: str, table: tuple[Stage, ...] = TABLE) -> Records:
    """What hosts record when all stages ended well there."""
    records = await record.read(fleet, tuple(fleet.hosts))
    for stage in table:
        present = digest.StageDigest(stage, fleet, data, {}, salt=records.salt)
        for host in stage.targets(fleet):
            keeper = stage.recorded_on(fleet, host)
            if not only or keeper in only:
                where = fleet.hosts[keeper]
                await records.begin(where, stage.name, present.prints(host))
                await records.store(where, stage.name, present.parts(host), present.prints(host))
    return await record.read(fleet, tuple(fleet.hosts))


def refusal(fleet: Fleet, records: Records, table: tuple[Stage, ...] = TABLE) -> PlatformError | None:
    try:
        vault_check.refuse_foreign(table, fleet, records)
    except PlatformError as error:
        return error if error.code is ExitCode.REFUSED else None
    return None


@pytest.fixture
def data(role) -> Path:  # type: ignore[no-untyped-def]
    return role("munge", "secret_munge_key")


async def test_the_same_vault_fits_and_a_later_version_may_have_more(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    assert refusal(site(), records) is None
    assert refusal(site({**VAULT, "secret_of_tomorrow": "x"}), records) is None


async def test_another_vault_is_refused_with_every_name_and_host(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    error = refusal(site({"secret_munge_key": "theirs", "secret_slurm_jwt_key": "theirs"}), records)
    assert error
    munge, token = error.details
    assert munge.startswith("munge_key (secret_munge_key): another one is in use on n1, n2, n3 (since 20")
    assert token.startswith("slurm_jwt_key (secret_slurm_jwt_key): another one is in use on n1 (since 20")
    assert "platformctl secrets rotate munge_key -i" in error.next
    assert "reset" not in error.next


async def test_a_vault_without_secrets_is_refused(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    error = refusal(site({}), records)
    assert error
    assert "the vault has none" in error.what


async def test_hosts_that_differ_from_each_other_are_named_apart(hosts: Hosts, data: Path) -> None:
    await installed(site(), data, "n1")
    await installed(site({**VAULT, "secret_munge_key": "second"}), data, "n2")
    records = await installed(site({**VAULT, "secret_munge_key": "third"}), data, "n3")
    error = refusal(site({**VAULT, "secret_munge_key": "third"}), records)
    assert error
    (line,) = error.details
    assert "in use on n1 (since 20" in line
    assert ", and yet another on n2 (since 20" in line
    assert "n3" not in line
    assert "platformctl reset -i /tmp/inventory --limit n1,n2" in error.next


async def test_during_a_rotation_the_old_one_and_the_new_one_fit(hosts: Hosts, data: Path) -> None:
    await installed(site(), data)
    both = {**VAULT, "secret_munge_key": "second", "secret_munge_key_retired": "first"}
    records = await installed(site(both), data, "n2")
    assert refusal(site(both), records) is None
    assert vault_check.unfinished(site(both))[0].startswith(
        "the rotation of munge_key is not finished: platformctl "
    )
    assert refusal(site({**VAULT, "secret_munge_key": "second"}), records)
    assert vault_check.unfinished(site()) == []


async def test_a_stage_that_was_killed_may_have_either(hosts: Hosts, data: Path) -> None:
    await installed(site(), data)
    new = site({**VAULT, "secret_munge_key": "second"})
    records = await record.read(new, tuple(new.hosts))
    prints = digest.StageDigest(MUNGE, new, data, {}, salt=records.salt).prints("n1")
    await records.begin(new.hosts["n1"], "munge", prints)
    records = await record.read(new, ("n1",))
    assert refusal(new, records) is None
    assert refusal(site(), records) is None
    assert refusal(site({**VAULT, "secret_munge_key": "third"}), records)


async def test_a_first_run_that_was_killed_leaves_its_fingerprints(hosts: Hosts, data: Path) -> None:
    fleet = site()
    records = await record.read(fleet, ("n1",))
    await records.begin(
        fleet.hosts["n1"], "munge", digest.StageDigest(MUNGE, fleet, data, {}, salt="s").prints("n1")
    )
    assert refusal(site({**VAULT, "secret_munge_key": "theirs"}), await record.read(fleet, ("n1",)))


async def test_a_host_that_left_the_group_does_not_count(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    new = {**VAULT, "secret_munge_key": "second"}
    records = await installed(site(new), data, "n1", "n2")
    assert refusal(site(new, {**GROUPS, "n3": ()}), records) is None
    assert refusal(site(new), records)


async def test_a_site_installed_before_there_were_fingerprints_is_compared_too(
    hosts: Hosts, data: Path
) -> None:
    records = await installed(site(), data)
    for entries in records.stages.values():
        for entry in entries.values():
            entry.pop("secrets", None)
            names = [part for part in entry.get("parts", {}) if part.startswith("variable:secret_")]
            old = {name: digest._hash(json.dumps(VAULT[name.partition(":")[2]])) for name in names}
            entry.get("parts", {}).update(old)
    assert refusal(site(), records) is None
    error = refusal(site({**VAULT, "secret_munge_key": "theirs"}), records)
    assert error
    assert "in use on n1, n2, n3 (since 20" in error.details[0]
    selection = RunSelection(frozenset(GROUPS), frozenset({"munge", "charts"}))
    assert plan.make(TABLE, site(), records, selection, data, {}).steps == ()


async def test_a_changed_secret_is_a_reason_of_the_plan(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    new = site({**VAULT, "secret_munge_key": "second"})
    selection = RunSelection(frozenset(GROUPS), frozenset({"munge", "charts"}))
    steps = plan.make(TABLE, new, records, selection, data, {}).steps
    assert {step.reasons for step in steps} == {("variable secret_munge_key changed",)}
    assert [step.host for step in steps] == ["n1", "n2", "n3"]


async def test_records_hold_no_plain_digest_and_one_salt(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    text = json.dumps(records.stages)
    assert not [value for value in VAULT.values() if value in text or digest._hash(json.dumps(value)) in text]
    kept = [kept for _, _, kept in vault_check.uses(TABLE, site(), records)]
    assert len(kept) == 4
    assert {fingerprints.salt_of(found) for each in kept for found in each["prints"]} == {records.salt}


async def test_an_unchanged_secret_keeps_its_age(hosts: Hosts, data: Path) -> None:
    records = await installed(site(), data)
    records.stages["n1"]["munge"]["secrets"]["secret_munge_key"]["since"] = "2020-01-01T00:00:00+00:00"
    fleet = site()
    present = digest.StageDigest(MUNGE, fleet, data, {}, salt=records.salt)
    await records.begin(fleet.hosts["n1"], "munge", present.prints("n1"))
    await records.store(fleet.hosts["n1"], "munge", present.parts("n1"), present.prints("n1"))
    found = (await record.read(fleet, ("n1",))).stages["n1"]["munge"]["secrets"]["secret_munge_key"]
    assert found["since"].startswith("2020")


async def test_many_hosts_are_not_all_named(hosts: Hosts, data: Path) -> None:
    many = {f"n{number}": ("munge",) for number in range(20)}
    records = await installed(site(groups=many), data)
    error = refusal(replace(site(groups=many), hosts=site({"secret_munge_key": "x"}, many).hosts), records)
    assert error
    assert "n7 and 12 more hosts (since" in error.details[0]


async def test_on_a_large_site_one_host_of_each_group_is_asked(hosts: Hosts, data: Path) -> None:
    large = make_fleet({"ctl1": ("slurm_controller",)} | {f"n{number}": ("munge",) for number in range(300)})
    assert vault_check.sample(large, tuple(large.hosts)) == ("ctl1", "n0")
    assert vault_check.sample(site(), ("n2", "n3")) == ("n2", "n3")
    await vault_check.check(large)
    assert len(hosts.scripts) == 2
