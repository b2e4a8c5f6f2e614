import json

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.locking import host_lock
from tests.unit.engine.sites import make_fleet


@pytest.fixture
def unlock(monkeypatch: pytest.MonkeyPatch):
    def run(removed: dict[str, str], down: dict[str, str], *options: str):
        async def release(*_: object) -> tuple[dict[str, str], dict[str, str]]:
            return removed, down

        monkeypatch.setattr(host_lock, "release", release)
        monkeypatch.setattr(loading, "load", lambda _: make_fleet({"n1": (), "n2": ()}))
        return CliRunner().invoke(app, [*options, "unlock", "-i", "site"])

    return run


def test_unlock_without_a_lock_says_so(unlock) -> None:
    done = unlock({}, {})
    assert done.exit_code == 0
    assert done.stdout == "nothing to do: no run holds a lock of this site\n"
    assert json.loads(unlock({}, {}, "-o", "json").stdout) == []


def test_unlock_says_whose_lock_it_removed(unlock) -> None:
    done = unlock({"n1": "eve on far"}, {})
    assert done.exit_code == 0
    assert "n1    eve on far" in done.stdout


def test_a_host_that_is_down_may_still_have_the_lock(unlock) -> None:
    done = unlock({}, {"n1": "does not answer: No route to host"})
    assert done.exit_code == 4
    assert "on the hosts that answer" in done.stdout
    assert done.stderr == "n1 does not answer: No route to host\n"
