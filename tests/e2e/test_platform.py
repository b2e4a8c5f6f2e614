"""What users and operators of an installed site can do, and what they cannot."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Site, platformctl

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe", "namespace": "default"},
    "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "docker.io/library/debian:13", "command": ["sleep", "600"]}],
    },
}
FOUNDRY = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {generateName: k-foundry-example-, namespace: default}
spec:
  template:
    spec:
      containers:
      - name: pi
        image: perl:5.34.0
        command: [perl, "-Mbignum=bpi", "-wle", "print bpi(2000)"]
        resources:
          limits:   {cpu: "4", memory: 16Gi, nvidia.com/gpu: "1"}
          requests: {cpu: "4", memory: 16Gi, nvidia.com/gpu: "1"}
      restartPolicy: Never
"""


@pytest.fixture(scope="session")
def alice(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Alice's kubeconfig, on the control-plane host (whose kubectl is the one at hand)."""
    path = tmp_path_factory.mktemp("alice") / "kubeconfig"
    site.run("kubeconfig", "--user", "alice", "--file", str(path))
    assert path.stat().st_mode & 0o077 == 0
    _copy(site, path.read_text(), "/root/alice.kubeconfig")
    return "/root/alice.kubeconfig"


@pytest.fixture
def job(site: Site, alice: str) -> Iterator["JobApi"]:
    api = JobApi(site, alice)
    yield api
    for name in api.made:
        site.kubectl("delete", "jobs.kfoundry.io", name, "--ignore-not-found")


class JobApi:
    """Jobs of alice, by kubectl as she would use it."""

    def __init__(self, site: Site, kubeconfig: str) -> None:
        self.site = site
        self.kubeconfig = kubeconfig
        self.made: list[str] = []

    def create(self, manifest: dict[str, Any]) -> str:
        _copy(self.site, yaml.safe_dump(manifest), "/root/job.yaml")
        created = self.site.kubectl(
            "create", "-f", "/root/job.yaml", "-o", "jsonpath={.metadata.name}", kubeconfig=self.kubeconfig
        )
        self.made.append(created.strip())
        return self.made[-1]

    def get(self, name: str) -> dict[str, Any]:
        text = self.site.kubectl("get", "jobs.kfoundry.io", name, "-o", "json", kubeconfig=self.kubeconfig)
        document: dict[str, Any] = json.loads(text)
        return document

    def wait(self, name: str, *phases: str, seconds: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status: dict[str, Any] = self.get(name).get("status", {})
            if status.get("phase") in phases:
                return status
            time.sleep(0.5)
        raise AssertionError(f"{name} is not {phases} after {seconds} s: {self.get(name).get('status')}")


def _copy(site: Site, text: str, path: str) -> None:
    site.host("ctl1", "sh", "-c", f"umask 077; cat > {path} <<'END'\n{text}\nEND")


def _http_status(
    site: Site, url: str, headers: dict[str, str] | None = None, authority: str | None = None
) -> int:
    """Ask from a host of the site, whose names and trusted authorities are the ones that count."""
    program = f"""
import ssl, urllib.error, urllib.request
context = ssl.create_default_context(cafile={authority!r})
try:
    request = urllib.request.Request({url!r}, headers={headers or {}!r})
    print(urllib.request.urlopen(request, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    _copy(site, program, "/root/ask.py")
    return int(site.host("ctl1", "python3", "/root/ask.py"))


def script(text: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "test-", "namespace": "default"},
        "spec": {"script": f"#!/bin/sh\n{text}\n", **spec},
    }


def test_verify_runs_a_job_on_every_side(site: Site) -> None:
    proofs = json.loads(platformctl("-o", "json", "verify", "-i", str(site.inventory)).stdout)
    assert {proof["job"]: proof["result"] for proof in proofs} == {
        "pod": "ok", "sbatch": "ok", "Job to slurm": "ok", "Job to kubernetes": "ok",
    }  # fmt: skip


def test_the_api_takes_nobody_without_a_name(site: Site) -> None:
    api = "https://api.lab.example:6443"
    authority = "/etc/kubernetes/pki/ca.crt"
    assert _http_status(site, f"{api}/livez", authority=authority) == 200
    assert _http_status(site, f"{api}/api/v1/namespaces", authority=authority) == 401


def test_secrets_are_encrypted_in_etcd(site: Site) -> None:
    site.kubectl("create", "secret", "generic", "canary", "--from-literal=key=tell-nobody")
    try:
        etcd = "k8s:enc:"
        stored = site.kubectl(
            "-n", "kube-system", "exec", "etcd-ctl1", "--", "etcdctl",
            "--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/peer.crt",
            "--key=/etc/kubernetes/pki/etcd/peer.key", "get", "/registry/secrets/default/canary",
        )  # fmt: skip
        assert etcd in stored
        assert "tell-nobody" not in stored
    finally:
        site.kubectl("delete", "secret", "canary")


def test_pod_security_refuses_a_privileged_pod(site: Site) -> None:
    pod = json.loads(json.dumps(POD))
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    _copy(site, json.dumps(pod), "/root/pod.json")
    refused = site.host(
        "ctl1",
        "sh",
        "-c",
        "kubectl --kubeconfig /etc/kubernetes/admin.conf create -f /root/pod.json 2>&1; true",
    )
    assert "violates PodSecurity" in refused


def test_a_pod_has_names_storage_and_metrics(site: Site) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    }
    pod = json.loads(json.dumps(POD))
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "probe"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    _copy(site, json.dumps({"apiVersion": "v1", "kind": "List", "items": [claim, pod]}), "/root/pod.json")
    site.kubectl("create", "-f", "/root/pod.json")
    try:
        site.kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=90s")
        assert site.kubectl("exec", "probe", "--", "getent", "hosts", "kubernetes.default.svc.cluster.local")
        site.kubectl("exec", "probe", "--", "sh", "-c", "echo kept > /data/file")
        assert site.kubectl("exec", "probe", "--", "cat", "/data/file") == "kept\n"
        assert "node1" in site.kubectl("top", "nodes")
    finally:
        site.kubectl("delete", "pod/probe", "pvc/probe")


def test_users_are_the_same_everywhere_and_share_a_home(site: Site) -> None:
    identities = {site.host(host, "id", "alice").strip() for host in ("ctl1", "node1", "node2")}
    assert len(identities) == 1
    assert "uid=10001(alice)" in identities.pop()
    site.shell("node2", "echo seen > ~/shared-test", "alice")
    try:
        assert site.shell("node1", "cat ~/shared-test", "alice") == "seen\n"
    finally:
        site.shell("node2", "rm ~/shared-test", "alice")


def test_sbatch_leaves_output_accounting_and_its_limits(site: Site) -> None:
    submitted = site.shell(
        "ctl1",
        "sbatch --parsable --wait --gres=gpu:1 --output=out.%j --wrap 'echo gpu $CUDA_VISIBLE_DEVICES'",
        "alice",
    ).strip()
    try:
        assert site.shell("node2", f"cat out.{submitted}", "alice") == "gpu 0\n"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            line = site.shell("ctl1", f"sacct -X -n -P -j {submitted} -o user,account,state", "alice").strip()
            if line == "alice|physics|COMPLETED":
                break
            time.sleep(0.5)
        assert line == "alice|physics|COMPLETED"
    finally:
        site.shell("ctl1", f"rm -f out.{submitted}", "alice")


def test_slurmrestd_is_behind_tls_and_wants_a_token(site: Site) -> None:
    url = "https://rest.lab.example:6820/slurm/v0.0.42/partitions"
    token = site.shell("ctl1", "scontrol token lifespan=60").strip().partition("=")[2]
    assert _http_status(site, url, {"X-SLURM-USER-TOKEN": token}) == 200
    assert _http_status(site, url) != 200
    assert _http_status(site, url, {"X-SLURM-USER-TOKEN": token[:-4] + "aaaa"}) != 200
    assert site.host("ctl1", "systemctl", "show", "-p", "User", "slurmrestd").strip() not in (
        "User=root",
        "User=slurm",
    )


def test_the_k_foundry_example_runs_unchanged_on_slurm(site: Site, job: JobApi) -> None:
    name = job.create(yaml.safe_load(FOUNDRY))
    status = job.wait(name, "Succeeded", "Failed", "Refused", seconds=180)
    assert status["phase"] == "Succeeded", status
    assert status["backend"] == "slurm"
    output = site.shell("node2", f"cat {status['output']}", "alice")
    assert output.startswith("3.14159265358979"), output[:200]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_a_job_that_fails_says_how(job: JobApi, target: str) -> None:
    status = job.wait(job.create(script("exit 7", target=target)), "Succeeded", "Failed", "Refused")
    assert (status["phase"], status["exitCode"]) == ("Failed", 7)


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_deleting_a_job_cancels_it(site: Site, job: JobApi, target: str) -> None:
    name = job.create(script("sleep 600", target=target))
    status = job.wait(name, "Running")
    site.kubectl("delete", "jobs.kfoundry.io", name, "--timeout=60s", kubeconfig=job.kubeconfig)
    if target == "slurm":
        state = site.shell("ctl1", f"squeue -h -j {status['backendId']} -o %T 2>/dev/null || true").strip()
        assert state in ("", "CANCELLED", "COMPLETING")
    else:
        left = site.kubectl("get", "jobs.batch", "-A", "-o", "jsonpath={.items[*].metadata.name}")
        assert name not in left


def test_nobody_can_speak_for_another(site: Site, job: JobApi) -> None:
    manifest = script("id -un", target="slurm")
    manifest["metadata"]["annotations"] = {"kfoundry.io/submitter": "bob"}
    name = job.create(manifest)
    assert job.get(name)["metadata"]["annotations"]["kfoundry.io/submitter"] == "alice"
    status = job.wait(name, "Succeeded")
    assert site.shell("node2", f"cat {status['output']}", "alice") == "alice\n"


def test_the_administrator_is_no_user_of_the_site(site: Site, alice: str) -> None:
    _copy(site, yaml.safe_dump(script("true")), "/root/job.yaml")
    name = site.kubectl("create", "-f", "/root/job.yaml", "-o", "jsonpath={.metadata.name}").strip()
    try:
        status = JobApi(site, alice).wait(name, "Refused")
        assert "kubernetes-admin" in status["reason"]
    finally:
        site.kubectl("delete", "jobs.kfoundry.io", name)


def test_alice_may_not_read_secrets_or_make_pods(site: Site, alice: str) -> None:
    for verb, kind in (("get", "secrets"), ("create", "pods"), ("list", "nodes")):
        answer = site.host(
            "ctl1", "sh", "-c", f"kubectl --kubeconfig {alice} auth can-i {verb} {kind}; true"
        ).strip()
        assert answer == "no", f"{verb} {kind}"


def test_the_kubeconfig_of_a_stranger_is_refused(site: Site, tmp_path: Path) -> None:
    done = platformctl(
        "kubeconfig", "-i", str(site.inventory), "--user", "mallory", "--file", str(tmp_path / "kubeconfig")
    )
    assert done.returncode == 2
    assert "mallory is not a user of this site" in done.stderr
    assert not (tmp_path / "kubeconfig").exists()
