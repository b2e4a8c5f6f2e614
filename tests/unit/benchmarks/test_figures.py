"""A figure is the median of its runs, with their spread."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import figures as module
from tests.benchmarks.figures import Figures


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITTEN", tmp_path / "bench")


def measured(*values: float, at_most: float | None = None) -> dict[str, object]:
    """The figure that is written for these runs."""
    figures = Figures("stub", "Nothing.")
    for value in values:
        figures.add("x", value, "s", at_most=at_most)
    figures.write()
    written = json.loads((module.WRITTEN / "stub.json").read_text())
    figure: dict[str, object] = written["figures"]["x"]
    return figure


def test_one_run_far_off_changes_little() -> None:
    found = measured(1.0, 1.1, 1.2, 1.3, 9.0)
    assert (found["value"], found["spread"], found["runs"]) == (1.2, 0.1, 5)


@pytest.mark.parametrize("values", [(1.0,), (1.0, 2.0)])
def test_few_runs_have_no_spread(values: tuple[float, ...]) -> None:
    assert measured(*values)["spread"] is None


def test_runs_that_agree_have_a_spread_of_zero() -> None:
    assert measured(2, 2, 2)["spread"] == 0


@pytest.mark.parametrize(("values", "holds"), [((1, 2, 9), True), ((1, 9, 9), False)])
def test_the_median_must_meet_the_goal(values: tuple[float, ...], holds: bool) -> None:
    assert measured(*values, at_most=2)["holds"] is holds


def test_without_a_goal_nothing_holds_or_fails() -> None:
    found = measured(1)
    assert found["goal"] is found["holds"] is None
