"""One Job API over both schedulers of an installed site, as its users see it."""

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.model import User
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.slurm import SlurmBackend
from platformctl.site import secrets
from tests.contracts.slurm_backend import *  # noqa: F403
from tests.contracts.slurm_backend import SlurmWorld
from tests.e2e.conftest import Site, variables
from tests.foundry import EXAMPLE

PI = "3.14159265358979323846"
ADMIN = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
ALICE = f"{ADMIN} --as alice --as-group platform:users"


class Jobs:
    """kubectl on the control plane, as alice."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.names: list[str] = []

    def create(self, *documents: dict[str, Any], who: str = ALICE) -> list[str]:
        """Create Jobs; returns their names."""
        text = base64.b64encode(yaml.safe_dump_all(documents).encode()).decode()
        out = self.site.host("ctl1", "sh", "-c", f"echo {text} | base64 -d | {who} create -f - -o name")
        names = [line.split("/")[1] for line in out.split()]
        self.names += names
        return names

    def submit(self, **spec: Any) -> str:
        """Create one Job from its spec."""
        metadata = {"generateName": "e2e-", "namespace": "default"}
        document = {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": metadata, "spec": spec}
        return self.create(document)[0]

    def status(self, name: str) -> dict[str, Any]:
        """The status now."""
        found = json.loads(self.site.host("ctl1", *ALICE.split(), "get", "kj", name, "-o", "json"))
        return dict(found.get("status", {}))

    def until(self, name: str, *phases: str, seconds: float = 120) -> dict[str, Any]:
        """The status once it is in one of the phases."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status(name)
            if status.get("phase") in phases:
                return status
            assert time.monotonic() < deadline, status
            time.sleep(1)

    def output(self, status: dict[str, Any]) -> str:
        """What it printed, read where its user reads it."""
        if status["backend"] == "slurm":
            return self.site.shell("ctl1", f"cat {status['output']}", user=status["user"])
        namespace, name = status["backendId"].split("/")
        return self.site.host("ctl1", *ALICE.split(), "logs", "-n", namespace, f"job/{name}")

    def delete(self, *names: str) -> None:
        """Delete, and wait until they are gone."""
        self.site.host("ctl1", *ALICE.split(), "delete", "kj", "--timeout=90s", "--ignore-not-found", *names)


@pytest.fixture
def jobs(site: Site) -> Iterator[Jobs]:
    found = Jobs(site)
    yield found
    if found.names:
        found.delete(*found.names)


@pytest.fixture
async def slurm(site: Site, tmp_path: Path) -> AsyncIterator[SlurmWorld]:
    """The real slurmrestd of the site, through its TLS."""
    known = secrets.load(site.inventory)
    authority = tmp_path / "ca.crt"
    authority.write_text(known["secret_site_ca_certificate"])
    tls = ssl.create_default_context(cafile=str(authority))
    hosts = yaml.safe_load((site.inventory / "hosts.yml").read_text())
    address = f"https://{hosts['all']['hosts']['ctl1']['ansible_host']}:6820"
    account = variables(site, "users")["users_accounts"][0]
    alice = User(account["name"], account["uid"], account["uid"], (), account["slurm_account"], "/home/alice")
    minter = TokenMinter(base64.b64decode(known["secret_slurm_jwt_key"]))
    async with SlurmRestClient(address, minter, DIALECTS, tls) as client:
        yield SlurmWorld(SlurmBackend(client, "contract", "slurm", 1.0), alice, "contract")


def test_the_example_of_k_foundry_runs_unchanged(jobs: Jobs) -> None:
    """No Kubernetes node of the lab has a GPU; its Slurm node declares one."""
    (name,) = jobs.create(yaml.safe_load(EXAMPLE))
    status = jobs.until(name, "Succeeded", "Failed", "Refused")
    assert (status["phase"], status["backend"], status["user"]) == ("Succeeded", "slurm", "alice"), status
    accepted = next(item for item in status["conditions"] if item["type"] == "Accepted")
    assert "nvidia.com/gpu" in accepted["message"]
    assert jobs.output(status).startswith(PI)


def test_on_kubernetes_the_example_waits_and_says_for_what(jobs: Jobs) -> None:
    document = yaml.safe_load(EXAMPLE)
    document["spec"]["target"] = "kubernetes"
    (name,) = jobs.create(document)
    deadline = time.monotonic() + 60
    while "nvidia.com/gpu" not in (status := jobs.until(name, "Queued")).get("reason", ""):
        assert time.monotonic() < deadline, status
        time.sleep(1)


