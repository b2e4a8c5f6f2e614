"""`--yes NAME` of `install` accepts what has this name; `--yes` alone accepts no takeover."""

import pytest
from typer.testing import CliRunner

from platformctl.cli import run
from platformctl.cli.main import app
from platformctl.engine.running import install
from tests.unit.engine.sites import make_fleet


@pytest.mark.parametrize(
    ("words", "yes", "agreed"),
    [
        (["--yes"], True, ()),
        (["-y", "--full"], True, ()),
        (["--yes", "docker-ce"], False, ("docker-ce",)),
        (["--yes", "docker-ce", "-y", "k3s", "--yes"], True, ("docker-ce", "k3s")),
        (["--yes=docker-ce"], False, ("docker-ce",)),
        ([], False, ()),
    ],
)
def test_yes_with_and_without_a_name(
    words: list[str], yes: bool, agreed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[install.Options] = []

    class Installation:
        fetches = False

        def __init__(self, fleet: object, options: install.Options) -> None:
            given.append(options)

        async def run(self, output: object) -> int:
            return 0

    monkeypatch.setattr(install, "Installation", Installation)
    monkeypatch.setattr(run, "_load", lambda _: make_fleet({"n1": ()}))
    done = CliRunner().invoke(app, ["install", *words, "-i", "site"])
    assert done.exit_code == 0, done.output
    assert (given[0].yes, given[0].agreed) == (yes, agreed)
