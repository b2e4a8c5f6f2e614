import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformctl.jobs.quoting import MAX_EXPANDED, bash_word, expand_environment, expand_references

_words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(_words, min_size=1, max_size=20))
def test_bash_reads_back_exactly_what_was_quoted(words: list[str]) -> None:
    script = "printf '%s\\0' " + " ".join(bash_word(word) for word in words)
    read = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[:-1] == words


@given(_words)
def test_a_word_never_begins_a_line(word: str) -> None:
    assert "\n" not in bash_word(word)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("x$(A)y$(A)", "x1y1"),
        ("$A ${A} `A` $", "$A ${A} `A` $"),
        ("$(A", "$(A"),
        ("$$$$", "$$"),
        ("$(rm -rf /)", "$(rm -rf /)"),
        ("$(x$(A)", "$(x$(A)"),
        ("$($$(A", "$($(A"),
        ("a$", "a$"),
        ("$()", "$()"),
    ],
)
def test_references_as_the_kubelet_expands_them(text: str, expected: str) -> None:
    assert expand_references(text, {"A": "1"}) == expected


def test_many_open_references_take_time_in_proportion() -> None:
    text = "$(" * 60_000
    assert expand_references(text, {}) == text


def test_the_bound_is_that_of_the_result() -> None:
    full = {"A": "x" * MAX_EXPANDED}
    assert expand_references("$(A)", full) == full["A"]
    for longer in ("y$(A)", "$(A)$$", "$(B)$(A)", "$(A)y"):
        with pytest.raises(ValueError, match="longer than 1048576"):
            expand_references(longer, full)


def test_the_bound_of_an_environment_is_that_of_all_values_together() -> None:
    halves = [("A", "x" * (MAX_EXPANDED // 2)), ("B", "$(A)")]
    assert expand_environment(halves) == dict.fromkeys("AB", halves[0][1])
    with pytest.raises(ValueError, match="longer than 1048576"):
        expand_environment([*halves, ("C", "x")])


def test_references_to_references_are_bounded() -> None:
    doubled = [("A0", "x" * 64), *((f"A{n}", f"$(A{n - 1})$(A{n - 1})") for n in range(1, 40))]
    with pytest.raises(ValueError, match="longer than 1048576"):
        expand_environment(doubled)
