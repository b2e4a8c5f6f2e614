"""The class of a node and runtime classes, on the site with a node that both schedulers use.

The class is changed while a pod runs. Then a pod with a whole CPU runs beside a job of Slurm, and pods run in
another way: by a second runc, which notes that it was called.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Site, platformctl
from tests.e2e.test_devices import ALLOWED, BUSYBOX, cpus, inside, running, srun
from tests.shared_node import NODE, drain

CLASS: dict[str, Any] = {
    "node_cpu_manager": {"policy": "static", "options": {"full-pcpus-only": True}},
    "node_topology_manager": {"policy": "restricted", "scope": "pod"},
    "node_memory_manager": {"policy": "static"},
}
RUNTIME, NOTES = "/usr/local/bin/second-runc", "/run/second-runc"
CLASSES: list[dict[str, Any]] = [
    {
        "name": "second",
        "programs": [RUNTIME],
        "options": {"BinaryName": RUNTIME},
        "nodes": [NODE],
        "overhead": {"cpu": "10m", "memory": "16Mi"},
    },
    {"name": "nowhere", "kind": "kata", "nodes": ["bigmem"]},
]
REASON = "no node of the site may run it: nodes of kubernetes_runtime_classes names bigmem"


def edit(site: Site, classes: list[dict[str, Any]], **variables: Any) -> None:
    """Give the node these variables, and the site these runtime classes and a group without hosts."""
    path = site.inventory / "hosts.yml"
    document = yaml.safe_load(path.read_text())
    document["all"]["hosts"][NODE] |= variables
    document["all"]["children"]["bigmem"] = {"hosts": {}}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    path = site.inventory / "group_vars/all/kubernetes.yml"
    values = yaml.safe_load(path.read_text()) | {"kubernetes_runtime_classes": classes}
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def settings(site: Site) -> dict[str, Any]:
    """What the kubelet of the node says of its own settings."""
    answer = json.loads(site.kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/configz"))
    found: dict[str, Any] = answer["kubeletconfig"]
    return found


@pytest.fixture(scope="module")
def classed(shared: Site) -> Site:
    """The site after its node has got the class and the runtime classes."""
    edit(shared, CLASSES, **CLASS)
    missing = json.loads(platformctl("-o", "json", "preflight", "-i", str(shared.inventory)).stdout)
    (finding,) = [row for row in missing if row["check"] == "runtime class"]
    assert (finding["host"], finding["found"]) == (
        NODE,
        f"second needs {RUNTIME}, and the host has no such thing",
    )
    script = f'#!/bin/sh\necho "$*" >> {NOTES}\nexec /usr/sbin/runc "$@"\n'
    shared.host(NODE, "sh", "-c", f"cat > {RUNTIME} && chmod 755 {RUNTIME}", data=script)
    with running(shared, "before") as pod:
        rows = json.loads(platformctl("-o", "json", "plan", "-i", str(shared.inventory)).stdout)
        assert {harm["name"] for row in rows for harm in row.get("harms", ())} == {pod}
        before = settings(shared)
        refused = platformctl("install", "-i", str(shared.inventory))
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert f"pod default/{pod} (on {NODE}, bare" in refused.stderr
        assert settings(shared) == before
        said = shared.run("install", "--drain", "--now")
        assert f"{NODE} is empty and takes no new work" in said
    return shared


def test_the_kubelet_has_the_class_and_no_notes_of_the_old_one(classed: Site) -> None:
    found = settings(classed)
    assert (found["topologyManagerPolicy"], found["topologyManagerScope"]) == ("restricted", "pod")
    assert found["cpuManagerPolicyOptions"] == {"full-pcpus-only": "true", "strict-cpu-reservation": "true"}
    notes = json.loads(classed.host(NODE, "cat", "/var/lib/kubelet/memory_manager_state"))
    assert notes["policyName"] == "Static"
    # Back in service, on both schedulers.
    node = json.loads(classed.kubectl("get", "node", NODE, "-o", "json"))
    assert not node["spec"].get("unschedulable")
    assert drain(classed.host) == ""
    stages = [row["stage"] for row in json.loads(classed.run("-o", "json", "plan"))]
    assert not {"kubernetes_node", "containerd", "kubernetes_addons"}.intersection(stages)


@contextlib.contextmanager
def alone(site: Site) -> Iterator[None]:
    """While no pod but those of DaemonSets is on the node, and these ask for no CPU."""
    services = [("kube-flannel", "daemonset/flannel"), ("kube-system", "daemonset/kube-router")]
    plugins = ("get", "daemonsets", "-n", "kube-system", "-l", "app.kubernetes.io/name=device-plugin", "-o")
    services += [("kube-system", name) for name in site.kubectl(*plugins, "name").split()]
    everything = ("--ignore-daemonsets", "--force", "--delete-emptydir-data", "--disable-eviction")
    try:
        site.kubectl("drain", NODE, *everything)
        for namespace, name in services:
            site.kubectl("-n", namespace, "set", "resources", name, "--containers=*", "--requests=cpu=0")
        for namespace, name in services:
            site.kubectl("-n", namespace, "rollout", "status", name, "--timeout=60s")
        yield
    finally:
        for namespace, name in services:
            site.kubectl("-n", namespace, "rollout", "undo", name)
        site.kubectl("uncordon", NODE)


def test_a_pod_with_a_whole_cpu_and_a_job_have_different_cpus(classed: Site) -> None:
    limits = {"cpu": "1", "memory": "32Mi"}
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sleep", "1000"],
        "resources": {"limits": limits},
    }
    spec = {"nodeName": NODE, "terminationGracePeriodSeconds": 0, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "whole"}, "spec": spec}
    with alone(classed):
        try:
            apply(classed, pod)
            classed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/whole")
            whole = cpus(inside(classed, "whole", ALLOWED))
            in_job = cpus(srun(classed, script=ALLOWED))
            notes = json.loads(classed.host(NODE, "cat", "/var/lib/kubelet/cpu_manager_state"))
        finally:
            classed.kubectl("delete", "pod", "whole", "--ignore-not-found", "--now")
    assert len(whole) == 1
    assert in_job == {0}
    assert not whole & in_job
    assert [one["main"] for one in notes["entries"].values()] == [str(min(whole))]


def apply(site: Site, *objects: dict[str, Any], code: int = 0) -> str:
    """Create objects as an administrator; returns what kubectl printed."""
    text = "\n---\n".join(json.dumps(one) for one in objects)
    command = "kubectl --kubeconfig /etc/kubernetes/admin.conf create -f - 2>&1"
    return site.host("ctl1", "sh", "-c", command, data=text, code=code)


def of_class(name: str, runtime: str) -> dict[str, Any]:
    """A pod of a runtime class."""
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"]}
    spec = {"runtimeClassName": runtime, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_pod_of_a_class_is_run_by_its_runtime(classed: Site) -> None:
    try:
        apply(classed, of_class("another-way", "second"))
        classed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/another-way")
        pod = json.loads(classed.kubectl("get", "pod", "another-way", "-o", "json"))
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    finally:
        classed.kubectl("delete", "pod", "another-way", "--ignore-not-found", "--now")
    assert pod["spec"]["overhead"] == {"cpu": "10m", "memory": "16Mi"}
    assert pod["spec"]["nodeSelector"] == {"runtimes.platformctl.io/second": "present"}
    assert f" create --bundle /run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}" in (
        classed.host(NODE, "cat", NOTES)
    )


TEMPLATE = {"spec": of_class("", "nowhere")["spec"] | {"restartPolicy": "Never"}}
MAKERS: list[dict[str, Any]] = [
    of_class("nowhere", "nowhere"),
    {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": TEMPLATE}},
    {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "selector": {"matchLabels": {"app": "nowhere"}},
            "template": {
                "metadata": {"labels": {"app": "nowhere"}},
                "spec": of_class("", "nowhere")["spec"],
            },
        },
    },
    {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "spec": {"target": "kubernetes", "template": TEMPLATE},
    },
]


@pytest.mark.parametrize(
    "manifest", MAKERS, ids=lambda one: f"{one['apiVersion'].split('/')[0]} {one['kind']}"
)
def test_what_makes_pods_of_a_class_that_no_node_may_run_is_refused(
    classed: Site, manifest: dict[str, Any]
) -> None:
    said = apply(classed, manifest | {"metadata": {"name": "nowhere"}}, code=1)
    assert f"runtimeClassName is nowhere, and {REASON}" in said


def test_a_job_of_a_user_runs_in_another_way(classed: Site, tmp_path: Path) -> None:
    kubeconfig, manifest = tmp_path / "alice", tmp_path / "job.yml"
    classed.run("kubeconfig", "--user", "alice", "--file", str(kubeconfig))
    container = {"name": "main", "image": BUSYBOX, "command": ["echo", "in another way"]}
    job = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "another-way", "namespace": "default"},
        "spec": {
            "target": "auto",
            "template": {"spec": {"runtimeClassName": "second", "containers": [container]}},
        },
    }
    manifest.write_text(yaml.safe_dump(job))
    base = ("--kubeconfig", str(kubeconfig))
    done = platformctl("job", "submit", *base, str(manifest))
    assert done.returncode == 0, done.stdout + done.stderr
    waited = platformctl("job", "wait", *base, "another-way", seconds=180)
    assert waited.returncode == 0, waited.stdout + waited.stderr
    assert platformctl("job", "logs", *base, "another-way").stdout.strip() == "in another way"
