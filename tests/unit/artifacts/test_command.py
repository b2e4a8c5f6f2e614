import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl.artifacts.store import open_store
from platformctl.cli.main import app
from platformctl.errors import ExitCode, PlatformError

RUN = CliRunner()


@pytest.fixture
def filled(caches: Path) -> Path:
    """A store with one program."""
    store = open_store("modules")
    (store.folder / "bin" / "tool").write_bytes(b"tool")
    digest = store.stamp("bin/tool")
    store.put("binaries:tool", "key", {"version": "1.0", "path": "bin/tool", "sha256": digest})
    store.publish({"binaries:tool"})
    return store.folder


def test_list_shows_versions_and_digests(filled: Path) -> None:
    shown = RUN.invoke(app, ["artifacts", "list"]).stdout
    assert "tool" in shown
    assert "1.0" in shown
    rows = json.loads(RUN.invoke(app, ["--output", "json", "artifacts", "list"]).stdout)
    assert [(row["kind"], row["name"], len(row["digest"])) for row in rows] == [("binaries", "tool", 64)]


def test_verify_counts_and_refuses(filled: Path) -> None:
    assert "1 files match" in RUN.invoke(app, ["artifacts", "verify"]).stdout
    (filled / "bin" / "tool").write_bytes(b"tuul")
    refused = RUN.invoke(app, ["artifacts", "verify"]).exception
    assert isinstance(refused, PlatformError)
    assert refused.code is ExitCode.FAILED


def test_an_empty_store_is_explained(caches: Path) -> None:
    refused = RUN.invoke(app, ["artifacts", "list"]).exception
    assert isinstance(refused, PlatformError)
    assert refused.next == "platformctl artifacts fetch"


def test_a_lock_needs_a_site(caches: Path) -> None:
    refused = RUN.invoke(app, ["artifacts", "lock"]).exception
    assert isinstance(refused, PlatformError)
    assert refused.code is ExitCode.INVALID
