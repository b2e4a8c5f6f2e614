"""An upgrade from the last release, with a Job that runs all the while."""

import json
import time
from typing import Any

import pytest

from tests.kind import cluster, last_release
from tests.kind.last_release import Release
from tests.kind.site import KINDS, SITE, platformctl

_JOB = "through-an-upgrade"
_SCRIPT = "#!/bin/sh\nuntil [ -e /tmp/go ]; do sleep 1; done\necho went on\n"
# What an object is told to be, other than by its name; what is different in each installation.
_SAID = ("spec", "rules", "roleRef", "subjects", "data")
_ANEW = ("caBundle", "clusterIP", "clusterIPs")
_NAMED_ONLY = ("Secret", "Lease")
_PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def release(before: set[str], tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The last release, installed by itself."""
    name = last_release.revision()
    if name is None:
        pytest.skip("there is no release before HEAD in the history here: git fetch --unshallow --tags")
    release = last_release.check_out(name, tmp_path_factory.mktemp("release"))
    release.run("install", "--yes", "-i", release.site)
    return release


@pytest.fixture(scope="module")
def job(release: Release, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A Job that the last release started and that waits for a file; as it was then."""
    alice = tmp_path_factory.mktemp("alice") / "kubeconfig"
    release.run("kubeconfig", "-i", release.site, "--user", "alice", "--file", str(alice))
    submit = ("job", "submit", "-", "--name", _JOB, "--target", "kubernetes")
    release.run(*submit, data=_SCRIPT, KUBECONFIG=str(alice))
    return until("Running")


@pytest.fixture(scope="module")
def worker(job: dict[str, Any]) -> dict[str, Any]:
    """The Job's pod before the upgrade."""
    return pod(job)


@pytest.fixture(scope="module")
def upgraded(worker: dict[str, Any]) -> dict[str, Any]:
    """The last event of the installation over it."""
    return json.loads(platformctl("--output", "json", "install", "--yes", "-i", SITE).splitlines()[-1])


def kubectl_json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl(*arguments, "-o", "json"))
    return found


def until(phase: str) -> dict[str, Any]:
    """Wait for the Job's phase; the Job then."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := kubectl_json("get", "kj", _JOB))["status"].get("phase") != phase:
        assert time.monotonic() < deadline, found
        time.sleep(1)
    return found


def pod(job: dict[str, Any]) -> dict[str, Any]:
    """The Job's pod, of which there is one."""
    (found,) = kubectl_json("get", "pods", "-l", f"kfoundry.io/job-uid={job['metadata']['uid']}")["items"]
    return found


def said() -> dict[str, Any]:
    """What the cluster is told to have, without what each installation makes anew."""
    items = kubectl_json("get", KINDS, "-A")["items"]
    found = {
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): {
            part: without(item[part]) for part in _SAID if part in item and item["kind"] not in _NAMED_ONLY
        }
        for item in items
    }
    # What belonged to a smoke job goes a moment after it.
    passing = ("sh.helm.release.", "platformctl-verify-")
    return {key: value for key, value in found.items() if not key[2].startswith(passing)}


def without(value: Any) -> Any:
    if isinstance(value, list):
        return [without(inner) for inner in value]
    if isinstance(value, dict):
        return {key: without(inner) for key, inner in value.items() if key not in _ANEW}
    return value


def test_a_job_goes_on_through_the_upgrade_and_ends(
    job: dict[str, Any], worker: dict[str, Any], upgraded: dict[str, Any]
) -> None:
    assert (upgraded["event"], upgraded["local"]["failed"]) == ("finished", [])
    assert upgraded["local"]["changed"], "the last release has the same charts: there was nothing to upgrade"
    assert until("Running")["metadata"]["uid"] == job["metadata"]["uid"]
    cluster.kubectl("exec", worker["metadata"]["name"], "--", "touch", "/tmp/go")
    ended = until("Succeeded")["status"]
    record = {name: value for name, value in job["status"].items() if name not in ("phase", "conditions")}
    assert record.items() <= ended.items()
    assert all(condition in ended["conditions"] for condition in job["status"]["conditions"])
    assert pod(job)["metadata"]["uid"] == worker["metadata"]["uid"]
    assert [container["restartCount"] for container in pod(job)["status"]["containerStatuses"]] == [0]


def test_a_second_installation_changes_nothing(upgraded: dict[str, Any]) -> None:
    again = platformctl("--output", "json", "install", "--yes", "-i", SITE).splitlines()
    assert json.loads(again[-1])["local"] == {"changed": [], "failed": []}


def test_an_upgrade_leaves_what_a_new_installation_makes(upgraded: dict[str, Any]) -> None:
    """So definitions and rights are the new ones, and nothing stays that only the last release had."""
    cluster.kubectl("delete", "kj", _JOB)
    after_upgrade = said()
    platformctl("reset", "-i", SITE, "--yes", "kind")
    platformctl("install", "--yes", "-i", SITE)
    new = said()
    assert after_upgrade.keys() == new.keys()
    for key, value in new.items():
        assert after_upgrade[key] == value, key
