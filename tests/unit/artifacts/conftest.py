"""What the tests of artefacts share: a local server, a patient policy made impatient, an empty cache."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_server import Server

from platformctl.artifacts.download import Policy
from platformctl.console import Format, Output


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture
def impatient() -> Policy:
    """Retries without waiting, and gives up on a silent server quickly."""
    return Policy(attempts=3, delay=0.01, stall=0.4)


@pytest.fixture
def quiet() -> Output:
    """Output for programs, whose events are dropped."""
    return Output(format=Format.JSON)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of platformctl."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "platformctl"
