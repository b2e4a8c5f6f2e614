"""What the installation itself promises: its report, and that secrets stay secret."""

import json
import os
from pathlib import Path

import pytest

from platformctl import paths
from platformctl.site import secrets
from tests.e2e.conftest import Site, events, platformctl


def test_it_ends_with_what_it_did(site: Site) -> None:
    finished = site.install[-1]
    assert finished["event"] == "finished"
    assert set(finished) >= {"stages", "changed", "failed", "unreachable", "seconds"}
    assert finished["failed"] == 0
    assert finished["unreachable"] == 0
    if "PLATFORMCTL_TEST_LAB" not in os.environ:
        assert finished["stages"] >= 14
        assert finished["changed"] == 3
        assert "charts" in finished["local"]["changed"]
        assert finished["local"]["failed"] == []


def test_every_host_and_service_is_healthy(site: Site) -> None:
    status = json.loads(platformctl("-o", "json", "status", "-i", str(site.inventory)).stdout)
    assert status["healthy"], status
    hosts = {host["name"]: host for host in status["hosts"]}
    assert hosts["node1"]["owner"] == "kubernetes"
    assert hosts["node1"]["kubernetes"].startswith("Ready v1.37")
    assert hosts["node2"]["owner"] == "slurm"
    assert "24.11" in hosts["node2"]["slurm"]
    names = {service["name"] for service in status["services"]}
    assert names >= {"kube-apiserver", "slurmctld", "slurmdbd", "slurmrestd", "job-router", "dask-operator"}


def test_a_second_run_does_nothing(site: Site) -> None:
    done = site.events("install")
    assert done[-1]["changed"] == 0
    assert done[-1]["local"] == {"changed": [], "failed": []}
    assert done[-1]["stages"] <= 1, "only the artefacts may be looked at"


def test_nothing_that_was_written_here_holds_a_secret(site: Site) -> None:
    """The highest verbosity is read too: a --full run of the stages that handle every secret."""
    verbose = platformctl(
        "-vvvv", "-o", "json", "install", "-i", str(site.inventory), "--full", "--stage", "munge",
        "--stage", "slurm_accounting", "--stage", "slurm_controller", "--stage", "kubernetes_control_plane",
    )  # fmt: skip
    assert verbose.returncode == 0, verbose.stdout + verbose.stderr
    assert events(verbose.stdout)[-1]["changed"] == 0
    values = [
        value for name, value in secrets.load(site.inventory).items() if not name.endswith("certificate")
    ]
    assert len(values) >= 5
    needles = [line for value in values for line in value.splitlines() if len(line) >= 16]
    written = [verbose.stdout, verbose.stderr, *_files(paths.state_dir() / "sites")]
    assert len(written) > 10, "the journals and logs were not found"
    for text in written:
        assert not [needle for needle in needles if needle in text]


def test_no_process_has_a_secret_in_its_arguments(site: Site) -> None:
    values = [
        value.strip() for name, value in secrets.load(site.inventory).items() if "certificate" not in name
    ]
    for host in ("ctl1", "node1", "node2"):
        arguments = site.host(host, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert "systemd" in arguments or "init" in arguments
        assert not [value for value in values if value in arguments]


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("ctl1", "/etc/munge/munge.key"),
        ("ctl1", "/etc/slurm/slurmdbd.conf"),
        ("ctl1", "/etc/kubernetes/admin.conf"),
        ("node2", "/etc/munge/munge.key"),
        ("node2", "/var/lib/platformctl"),
    ],
)
def test_files_with_secrets_are_closed_to_others(site: Site, host: str, path: str) -> None:
    mode = site.host(host, "stat", "--format", "%a", path).strip()
    assert mode.endswith("00"), f"{path} on {host} has mode {mode}"


def _files(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
