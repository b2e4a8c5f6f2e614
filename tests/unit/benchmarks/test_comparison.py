"""A figure is called worse when it got worse by more than the noise of both sides, and only then."""

from typing import Any

import pytest

from tests.benchmarks.comparison import FLOOR, FLOOR_UNKNOWN, Comparison, compare


def figure(value: float, spread: float | None = 0.0, better: str = "lower", resolution: float = 0) -> Any:
    return {"value": value, "spread": spread, "better": better, "resolution": resolution, "unit": "s"}


def early(value: float) -> Any:
    """As figures were committed before spreads were measured."""
    return {"value": value, "unit": "s", "goal": None, "holds": None}


def one(old: Any, new: Any) -> Comparison:
    return compare({"x": old}, {"x": new})


def names(compared: Comparison) -> list[str]:
    return [difference.name for difference in compared.worse]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(figure(1), figure(1 + FLOOR * 0.9), id="the floor"),
        pytest.param(figure(1, 0.1), figure(1.4), id="the old spread"),
        pytest.param(figure(1), figure(1.4, 0.1), id="the new spread"),
        pytest.param(early(1), figure(1 + FLOOR_UNKNOWN * 0.9), id="no old spread"),
        pytest.param(figure(1), figure(1 + FLOOR_UNKNOWN * 0.9, None), id="too few runs"),
        pytest.param(figure(0.3, resolution=0.1), figure(0.4, resolution=0.1), id="the resolution"),
        pytest.param(figure(0), figure(0), id="zero"),
        pytest.param(figure(2), figure(1), id="better"),
        pytest.param(early(1), figure(3, better="higher"), id="better, the other way"),
    ],
)
def test_noise_is_not_reported(old: Any, new: Any) -> None:
    assert names(one(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(figure(1), figure(1 + FLOOR * 1.1), id="over the floor"),
        pytest.param(figure(1, 0.02), figure(1.2, 0.02), id="over both spreads"),
        pytest.param(early(1), figure(1 + FLOOR_UNKNOWN * 1.1), id="no old spread"),
        pytest.param(early(1), figure(1 + FLOOR_UNKNOWN * 1.1, None), id="no spread at all"),
        pytest.param(figure(0.3), figure(0.5, resolution=0.1), id="over the resolution"),
        pytest.param(figure(0), figure(1), id="from zero"),
        pytest.param(figure(100), figure(80, better="higher"), id="lower, where higher is better"),
        pytest.param(early(100), figure(70, better="higher"), id="the same without an old direction"),
    ],
)
def test_what_got_worse_is_reported(old: Any, new: Any) -> None:
    assert names(one(old, new)) == ["x"]


def test_both_spreads_count_together() -> None:
    # Each alone explains 0.2 of the difference of 0.25, both 0.28.
    spread = 0.2 / (3 * 1.4826)
    assert names(one(figure(1, spread), figure(1.25))) == ["x"]
    assert names(one(figure(1, spread), figure(1.25, spread))) == []


def test_the_table_gives_old_new_ratio_and_noise() -> None:
    compared = compare(
        {"load": figure(1), "rate": figure(200), "same": figure(1)},
        {"load": figure(1.5), "rate": figure(100, better="higher"), "same": figure(1)},
    )
    assert compared.lines() == [
        "worse  old    new    ratio  noise",
        "load   1 s    1.5 s  1.50   ± 0.1",
        "rate   200 s  100 s  0.50   ± 20",
    ]


def test_figures_of_one_side_are_named() -> None:
    compared = compare({"gone": early(1), "kept": early(1)}, {"kept": figure(1), "fresh": figure(1)})
    assert compared.worse == ()
    assert compared.lines() == [
        "none of 1 figures is worse by more than the noise",
        "not committed so far: fresh",
        "committed, but not measured: gone",
    ]


def test_a_ratio_from_zero_is_not_given() -> None:
    assert one(figure(0), figure(1)).lines()[1].split()[-3:] == ["-", "±", "0"]
