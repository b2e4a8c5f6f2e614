"""The proof of whose a job in a back end is."""

import pytest

from platformctl.jobs.tokens import Token, parse_token

UID = "11924ac8-3932-46d6-ad0c-b5501999851a"
FIRST, SECOND = Token("lab", UID, 1, "0a1b2c3d"), Token("lab", UID, 1, "ffffffff")


@pytest.mark.parametrize("token", [Token("lab", UID, 1), Token("north.example", UID, 999999, "0a1b2c3d")])
def test_what_is_written_is_read_again(token: Token) -> None:
    assert parse_token(str(token)) == token


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, "", b"", {"job": str(FIRST)}, f"{FIRST} ", f"x{FIRST}", f"{FIRST}\n"),
        *(f"kf:lab:{UID}:0", f"kf:lab:{UID}:01", f"kf:lab:{UID}:1000000", f"kf:lab:{UID}", f"kf::{UID}:1"),
        *(f"kf:lab:{UID}:1:", f"kf:lab:{UID}:1:0a1b2c3", f"kf:lab:{UID}:1:0A1B2C3D", f"kf:lab:{UID}:\u0661"),
    ],
)
def test_anything_else_is_no_token(text: object) -> None:
    assert parse_token(text) is None


def test_copies_are_of_one_attempt_whichever_is_compared_with_which() -> None:
    plain = Token("lab", UID, 1)
    for one in (FIRST, SECOND, plain):
        for other in (FIRST, SECOND, plain):
            assert one.same_attempt(other)
    for stranger in (Token("lab", UID, 2), Token("other", UID, 1), Token("lab", "0" * 36, 1, "0a1b2c3d")):
        assert not FIRST.same_attempt(stranger)
        assert not stranger.same_attempt(FIRST)


def test_each_submission_has_another_token() -> None:
    tokens = {Token("lab", UID, 1).another_submission() for _ in range(9)} | {FIRST.another_submission()}
    assert len(tokens) == 10
    assert all(parse_token(str(token)) == token and token.same_attempt(FIRST) for token in tokens)
