from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl.engine.locking import host_lock
from platformctl.engine.planning import digest, record
from tests.unit.engine.sites import Hosts


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    """Forget role files read before: each test writes its own."""
    for remembered in (digest.tree, digest.declared, digest._included):
        remembered.cache_clear()


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    stand_in = Hosts(tmp_path / "hosts")
    for module in (host_lock, record):
        monkeypatch.setattr(module, "run", stand_in.run)
    monkeypatch.setattr(record, "run_all", stand_in.run_all)
    return stand_in


@pytest.fixture
def role(tmp_path: Path) -> Callable[..., Path]:
    """Writes a role with declared variables below tmp_path/data/roles; returns the data folder."""

    def write(name: str, *variables: str, task: str = "- name: Nothing\n") -> Path:
        folder = tmp_path / "data" / "roles" / name
        (folder / "meta").mkdir(parents=True, exist_ok=True)
        (folder / "tasks").mkdir(exist_ok=True)
        options = "".join(f"      {variable}: {{type: raw}}\n" for variable in variables)
        head = "argument_specs:\n  main:\n    options:\n"
        (folder / "meta" / "argument_specs.yml").write_text(head + (options or "      {}\n"))
        (folder / "tasks" / "main.yml").write_text(task)
        return tmp_path / "data"

    return write
