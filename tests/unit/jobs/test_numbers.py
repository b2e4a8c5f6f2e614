from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.jobs.walltime import MAX_SECONDS, parse_walltime


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", Fraction(4)),
        (4, Fraction(4)),
        ("500m", Fraction(1, 2)),
        ("16Gi", Fraction(16 * 2**30)),
        ("1.5G", Fraction(1_500_000_000)),
        ("1e3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("12E2", Fraction(1200)),
        ("0.1", Fraction(1, 10)),
        (0.1, Fraction(1, 10)),
        (1.5, Fraction(3, 2)),
        (1e-7, Fraction(1, 10**7)),
        ("100n", Fraction(1, 10**7)),
    ],
)
def test_quantities(text: object, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "1 Gi", "Gi", "1gi", "1e999999999", "٣", "1\n", None, True, -1.5, float("nan"), []]
)
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**12), st.sampled_from(["m", "", "k", "Mi", "Gi"]))
def test_ceiling_is_the_next_whole_number(number: int, suffix: str) -> None:
    value = parse_quantity(f"{number}{suffix}")
    assert 0 <= ceiling(value) - value < 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (1, 1),
        (5400, 5400),
        ("01:30:00", 5400),
        ("2-12:00:00", 216000),
        ("90m", 5400),
        ("1h30m", 5400),
        ("2d", 172800),
        ("45s", 45),
        (MAX_SECONDS, MAX_SECONDS),
        ("366d", MAX_SECONDS),
        ("1d2h3m4s", 93784),
        ("1-02:03:04", 93784),
    ],
)
def test_walltimes(text: object, seconds: int) -> None:
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        0,
        -1,
        MAX_SECONDS + 1,
        "",
        "1",
        "0s",
        "1h30",
        "30:00",
        "1:60:00",
        "999d",
        "1w",
        "1h\n",
        True,
        None,
        1.5,
    ],
)
def test_what_is_no_walltime(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_walltime(text)
