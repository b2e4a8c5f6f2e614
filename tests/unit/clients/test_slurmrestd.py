import time

import jwt
import pytest

from platformctl.clients.slurmrestd import TOKEN_SECONDS, TokenMinter

KEY = b"k" * 32


def test_a_token_is_short_and_for_one_user() -> None:
    claims = jwt.decode(TokenMinter(KEY).token("alice"), KEY, algorithms=["HS256"])
    assert claims["sun"] == "alice"
    assert claims["exp"] - claims["iat"] <= TOKEN_SECONDS
    assert set(claims) == {"sun", "iat", "exp"}


def test_a_token_is_kept_until_it_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    minter, now = TokenMinter(KEY), time.time()
    first = minter.token("alice")
    assert minter.token("alice") == first
    assert minter.token("bob") != first
    monkeypatch.setattr(time, "time", lambda: now + TOKEN_SECONDS - 60)
    assert minter.token("alice") != first
