import time
from collections.abc import Iterable
from typing import Any

import jwt
import orjson
import pytest

from platformctl.clients.slurmrestd import (
    JOB_FIELDS,
    TOKEN_SECONDS,
    SlurmBusyError,
    SlurmError,
    SlurmUnavailableError,
    TokenMinter,
    UnknownJobError,
    best,
    checked,
    states_of,
)

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


def document(*served: str, fields: Iterable[str] = JOB_FIELDS) -> dict[str, Any]:
    """An OpenAPI document as slurmrestd serves it."""
    schemas: dict[str, Any] = {"job": {"properties": {name: {} for name in fields}}}
    schemas["request"] = {"properties": {"job": {"$ref": "#/components/schemas/job"}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/request"}}}}
    paths = {f"/slurm/{dialect}/job/submit": {"post": {"requestBody": body}} for dialect in served}
    return {"paths": {**paths, "/slurm/v9.9.9/ping/": {}}, "components": {"schemas": schemas}}


KNOWN = ("v0.0.42", "v0.0.41", "v0.0.40")


def test_the_first_known_dialect_is_spoken() -> None:
    assert best(document("v0.0.39", "v0.0.40", "v0.0.41"), KNOWN) == "v0.0.41"
    assert best(document("v0.0.44", "v0.0.42", "v0.0.43"), KNOWN) == "v0.0.42"


def test_a_later_dialect_is_spoken_when_it_has_every_field() -> None:
    assert best(document("v0.0.44", "v0.0.43", "v0.0.100"), KNOWN) == "v0.0.43"
    with pytest.raises(SlurmUnavailableError, match=r"serves the API versions v0\.0\.43, and none of"):
        best(document("v0.0.43", fields=JOB_FIELDS - {"hold"}), KNOWN)


@pytest.mark.parametrize("served", [(), ("v0.0.36", "v0.0.37")])
def test_no_common_dialect_is_told(served: tuple[str, ...]) -> None:
    with pytest.raises(SlurmUnavailableError, match="and none of"):
        best(document(*served), KNOWN)


def error(number: int) -> bytes:
    return orjson.dumps({"errors": [{"error_number": number, "error": "words"}]})


@pytest.mark.parametrize(
    ("status", "number", "kind"),
    [
        (500, 11, SlurmBusyError),
        (500, 1804, SlurmBusyError),
        (500, 2105, SlurmBusyError),
        (429, 0, SlurmBusyError),
        (500, -1, SlurmUnavailableError),
        (500, 2131, SlurmUnavailableError),
        (500, 5005, SlurmUnavailableError),
        (503, 0, SlurmUnavailableError),
        (500, 2017, UnknownJobError),
        (500, 2000, SlurmError),
        (500, 7007, SlurmError),
        (500, 7000, SlurmUnavailableError),
        (500, 7008, SlurmUnavailableError),
        (400, 9202, SlurmError),
    ],
)
def test_what_an_error_means(status: int, number: int, kind: type[SlurmError]) -> None:
    with pytest.raises(SlurmError) as found:
        checked(status, error(number))
    assert type(found.value) is kind


def test_what_is_no_document_is_no_answer() -> None:
    with pytest.raises(SlurmUnavailableError, match="HTTP 502: oh"):
        checked(502, b"oh")
    with pytest.raises(SlurmBusyError, match="HTTP 429"):
        checked(429, b"slow down")


def test_states_of_an_old_slurmrestd_come_from_the_records() -> None:
    unset = {"set": False}
    records: list[dict[str, Any]] = [
        {"job_id": 5, "job_state": "RUNNING"},
        {"job_id": 7, "job_state": ["PENDING"], "array_job_id": 7, "array_task_id": unset},
        {"job_id": 8, "job_state": ["COMPLETED", "COMPLETING"], "array_job_id": 7, "array_task_id": 0},
    ]
    assert states_of(records, None) == {"5": "RUNNING", "7_*": "PENDING", "8_0": "COMPLETED,COMPLETING"}
    assert states_of(records, 7) == {"7_*": "PENDING", "8_0": "COMPLETED,COMPLETING"}
