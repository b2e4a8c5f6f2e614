"""`platformctl secrets`, and the commands that refuse a vault of another site."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.cluster import charts
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import vault_check
from platformctl.engine.rotation import rotate
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets
from tests.unit.engine.sites import make_fleet

GROUPS = {"ctl1": ("slurm_controller",)}
FOREIGN = PlatformError("hosts use other secrets", code=ExitCode.REFUSED)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "hosts.yml").write_text("all:\n  vars: {site_name: north}\n")
    return tmp_path


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


async def _refuse(_: Fleet) -> None:
    raise FOREIGN


@pytest.mark.parametrize("words", [("secrets", "make", "-i"), ("secrets", "--make", "-i")])
def test_missing_secrets_are_made_even_before_the_inventory_is_complete(
    inventory: Path, words: tuple[str, ...]
) -> None:
    done = call(*words, inventory)
    assert done.exit_code == 0, done.output
    assert set(secrets.load(inventory)) == set(secrets.NAMES)
    before = secrets.vault_path(inventory).read_bytes()
    assert call(*words, inventory).exit_code == 0
    assert secrets.vault_path(inventory).read_bytes() == before


def test_new_secrets_are_not_made_for_hosts_that_have_others(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load", lambda _: make_fleet(GROUPS))
    monkeypatch.setattr(vault_check, "check", _refuse)
    done = call("secrets", "make", "-i", inventory)
    assert isinstance(done.exception, PlatformError)
    assert done.exception.code is ExitCode.REFUSED
    assert not secrets.vault_path(inventory).exists()


@pytest.mark.parametrize("words", [("secrets", "list", "-i"), ("secrets", "-i")])
def test_the_list_has_every_secret_and_no_value(inventory: Path, words: tuple[str, ...]) -> None:
    secrets.ensure(inventory)
    done = call("-o", "json", *words, inventory)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {name for row in rows for name in row["variables"].split(", ")} >= set(secrets.NAMES)
    assert {row["state"] for row in rows} == {"not on any host yet"}
    assert all(len(row["fingerprint"]) == 32 for row in rows)
    assert not [value for value in secrets.load(inventory).values() if value in done.output]


def test_without_an_inventory_the_help_is_shown() -> None:
    done = call("secrets")
    assert done.exit_code == ExitCode.INVALID
    assert "rotate" in done.output


def test_rotate_passes_on_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    async def stand_in(inventory: Path, name: str, yes: bool, _: object) -> ExitCode:
        given.extend([inventory, name, yes])
        return ExitCode.UNREACHABLE

    monkeypatch.setattr(rotate, "rotate", stand_in)
    done = call("secrets", "rotate", "munge_key", "-i", "north", "--yes")
    assert (done.exit_code, given) == (ExitCode.UNREACHABLE, [Path("north"), "munge_key", True])


@pytest.mark.parametrize("command", ["charts", "verify"])
def test_a_foreign_vault_stops_what_would_use_it(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def used(*_: object) -> None:
        raise AssertionError("it was used")

    monkeypatch.setattr(loading, "load", lambda _: make_fleet(GROUPS))
    monkeypatch.setattr(vault_check, "check", _refuse)
    monkeypatch.setattr(charts, "apply", used)
    done = call(command, "-i", "north")
    assert isinstance(done.exception, PlatformError)
    assert done.exception.code is ExitCode.REFUSED
