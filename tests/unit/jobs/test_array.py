import pytest

from platformctl.jobs.array import array_text, parse_array
from platformctl.jobs.model import Array


@pytest.mark.parametrize(
    ("text", "indices", "limit"),
    [
        ("0-3", (0, 1, 2, 3), None),
        ("0-99%10", tuple(range(100)), 10),
        ("7,1,3,3", (1, 3, 7), None),
        ("0-20:5", (0, 5, 10, 15, 20), None),
        ("0-1,5-6%1", (0, 1, 5, 6), 1),
        ("1000000", (1_000_000,), None),
        ("0-9999", tuple(range(10_000)), None),
        ("007", (7,), None),
    ],
)
def test_arrays(text: str, indices: tuple[int, ...], limit: int | None) -> None:
    assert parse_array(text) == Array(indices, limit)
    assert parse_array(array_text(Array(indices, limit))) == Array(indices, limit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-10000", "more than 10000 elements"),
        ("0-1000000", "more than 10000 elements"),
        ("0-9999,10000", "more than 10000 elements"),
        ("1000001", "above 1000000"),
        ("5-1", "counts down"),
        ("0-5:0", "step of zero"),
        ("0-5%0", "at least one"),
        ("", "list of indices"),
        ("1,", "holds"),
        ("-1", "holds"),
        ("1--2", "holds"),
        ("1\n", "list of indices"),
        ("٣", "list of indices"),
        ("1," * 5000 + "1", "at most 8192"),
        (5, "must be a list"),
        (None, "must be a list"),
    ],
)
def test_what_is_no_array(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_array(text)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (Array((0, 1, 2)), "0-2"),
        (Array((0, 5, 10), 2), "0-10:5%2"),
        (Array((1, 3)), "1,3"),
        (Array((4,)), "4"),
        (Array((0, 1, 2, 7)), "0-2,7"),
    ],
)
def test_the_shortest_form(array: Array, text: str) -> None:
    assert array_text(array) == text


def test_from_zero() -> None:
    assert parse_array("0-3").from_zero
    assert not parse_array("1-3").from_zero
    assert not parse_array("0-20:5").from_zero
