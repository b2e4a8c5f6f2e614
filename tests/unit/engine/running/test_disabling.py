"""Who is disabled after a command, and that nothing else happens with it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.plan import Change, Plan, Step
from platformctl.engine.running import disabling
from platformctl.engine.stages import STAGES
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import disabled
from tests.unit.engine.sites import make_fleet

ACCOUNTS = [
    {"name": "alice", "uid": 10001},
    {"name": "bob", "uid": 10002},
    {"name": "carol", "uid": 10003, "state": "absent"},
]
NAMES = Change("x", "y")


def fleet(stopped: Sequence[str] = ()) -> Fleet:
    variables = {"users_accounts": ACCOUNTS, "users_disabled": list(stopped)}
    found = make_fleet({"n1": ()}, variables)
    return Fleet(found.site, found.inventory, found.hosts, found.groups, variables)


def step(host: str = "n1", fresh: bool = False, **changed: Change) -> Step:
    parts = {name.replace("_", ":", 1): change for name, change in changed.items()}
    return Step("base", host, ("because",), fresh, parts)


def test_names_are_added_and_taken_away() -> None:
    assert disabling.changed(fleet(), ["bob"], enable=False) == ("bob",)
    assert disabling.changed(fleet(["bob"]), ["alice", "bob"], enable=False) == ("bob", "alice")
    assert disabling.changed(fleet(["bob", "alice"]), ["bob"], enable=True) == ("alice",)
    # Somebody who is no user any more can still be taken from the list.
    assert disabling.changed(fleet(["dave"]), ["dave"], enable=True) == ()


@pytest.mark.parametrize("name", ["carol", "dave"])
@pytest.mark.parametrize("enable", [True, False])
def test_only_users_of_the_site_can_be_disabled(name: str, enable: bool) -> None:
    with pytest.raises(PlatformError) as refused:
        disabling.changed(fleet(), [name], enable)
    assert refused.value.code is ExitCode.INVALID


def test_the_stages_are_those_that_know_users() -> None:
    assert {"base", "slurm_controller", "charts"} <= set(disabling.stages(STAGES))
    assert "containerd" not in disabling.stages(STAGES)


def test_the_file_is_as_before_if_what_follows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {n1: {ansible_host: 192.0.2.11}}}\n")
    disabled.write(tmp_path, ["alice"])
    before = disabled.path(tmp_path).read_text()
    written = disabling.written(tmp_path, ["alice", "bob"], ["alice"])
    written.__enter__()
    assert "bob" in disabled.path(tmp_path).read_text()
    refusal = PlatformError("refused")
    assert not written.__exit__(type(refusal), refusal, None)
    assert disabled.path(tmp_path).read_text() == before


def test_only_the_names_may_differ() -> None:
    mine = step(variable_users_disabled=NAMES)
    disabling.refuse_others(fleet(), Plan((mine,), {}))
    # A host that does not answer keeps nobody in on the others.
    disabling.refuse_others(fleet(), Plan((mine, step("n2", fresh=True)), {"n2": "does not answer"}))
    # A stage that only went wrong since has no change.
    disabling.refuse_others(fleet(), Plan((mine, step()), {}))
    for other in (
        step(variable_users_disabled=NAMES, variable_site_domain=NAMES),
        step(fresh=True),
    ):
        with pytest.raises(PlatformError) as refused:
            disabling.refuse_others(fleet(), Plan((mine, other), {}))
        assert refused.value.code is ExitCode.REFUSED
        assert "base on n1: because" in refused.value.details
