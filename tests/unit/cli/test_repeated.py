"""The command line that goes on with an interrupted installation repeats what was chosen."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl.cli import run
from platformctl.cli.main import app
from platformctl.engine import loading
from platformctl.engine.running import install
from platformctl.engine.running.install import Options
from tests.unit.engine.sites import make_fleet

SITE = Path("site")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The options of the installations that commands began."""
    found: list[Options] = []

    class Installation:
        fetches = False

        def __init__(self, _fleet: object, options: Options) -> None:
            found.append(options)

        async def run(self, _output: object) -> int:
            await asyncio.sleep(0)
            return 0

    fleet = make_fleet({"n1": ("slurm_node",), "n2": ("slurm_node",)})
    monkeypatch.setattr(install, "Installation", Installation)
    monkeypatch.setattr(run, "_load", lambda _: fleet)
    monkeypatch.setattr(loading, "load", lambda _: fleet)
    return found


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ("install -i site", "install -i site"),
        ("install -i site --yes", "install -i site"),
        (
            "install -i site -l n1 -l n2 -s base --full",
            "install -i site --limit n1 --limit n2 --stage base --full",
        ),
        ("install -i site --drain", "install -i site --drain"),
        ("install -i site --drain --deadline 2h", "install -i site --drain --deadline 2h"),
        ("install -i site --drain --requeue --timeout 9", "install -i site --drain --requeue --timeout 9"),
        ("install -i site --drain --now", "install -i site --drain --now"),
        ("install -i site --reservation up --yes k3s", "install -i site --yes k3s --reservation up"),
        ("node add -i site n2 --yes", "node add -i site n2"),
    ],
)
def test_what_was_chosen_is_repeated(given: list[Options], words: str, again: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    assert given[0].repeated(SITE) == f"platformctl {again}"
