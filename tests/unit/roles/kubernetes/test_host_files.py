"""The module that writes a role's files, run as Ansible runs it, with a systemctl that only remembers."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
[ "$1" != show ] || cat {state}
"""


class Host:
    """A folder with a systemctl of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.state = folder, folder / "log", folder / "state"
        (folder / "bin").mkdir()
        script = folder / "bin" / "systemctl"
        script.write_text(SYSTEMCTL.format(log=self.log, state=self.state))
        script.chmod(0o755)
        self.service("active", "enabled", age=60)

    def service(self, active: str, enabled: str, age: float = 0, wall: str = "") -> None:
        """State of the unit that has run for `age` seconds, and started when the wall clock said `wall`."""
        started = int((time.monotonic() - age) * 1e6)
        self.state.write_text(
            f"ActiveState={active}\nUnitFileState={enabled}\nActiveEnterTimestamp={wall}\n"
            f"ActiveEnterTimestampMonotonic={started}\n"
        )

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Result of the module; what it asked of systemctl beside `show` is under `asked`."""
        self.log.write_text("")
        arguments |= {"_ansible_check_mode": check}
        done = subprocess.run(
            [sys.executable, str(paths.data_dir() / "playbooks/library/host_files.py")],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env=os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        result["asked"] = [line for line in self.log.read_text().splitlines() if not line.startswith("show")]
        return result

    def file(self, **values: str) -> dict[str, str]:
        return {"path": str(self.folder / "etc/x.conf"), "content": "a = 1\n", **values}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    if os.geteuid() != 0:
        pytest.skip("only root may give files to root")
    return Host(tmp_path)


def test_a_file_is_written_once(host: Host) -> None:
    assert host.run(files=[host.file(mode="0600")])["written"] == [str(host.folder / "etc/x.conf")]
    assert (host.folder / "etc/x.conf").stat().st_mode & 0o777 == 0o600
    assert not host.run(files=[host.file(mode="0600")])["changed"]
    assert host.run(files=[host.file(mode="0640")])["changed"]


def test_a_check_writes_nothing(host: Host) -> None:
    host.service("inactive", "disabled")
    result = host.run(check=True, files=[host.file()], services=["x.service"])
    assert result["changed"]
    assert result["asked"] == []
    assert not (host.folder / "etc").exists()


def test_a_service_restarts_when_its_file_is_younger(host: Host) -> None:
    host.run(files=[host.file()])
    path = host.folder / "etc/x.conf"
    os.utime(path, (1, 1))
    assert host.run(files=[host.file()], services=["x.service"])["asked"] == []
    # The run that wrote it was killed before the restart.
    os.utime(path)
    result = host.run(files=[host.file()], services=["x.service"])
    assert result["written"] == []
    assert result["asked"] == ["daemon-reload", "restart x.service"]


def test_a_clock_that_was_ahead_when_the_service_started_hides_no_new_file(host: Host) -> None:
    host.service("active", "enabled", age=60, wall="Sun 2126-11-22 17:00:00.000000 UTC")
    result = host.run(files=[host.file()], services=["x.service"])
    assert result["asked"] == ["daemon-reload", "restart x.service"]


def test_a_watched_file_counts_too(host: Host) -> None:
    certificate = host.folder / "x.crt"
    certificate.write_text("new")
    assert host.run(watch=[str(certificate)], services=["x.service"])["asked"] == [
        "daemon-reload",
        "restart x.service",
    ]


def test_a_dead_service_is_started_and_enabled(host: Host) -> None:
    host.service("failed", "disabled")
    assert host.run(services=["x.service"])["asked"] == [
        "daemon-reload",
        "enable x.service",
        "start x.service",
    ]


def test_a_unit_whose_conditions_do_not_hold_is_no_change(host: Host) -> None:
    host.service("inactive", "static")
    assert not host.run(services=["x.service"])["changed"]


def test_absent_files_go(host: Host) -> None:
    path = host.folder / "gone"
    path.write_text("")
    assert host.run(absent=[str(path)])["changed"]
    assert not path.exists()
    assert not host.run(absent=[str(path)])["changed"]


def test_contents_never_reach_the_output(host: Host) -> None:
    secret = "the-secret-of-the-site"
    assert secret not in json.dumps(host.run(files=[host.file(content=secret)]))
