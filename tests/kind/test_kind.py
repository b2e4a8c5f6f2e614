"""The platform on a cluster that others made: a kind cluster, installed and taken away as a user does it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from platformctl.engine.lock import Owner
from platformctl.errors import ExitCode
from tests.kind import cluster

_PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")
_SITE = str(Path(__file__).parents[2] / "inventories/kind")
_KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,apiservices,leases,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,"
    "mutatingadmissionpolicybindings,configmaps,secrets,serviceaccounts,services,deployments,roles,"
    "rolebindings,networkpolicies,poddisruptionbudgets,priorityclasses"
)


def platformctl(*arguments: str, code: int = 0, data: str = "", **environment: str) -> str:
    """Run it for the site on kind; it must exit with `code`."""
    done = subprocess.run(
        [_PLATFORMCTL, *arguments],
        input=data,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def objects() -> set[str]:
    """The names of everything that charts make, over all namespaces."""
    names = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"
    return set(cluster.kubectl("get", _KINDS, "-A", "-o", f"jsonpath={names}").split())


@pytest.fixture(scope="module")
def before() -> Iterator[set[str]]:
    """The cluster with nothing of ours; what it holds then."""
    cluster.up()
    platformctl("reset", "-i", _SITE, "--yes", "kind")
    yield objects()
    platformctl("reset", "-i", _SITE, "--yes", "kind")


@pytest.fixture(scope="module")
def installed(before: set[str]) -> str:
    return platformctl("--output", "json", "install", "--yes", "-i", _SITE)


def test_no_host_is_needed_and_smoke_jobs_run(installed: str) -> None:
    events = [json.loads(line) for line in installed.splitlines()]
    last = events[-1]
    assert (last["event"], last["failed"], last["unreachable"]) == ("finished", 0, 0)
    done = {event["stage"] for event in events if event["event"] == "stage_finished"}
    assert done == {"artifacts", "charts", "verify"}


def test_a_second_installation_changes_nothing(installed: str) -> None:
    again = platformctl("--output", "json", "install", "--yes", "-i", _SITE).splitlines()
    assert json.loads(again[-1])["changed"] == 0


def test_its_state_is_shown_with_the_nodes_of_others(installed: str) -> None:
    found = json.loads(platformctl("--output", "json", "status", "-i", _SITE))
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
        [_PLATFORMCTL, "install", "--yes", "-i", _SITE], capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.REFUSED, done.stdout + done.stderr
    assert "carol on elsewhere" in done.stdout + done.stderr
    assert "carol on elsewhere" in platformctl("unlock", "-i", _SITE)


def test_reset_ends_jobs_and_leaves_nothing(installed: str, before: set[str], tmp_path: Path) -> None:
    config = tmp_path / "alice"
    platformctl("kubeconfig", "-i", _SITE, "--user", "alice", "--file", str(config))
    script = "#!/bin/sh\nsleep 600\n"
    platformctl("job", "submit", "-", "--target", "kubernetes", data=script, KUBECONFIG=str(config))
    assert objects() > before
    platformctl("reset", "-i", _SITE, code=ExitCode.REFUSED, data="another\n")
    assert yaml.safe_load(cluster.kubectl("get", "kj", "-A", "-o", "yaml"))["items"]
    platformctl("reset", "-i", _SITE, "--yes", "kind")
    assert objects() == before
    assert "nothing to remove" in platformctl("reset", "-i", _SITE)
