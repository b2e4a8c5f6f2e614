"""Lab hosts for tests: plain Debian hosts in no service's group. Nothing of them outlives the run."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platformctl import lab as labs
from platformctl import paths
from platformctl.lab import podman
from tests.sharing import pytest_xdist_make_scheduler  # noqa: F401
from tests.suite_times import pytest_terminal_summary  # noqa: F401

_PREFIX = "test-"
_number = itertools.count(1)

LabFactory = Callable[..., labs.Lab]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The hook for options: `--dirt` of `make dirt`."""
    parser.addoption("--dirt", action="store_true", help="Every situation of tests/e2e/test_dirt.py.")


def light_inventory(folder: Path, hosts: list[str]) -> Path:
    """The lab's inventory with these plain hosts in place of its own."""
    shutil.copytree(
        paths.data_dir() / "inventories" / "lab", folder, ignore=shutil.ignore_patterns("secrets.vault")
    )
    lines = [f"    {host}: {{ansible_host: 198.51.100.{11 + number}}}" for number, host in enumerate(hosts)]
    (folder / "hosts.yml").write_text("\n".join(["all:", "  hosts:", *lines, ""]))
    return folder


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFactory]:
    """Makes labs of plain hosts, named after this process, and removes them all at the end."""
    _remove_abandoned()
    made = []

    def make(*hosts: str) -> labs.Lab:
        name = f"{_PREFIX}{os.getpid()}-{next(_number)}"
        made.append(name)
        return labs.up(name, light_inventory(tmp_path_factory.mktemp(name) / "inventory", list(hosts)))

    yield make
    for name in made:
        labs.down(name)


@pytest.fixture(scope="session")
def lab(make_lab: LabFactory) -> labs.Lab:
    """A lab of two plain hosts, h1 and h2, shared by all tests of a run: leave it as you found it."""
    return make_lab("h1", "h2")


def _remove_abandoned() -> None:
    """Labs of test runs that were killed: their name has the id of a process that is gone."""
    networks = podman.labelled(("network", "ls"), None)
    for name in {network["labels"][podman.LAB_LABEL] for network in networks}:
        process = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and not Path(f"/proc/{process}").exists():
            labs.down(name)
