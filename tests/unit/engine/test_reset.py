from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl.console import Format, Output
from platformctl.engine import lock, remote
from platformctl.engine import reset as undo
from platformctl.engine.fleet import Fleet
from platformctl.engine.outcome import HostResult, StageResult, Status
from platformctl.engine.reset import Removal
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import Hosts, make_fleet

FLEET = make_fleet({"ctl1": (), "n2": (), "n3": ()})


class Playbooks:
    """Stands in for Session: what was run, and who held the site's lock meanwhile."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.variables: list[Mapping[str, Any]] = []
        self.locked: list[str] = []

    def __call__(self, *_: object) -> "Playbooks":
        return self

    async def run(self, stage: str, hosts: tuple[str, ...], variables: Mapping[str, Any]) -> StageResult:
        self.variables.append(variables)
        self.locked = [
            host.name
            for host in FLEET.hosts.values()
            if (self.hosts.folder(host.connection.address) / "lock").is_dir()
        ]
        return StageResult(stage, {host: HostResult(Status.OK) for host in hosts}, 0.1)


@pytest.fixture
def playbooks(hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Playbooks:
    found = Playbooks(hosts)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(undo, "Session", found)
    monkeypatch.setattr(remote, "run_all", hosts.run_all)
    return found


async def reset(fleet: Fleet, found: Removal) -> ExitCode:
    return await undo.reset(fleet, found, Path(), Output(format=Format.JSON))


N3 = Removal({"n3": ("shared_home", "base")}, {})


async def test_a_reset_of_one_host_and_an_installation_exclude_each_other(playbooks: Playbooks) -> None:
    async with lock.hold(FLEET, tuple(FLEET.hosts), "install"):
        with pytest.raises(PlatformError) as error:
            await reset(FLEET, N3)
    assert error.value.code is ExitCode.REFUSED
    assert playbooks.variables == []


@pytest.mark.parametrize(("down", "where"), [(set(), "ctl1"), ({"192.0.2.11"}, "n2")])
async def test_the_lock_is_where_an_installation_looks_for_it(
    playbooks: Playbooks, hosts: Hosts, down: set[str], where: str
) -> None:
    hosts.down = down
    assert await reset(FLEET, N3) is ExitCode.DONE
    assert playbooks.locked == [where]
