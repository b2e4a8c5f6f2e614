"""Whose jobs and pods prove that a site works."""

from typing import Any

import pytest

from platformctl.engine.checking.proofs import common
from tests.unit.engine.sites import make_fleet

GONE = {"name": "zoe", "uid": 10001, "state": "absent"}
USERS = [GONE, {"name": "alice", "uid": 10002}, {"name": "bob", "uid": 10003}]


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({}, ""),
        ({"users_accounts": [GONE]}, ""),
        ({"users_accounts": USERS}, "alice"),
        ({"users_accounts": USERS, "users_disabled": ["alice"]}, "bob"),
        ({"users_accounts": USERS, "users_disabled": ["alice", "bob"]}, ""),
    ],
)
def test_it_is_the_first_user_with_access(variables: dict[str, Any], who: str) -> None:
    assert common.user(make_fleet({"n1": ()}, variables)) == who
