"""Expressions of features mean the same however they are written, and are written as slurmctld takes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs import features

NAMES = st.sampled_from("abcd")
GROUPS = st.lists(NAMES, min_size=1, max_size=3).flatmap(
    lambda names: st.sampled_from("&|").map(lambda sign: f"({sign.join(names)})")
)
EXPRESSIONS = st.lists(st.one_of(NAMES, GROUPS), min_size=1, max_size=4).flatmap(
    lambda parts: st.lists(st.sampled_from("&|"), min_size=len(parts), max_size=len(parts)).map(
        lambda signs: "".join(map("".join, zip(["", *signs[1:]], parts, strict=True)))
    )
)


def holds(expression: str, there: set[str]) -> bool:
    """Whether a node with these features meets it, read from left to right as slurmctld does."""
    found, sign = True, "&"
    for group, word, operator in re.findall(r"\(([^()]*)\)|([^()&|]+)|([&|])", expression):
        if operator:
            sign = operator
        else:
            value = holds(group, there) if group else word in there
            found = (found and value) if sign == "&" else (found or value)
    return found


@given(EXPRESSIONS, EXPRESSIONS, st.sets(NAMES))
def test_joined_expressions_hold_together(one: str, other: str, there: set[str]) -> None:
    both = [features.read(one), features.read(other)]
    written = features.text(features.all_of(both))
    assert holds(written, there) == (holds(one, there) and holds(other, there))
    assert not re.search(r"\([^()]*\(", written)
    either = features.text(features.either(both))
    assert holds(either, there) == (holds(one, there) or holds(other, there))


@pytest.mark.parametrize(
    ("expression", "why"),
    [("[a|b]", "'[a'"), ("a*2", "'a*2'"), ("(a&(b|c))", "'('"), ("a)", "'\\)'"), ("a,b", "'a,b'")],
)
def test_what_cannot_be_joined(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why.replace("\\", ""))):
        features.read(expression)


def test_too_many_sets() -> None:
    choices = [features.one_of([f"a{number}", f"b{number}"]) for number in range(7)]
    with pytest.raises(ValueError, match="more than 64"):
        features.all_of(choices)
    assert features.all_of([features.ANY, features.ANY]) == features.ANY
    assert features.either([features.one_of("ab"), features.ANY]) == features.ANY
