"""Which packages of a host are below their lowest safe revision."""

import shutil
import subprocess
from pathlib import Path

import pytest

from platformctl import paths
from platformctl.engine.checking import floors, preflight
from platformctl.engine.checking.findings import Level, Subject

TABLE = paths.data_dir() / "roles/base/files/package_floors.txt"
ROWS = [line.split(maxsplit=3) for line in TABLE.read_text().splitlines() if not line.startswith("#")]


def said(tmp_path: Path, installed: str, release: str = "trixie") -> subprocess.CompletedProcess[str]:
    """What the script prints on a host with these packages, one a line: state, source package, revision."""
    if not shutil.which("dpkg"):
        pytest.skip("dpkg, which orders revisions, is only on Debian")
    program = tmp_path / "dpkg-query"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{installed}\nEND\n")
    program.chmod(0o755)
    os_release = tmp_path / "os-release"
    os_release.write_text(f"VERSION_CODENAME={release}\n")
    script = floors.script().replace("/etc/os-release", str(os_release))
    command = ["/bin/sh", "-s"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    return subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)


def test_a_package_below_the_table_is_named_with_the_reason(tmp_path: Path) -> None:
    done = said(tmp_path, "ii  slurm-wlm 24.11.5-4\nii  munge 0.5.16-1.1~deb13u1\nii  bash 5.2\n")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("slurm-wlm 24.11.5-4 is installed, and 24.11.5-4+deb13u1 is the lowest safe")
    assert "CVE-2026-65107" in line


@pytest.mark.parametrize(
    "installed",
    [
        "\n".join(f"ii  {row[1]} {row[2]}" for row in ROWS),
        "ii  slurm-wlm 25.11.0-1",
        # Removed, with its settings left.
        "rc  slurm-wlm 24.11.5-1",
        "ii  slurm-wlm-tools 1.0",
    ],
)
def test_nothing_is_said_of_others(tmp_path: Path, installed: str) -> None:
    done = said(tmp_path, installed)
    assert (done.returncode, done.stdout) == (0, "")


def test_another_release_has_its_own_revisions(tmp_path: Path) -> None:
    assert said(tmp_path, "ii  slurm-wlm 22.05.8-4", "bookworm").returncode == 0


def test_each_row_of_the_table_is_whole() -> None:
    assert ROWS
    assert [row for row in ROWS if len(row) != 4 or not row[2][0].isdigit() or "CVE-" not in row[3]] == []


def test_preflight_warns_and_goes_on() -> None:
    subject = Subject("n1", "192.0.2.1", frozenset(), "lab", {"unsafe_packages": ["munge 0.5 is installed"]})
    (finding,) = floors.judge(subject)
    assert (finding.level, finding.found) == (Level.WARNING, "munge 0.5 is installed")
    assert floors.judge in preflight._CHECKS
