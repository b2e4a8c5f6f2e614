"""The platform on a cluster that others made: a kind cluster, installed and taken away as a user does it."""

import json
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from platformctl.engine.locking.host_lock import Owner
from platformctl.errors import ExitCode
from tests.kind import cluster
from tests.kind.site import PLATFORMCTL, SITE, objects, platformctl


@pytest.fixture(scope="module")
def installed(before: set[str]) -> str:
    return platformctl("--output", "json", "install", "--yes", "-i", SITE)


def test_no_host_is_needed_and_smoke_jobs_run(installed: str) -> None:
    events = [json.loads(line) for line in installed.splitlines()]
    last = events[-1]
    assert (last["event"], last["failed"], last["unreachable"]) == ("finished", 0, 0)
    assert last["local"]["failed"] == []
    done = {event["stage"] for event in events if event["event"] == "stage_finished"}
    assert done == {"artifacts", "charts", "verify"}


def test_a_second_installation_changes_nothing(installed: str) -> None:
    again = platformctl("--output", "json", "install", "--yes", "-i", SITE).splitlines()
    assert json.loads(again[-1])["local"] == {"changed": [], "failed": []}


def test_its_state_is_shown_with_the_nodes_of_others(installed: str) -> None:
    found = json.loads(platformctl("--output", "json", "status", "-i", SITE))
    assert [(host["owner"], host["healthy"]) for host in found["hosts"]] == [("others", True)]
    assert {"job-router", "dask-operator"} <= {service["name"] for service in found["services"]}


def test_a_second_run_at_once_says_who_is_at_work(installed: str) -> None:
    owner = Owner("t", "carol", "elsewhere", "another boot", 1, "1", "2026-01-01T00:00:00+00:00", "install")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "platformctl",
            "namespace": "kube-system",
            "annotations": {"platformctl.io/owner": json.dumps(asdict(owner))},
        },
        "spec": {"renewTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")},
    }
    cluster.kubectl("apply", "-f", "-", data=json.dumps(lease))
    done = subprocess.run(
        [PLATFORMCTL, "install", "--yes", "-i", SITE], capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.REFUSED, done.stdout + done.stderr
    assert "carol on elsewhere" in done.stdout + done.stderr
    assert "carol on elsewhere" in platformctl("unlock", "-i", SITE)


def test_reset_ends_jobs_and_leaves_nothing(installed: str, before: set[str], tmp_path: Path) -> None:
    config = tmp_path / "alice"
    platformctl("kubeconfig", "-i", SITE, "--user", "alice", "--file", str(config))
    script = "#!/bin/sh\nsleep 600\n"
    platformctl("job", "submit", "-", "--target", "kubernetes", data=script, KUBECONFIG=str(config))
    assert objects() > before
    platformctl("reset", "-i", SITE, code=ExitCode.REFUSED, data="another\n")
    assert yaml.safe_load(cluster.kubectl("get", "kj", "-A", "-o", "yaml"))["items"]
    platformctl("reset", "-i", SITE, "--yes", "kind")
    assert objects() == before
    assert "nothing to remove" in platformctl("reset", "-i", SITE)
