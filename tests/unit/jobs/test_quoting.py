import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformctl.jobs.quoting import bash_word, expand_references

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
    ],
)
def test_references_as_the_kubelet_expands_them(text: str, expected: str) -> None:
    assert expand_references(text, {"A": "1"}) == expected