def test_scaled_down_it_prints_the_same_on_both(jobs: Jobs) -> None:
    outputs = {}
    names = {}
    for target in ("slurm", "kubernetes"):
        document = yaml.safe_load(EXAMPLE)
        small = {"cpu": "100m", "memory": "64Mi"}
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": small, "requests": small}
        container["command"] = ["perl", "-wle", 'print "$ENV{WHO} @ARGV"']
        container["env"] = [{"name": "WHO", "value": "it's $(HOME) `id`"}]
        container["args"] = ["a b", "$(WHO)", "#SBATCH --uid=0\n"]
        document["spec"]["target"] = target
        (names[target],) = jobs.create(document)
    for target, name in names.items():
        status = jobs.until(name, "Succeeded", "Failed")
        assert (status["phase"], status["backend"]) == ("Succeeded", target), status
        outputs[target] = jobs.output(status)
    assert outputs["slurm"] == outputs["kubernetes"]
    assert "`id`" in outputs["slurm"]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_a_script_runs_as_its_submitter_and_its_exit_code_is_told(jobs: Jobs, target: str) -> None:
    name = jobs.submit(script="#!/bin/bash\nid -u; id -G; pwd\nexit 3\n", target=target)
    status = jobs.until(name, "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"], status["backend"]) == ("Failed", 3, target), status
    uid, groups, folder = jobs.output(status).splitlines()
    assert uid == "10001"
    assert set(groups.split()) == {"10001", "20001"}
    assert folder == "/home/alice"


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_deleting_a_running_job_ends_it(jobs: Jobs, target: str) -> None:
    name = jobs.submit(script="#!/bin/sh\nsleep 600\n", target=target)
    status = jobs.until(name, "Running")
    jobs.delete(name)
    if target == "slurm":
        queue = jobs.site.host("ctl1", "squeue", "--noheader", "--jobs", status["backendId"], "--format=%T")
        assert queue.strip() in ("", "COMPLETING")
    else:
        _, batch = status["backendId"].split("/")
        assert jobs.site.kubectl("get", "job", "--ignore-not-found", batch) == ""


def test_a_person_of_another_site_is_refused(jobs: Jobs) -> None:
    document = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "e2e-", "annotations": {"kfoundry.io/submitter": "alice"}},
        "spec": {"script": "#!/bin/sh\nid\n"},
    }
    (name,) = jobs.create(document, who=f"{ADMIN} --as mallory --as-group platform:users")
    status = jobs.until(name, "Refused")
    assert "'mallory' is no user of this site" in status["reason"]
    jobs.site.kubectl("delete", "kj", name)
    jobs.names.remove(name)


def test_while_slurmctld_is_away_jobs_wait_with_the_reason(jobs: Jobs) -> None:
    jobs.site.host("ctl1", "systemctl", "stop", "slurmctld")
    try:
        name = jobs.submit(script="#!/bin/sh\necho late\n", target="slurm")
        deadline = time.monotonic() + 90
        while "does not answer" not in (status := jobs.until(name, "Pending")).get("reason", ""):
            assert time.monotonic() < deadline, status
            time.sleep(1)
    finally:
        jobs.site.host("ctl1", "systemctl", "start", "slurmctld")
    status = jobs.until(name, "Succeeded", "Failed")
    assert jobs.output(status) == "late\n"


def test_a_killed_router_loses_and_doubles_nothing(jobs: Jobs) -> None:
    """Each job writes one line into its own file; the router's pod is killed while they are submitted."""
    count = 24
    folder = f"e2e-once-{time.time_ns()}"
    jobs.site.shell("ctl1", f"mkdir {folder}", user="alice")
    script = f"#!/bin/sh\necho $SLURM_JOB_ID >> {folder}/$SLURM_JOB_NAME\n"
    documents = [
        {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Job",
            "metadata": {"name": f"{folder}-{number}", "namespace": "default"},
            "spec": {"script": script, "target": "slurm"},
        }
        for number in range(count)
    ]
    kill = ["-n", "platform-system", "delete", "pod", "-l", "app.kubernetes.io/name=job-router"]
    for part in range(0, count, 8):
        jobs.create(*documents[part : part + 8])
        jobs.site.kubectl(*kill, "--grace-period=0", "--force", "--wait=false")
    for document in documents:
        assert jobs.until(document["metadata"]["name"], "Succeeded", "Failed")["phase"] == "Succeeded"
    lines = jobs.site.shell("ctl1", f"cat {folder}/* | wc -l; ls {folder} | wc -l", user="alice").split()
    jobs.site.shell("ctl1", f"rm -r {folder}", user="alice")
    assert lines == [str(count), str(count)]
