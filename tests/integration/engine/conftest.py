"""One small lab for the engine's tests; PLATFORMCTL_TEST_LAB names one that is up already."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platformctl import lab as labs
from tests.integration.engine import tiny


@pytest.fixture(scope="session")
def lab() -> Iterator[labs.Lab]:
    given = os.environ.get("PLATFORMCTL_TEST_LAB")
    name = given or f"engine{os.getpid()}"
    try:
        yield labs.up(name)
    finally:
        if not given:
            labs.down(name)


Script = Callable[[str, str], str]


@pytest.fixture
def on(lab: labs.Lab) -> Script:
    """Runs a shell script as root on a host, beside ssh."""

    def run(host: str, script: str) -> str:
        done = lab.exec(host, ["sh", "-c", script])
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    return run


@pytest.fixture
def site(lab: labs.Lab, on: Script, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Inventory and data folder of the tiny site on hosts that have nothing of it."""
    for host in lab.hosts:
        on(host.name, "rm -rf /var/lib/platformctl /var/tmp/tiny; mkdir /var/tmp/tiny")
    kept = {path: path.read_text() for path in (lab.inventory / "group_vars" / "all").glob("*.yml")}
    yield lab.inventory, tiny.make_data(tmp_path / "data")
    for path, text in kept.items():
        path.write_text(text)
    labs.up(lab.name)
