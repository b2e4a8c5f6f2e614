import base64
import json
import stat
from pathlib import Path

from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.redact import HIDDEN, Redactor

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7"
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"


def test_events_are_written_as_they_happen_and_shown(tmp_path: Path) -> None:
    shown: list = []
    with Journal(tmp_path / "run", Redactor([]), shown.append) as journal:
        journal.emit("host", stage="base", host="n1", status="ok")
        line = json.loads((tmp_path / "run" / "journal.ndjson").read_text())
    assert line["host"] == "n1"
    assert line["time"]
    assert shown == [{"event": "host", "stage": "base", "host": "n1", "status": "ok"}]
    assert stat.S_IMODE((tmp_path / "run" / "journal.ndjson").stat().st_mode) == 0o600


def test_secrets_reach_neither_the_file_nor_the_listener(tmp_path: Path) -> None:
    secrets = ["s3cret-value", KEY, base64.b64encode(b"inner password").decode()]
    shown: list = []
    with Journal(tmp_path / "run", Redactor(secrets), shown.append) as journal:
        journal.emit("host", message="failed with s3cret-value", deep=[{"a": ["x s3cret-value"]}])
        journal.emit("host", message=json.dumps({"key": KEY}), other="MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")
        journal.emit("host", message="decoded inner password")
    written = (tmp_path / "run" / "journal.ndjson").read_text() + json.dumps(shown)
    for canary in (
        "s3cret-value",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "BKcwggSjAgEAAoIBAQC7",
        "inner password",
    ):
        assert canary not in written
    assert HIDDEN in written


def test_ordinary_words_are_not_hidden() -> None:
    assert Redactor(["ab", "", "lab"]).text("the lab is able") == "the lab is able"


def test_old_runs_are_removed(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"2026010{number:02}").mkdir()
    new_run(tmp_path)
    assert len(list(tmp_path.iterdir())) == 20
