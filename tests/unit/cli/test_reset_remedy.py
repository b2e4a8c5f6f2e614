import shlex

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.running import reset
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet


def test_the_remedy_for_a_wrong_name_removes_no_more_than_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[tuple[str, ...]] = []

    async def removal(_fleet: object, hosts: tuple[str, ...], *_: object) -> reset.HostReset:
        return reset.HostReset(dict.fromkeys(hosts, ("base",)), {})

    async def undo(_fleet: object, found: reset.HostReset, *_: object) -> ExitCode:
        removed.append(tuple(found.roles))
        return ExitCode.DONE

    monkeypatch.setattr(reset, "planned_reset", removal)
    monkeypatch.setattr(reset, "reset", undo)
    monkeypatch.setattr(loading, "load", lambda _: make_fleet({"n1": (), "n2": (), "n3": ()}))
    words = ["reset", "-i", "/tmp/inventory", "--limit", "n1", "--limit", "n2:!n3"]
    error = CliRunner().invoke(app, [*words, "--yes", "tset"]).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.REFUSED
    command = shlex.split(error.next)
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    assert removed == [("n1", "n2")]
