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

# What has a lab of its own is over before the site's is made. Of the site, the installation's own report
# comes first; what changes it, and takes it away, comes last.
_ORDER = (
    "test_upstream",
    "test_install",
    "test_platform",
    "test_slurm",
    "test_slurm_rest",
    "test_kubernetes",
    "test_jobs",
    "test_command",
    "test_change",
)
PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put this suite's modules in order; other suites stay where they are."""
    mine = [number for number, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[number] for number in mine), key=lambda item: _ORDER.index(item.path.stem))
    for number, item in zip(mine, ordered, strict=True):
        items[number] = item


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

    def host(self, name: str, *command: str, user: str = "root", code: int = 0) -> str:
        """A command on a host of the lab, beside ssh, so that it works when ssh does not."""
        done = subprocess.run(
            ["podman", "exec", "--user", user, f"platformctl-{self.lab}-{name}", *command],
            capture_output=True,
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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The installed site."""
    given = os.environ.get("PLATFORMCTL_TEST_LAB")
    name = given or f"test-{os.getpid()}-e2e"
    try:
        started = platformctl("lab", "up", "--name", name)
        assert started.returncode == 0, started.stdout + started.stderr
        lab = json.loads(platformctl("--output", "json", "lab", "status", "--name", name).stdout)
        inventory = Path(lab["inventory"])
        installed = Site(name, inventory, Path(lab["state"]))
        installed.install = installed.events("install", "--yes")
        yield installed
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
