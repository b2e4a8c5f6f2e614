"""One lab with one installed site for the whole end-to-end suite, always removed after.

The site is installed by the command a user types, in a process of its own; tests read what that command
printed. PLATFORMCTL_TEST_LAB names a lab that is installed already, to work on a test without waiting.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shared_node import write_inventory

# First what has a lab of its own. Of the site, the installation's own report comes first; what changes it,
# and takes it away, comes last.
_ORDER = (
    "test_upstream",
    "test_devices",
    "test_node_classes",
    "test_install",
    "test_platform",
    "test_cis",
    "test_slurm",
    "test_slurm_rest",
    "test_kubernetes",
    "test_connections",
    "test_powers",
    "test_jobs",
    "test_slurm_templates",
    "test_command",
    "test_sbatch",
    "test_dirt",
    "test_removal",
    "test_move",
    "test_impact",
    "test_device_offers",
    "test_users",
    "test_change",
)
PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `make dirt` is for. Put this suite's modules in order; others stay where they are."""
    if not config.getoption("--dirt"):
        left_out = [item for item in items if item.get_closest_marker("dirt")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    mine = [number for number, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[number] for number in mine), key=lambda item: _ORDER.index(item.path.stem))
    for number, item in zip(mine, ordered, strict=True):
        items[number] = item


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The hook for what stands before the last line: counts of the dirt, if all of it was tried."""
    if not terminalreporter.config.getoption("--dirt"):
        return
    counts = {
        kind: sum("test_dirt.py" in report.nodeid for report in terminalreporter.getreports(kind))
        for kind in ("passed", "failed", "error", "skipped")
    }
    terminalreporter.section("dirt")
    terminalreporter.write_line(", ".join(f"{count} {kind}" for kind, count in counts.items()))


def platformctl(*arguments: str, seconds: float = 600, data: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; its output is kept for the test and shown when it fails."""
    return subprocess.run(
        [PLATFORMCTL, *arguments], capture_output=True, text=True, timeout=seconds, input=data, check=False
    )


def events(output: str) -> list[dict[str, Any]]:
    """The events of a run with --output json."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@dataclass
class Site:
    """An installed site on a lab."""

    lab: str
    inventory: Path
    state: Path
    install: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *arguments: str, code: int = 0, seconds: float = 600) -> str:
        """A platformctl command on this site; it must exit with `code`. Returns standard output."""
        done = platformctl(*arguments, "-i", str(self.inventory), seconds=seconds)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def events(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Events of a command with --output json."""
        done = platformctl("--output", "json", *arguments, "-i", str(self.inventory))
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return events(done.stdout)

    def host(self, name: str, *command: str, user: str = "root", code: int = 0, data: str = "") -> str:
        """A command on a host of the lab, beside ssh, so that it works when ssh does not. data: its input."""
        done = subprocess.run(
            ["podman", "exec", "-i", "--user", user, f"platformctl-{self.lab}-{name}", *command],
            capture_output=True,
            input=data,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (
            f"{name}: {command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def shell(self, name: str, script: str, user: str = "root") -> str:
        """A shell script on a host, with a login environment."""
        return self.host(name, "su", "-", user, "-c", script)

    def kubectl(self, *arguments: str, kubeconfig: str = "/etc/kubernetes/admin.conf") -> str:
        """Kubectl on the control plane."""
        return self.host("ctl1", "kubectl", "--kubeconfig", kubeconfig, *arguments)


@contextlib.contextmanager
def made_lab(purpose: str, given: str = "") -> Iterator[Site]:
    """A lab of the three usual hosts with nothing on it, removed after; one that was given stays."""
    name = given or f"test-{os.getpid()}-{purpose}"
    try:
        started = platformctl("lab", "up", "--name", name)
        assert started.returncode == 0, started.stdout + started.stderr
        lab = json.loads(platformctl("--output", "json", "lab", "status", "--name", name).stdout)
        yield Site(name, Path(lab["inventory"]), Path(lab["state"]))
    finally:
        if not given:
            platformctl("lab", "down", "--name", name)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The installed site."""
    with made_lab("e2e", os.environ.get("PLATFORMCTL_TEST_LAB", "")) as installed:
        installed.install = installed.events("install", "--yes")
        yield installed


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installed site of two hosts, whose node has half of the machine's CPUs for each scheduler.

    PLATFORMCTL_TEST_DEVICES_LAB names a lab of it that is there already.
    """
    if (os.cpu_count() or 1) < 2:
        pytest.skip("a CPU for each scheduler needs two")
    given = os.environ.get("PLATFORMCTL_TEST_DEVICES_LAB", "")
    name = given or f"test-{os.getpid()}-devices"
    inventory = tmp_path_factory.mktemp("devices") / "inventory"
    write_inventory(inventory)
    try:
        if not given:
            started = platformctl("lab", "up", "--name", name, "-i", str(inventory))
            assert started.returncode == 0, started.stdout + started.stderr
        lab = json.loads(platformctl("--output", "json", "lab", "status", "--name", name).stdout)
        site = Site(name, Path(lab["inventory"]), Path(lab["state"]))
        if not given:
            site.events("install", "--yes")
        yield site
    finally:
        if not given:
            platformctl("lab", "down", "--name", name)


@contextlib.contextmanager
def changed_variables(site: Site, area: str, **values: Any) -> Iterator[None]:
    """A group_vars/all file of the site with these values, and as it was to the letter afterwards."""
    path = site.inventory / f"group_vars/all/{area}.yml"
    before = path.read_text()
    path.write_text(yaml.safe_dump({**yaml.safe_load(before), **values}))
    try:
        yield
    finally:
        path.write_text(before)


def hosts_of(results: Sequence[dict[str, Any]], event: str, stage: str) -> set[str]:
    """Hosts named by events of a kind for a stage."""
    return {str(item["host"]) for item in results if item["event"] == event and item.get("stage") == stage}


def variables(site: Site, area: str) -> dict[str, Any]:
    """A group_vars/all file of the site's inventory."""
    document: dict[str, Any] = yaml.safe_load((site.inventory / f"group_vars/all/{area}.yml").read_text())
    return document
