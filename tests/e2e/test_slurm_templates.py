"""Pod templates as jobs of Slurm, in real images: volumes, folders, entry points, and hidden Secrets."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Site, changed_variables, variables
from tests.e2e.test_jobs import ADMIN, BOB, Jobs

IMAGE = "debian:13"
SECRET = f"not-for-others-{time.time_ns()}"
# The submitter, and nobody else, may read the Secret.
_ACCESS = f"""
kubectl() {{ command {ADMIN} -n default "$@"; }}
kubectl create secret generic hidden --from-literal=token={SECRET} --from-literal=other=o
kubectl create configmap shown --from-literal=key='a "value"' --from-literal=script='echo $HOME'
kubectl create role reads-both --verb=get --resource=secrets,configmaps
kubectl create rolebinding reads-both --role=reads-both --user=alice
"""
_GONE = f"{ADMIN} -n default delete secret/hidden configmap/shown role/reads-both rolebinding/reads-both"


@pytest.fixture(scope="module")
def objects(site: Site) -> Iterator[Site]:
    """A Secret and a ConfigMap that alice may read, at a site where Jobs on Slurm may use Secrets."""
    decided = {**(variables(site, "slurm").get("slurm_job_options") or {}), "secrets": True}
    with changed_variables(site, "slurm", slurm_job_options=decided):
        site.run("install", "--yes")
        site.host("ctl1", "sh", "-ec", _ACCESS)
        yield site
        site.host("ctl1", "sh", "-c", _GONE)
    site.run("install", "--yes")


@pytest.fixture
def jobs(objects: Site) -> Iterator[Jobs]:
    found = Jobs(objects)
    yield found
    if found.names:
        found.delete(*found.names)


def template(
    *more: dict[str, Any], volumes: dict[str, Any] | None = None, **container: Any
) -> dict[str, Any]:
    """A template with a container, mounted volumes by their places, and init containers before it."""
    named = [{"name": f"v{number}", **source} for number, source in enumerate((volumes or {}).values())]
    mounts = [{"name": f"v{number}", "mountPath": place} for number, place in enumerate(volumes or ())]
    base = {"image": IMAGE, "volumeMounts": mounts}
    before = [{"name": f"before{number}", **base, **one} for number, one in enumerate(more)]
    spec = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", **base, **container}],
        "initContainers": before,
        "volumes": named,
    }
    return {"spec": spec}


def printed(jobs: Jobs, **spec: Any) -> list[str]:
    """The lines of a Job on Slurm that succeeds."""
    name = jobs.submit(target="slurm", **spec)
    status = jobs.until(name, "Succeeded", "Failed", "Refused")
    assert status["phase"] == "Succeeded", (status, jobs.output(name))
    return jobs.output(name).splitlines()


def shell(text: str) -> list[str]:
    return ["sh", "-ec", text]


def test_volumes_are_there_in_the_folder_that_is_asked_for(jobs: Jobs) -> None:
    volumes = {
        "/work": {"emptyDir": {}},
        "/memory": {"emptyDir": {"medium": "Memory"}},
        "/shown": {"configMap": {"name": "shown", "defaultMode": 0o440}},
    }
    first = {"command": shell("echo from before >made; echo fast >/memory/made"), "workingDir": "/work"}
    text = "pwd; cat made /memory/made; cat /shown/key; echo; stat -c %a /shown/key; cat /shown/script; id -u"
    made = template(first, volumes=volumes, workingDir="/work", command=shell(text))
    assert printed(jobs, template=made) == [
        *("/work", "from before", "fast", 'a "value"', "440", "echo $HOME10001"),
    ]
    left = jobs.site.host("node2", "sh", "-c", "find /dev/shm /tmp -maxdepth 1 -user alice -name 'tmp.*'")
    assert left == ""


def test_a_part_of_a_volume_and_what_the_pod_knows(jobs: Jobs) -> None:
    fields = {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.labels['team']"}}]}
    made = template(
        volumes={"/all": {"emptyDir": {}}, "/pod": {"downwardAPI": fields}},
        command=shell("echo part >/part/file; cat /all/a/b/file; cat /pod/name; echo; echo $TEAM $CPU"),
        env=[
            {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        resources={"limits": {"cpu": "1500m", "memory": "100Mi"}},
    )
    made["metadata"] = {"labels": {"team": "wind"}}
    (container,) = made["spec"]["containers"]
    container["volumeMounts"].append({"name": "v0", "mountPath": "/part", "subPath": "a/b"})
    assert printed(jobs, template=made) == ["part", "wind", "wind 2"]


def test_words_without_a_command_are_for_the_images_entry_point(jobs: Jobs) -> None:
    made = template(image="registry.k8s.io/etcd:3.7.3-0", args=["--version"])
    assert printed(jobs, template=made)[0] == "etcd Version: 3.7.3"
    assert printed(jobs, template=template(image="busybox:1.37")) == []


@pytest.mark.parametrize("tasks", [1, 2])
def test_each_task_has_folders_of_its_own(jobs: Jobs, tasks: int) -> None:
    text = "echo $JOB_COMPLETION_INDEX >>/work/seen; sleep 1; cat /work/seen; pwd"
    made = template(volumes={"/work": {"emptyDir": {}}}, command=shell(text), workingDir="/tmp")
    lines = sorted(printed(jobs, template=made, tasks=tasks))
    assert lines == sorted([*(map(str, range(tasks)) if tasks > 1 else [""]), *["/tmp"] * tasks])


def test_a_secret_is_seen_by_nobody_but_the_job(jobs: Jobs) -> None:
    site = jobs.site
    text = (
        "echo ${#TOKEN}; cat /secret/token | wc -c; stat -c %a /secret/token; env | grep -c VALUE_; sleep 25"
    )
    made = template(
        {"command": shell('[ "$(cat /secret/token)" = "$TOKEN" ]'), "env": [_token()]},
        volumes={"/secret": {"secret": {"secretName": "hidden", "defaultMode": 0o400}}},
        command=shell(text.replace("env | grep -c VALUE_", "(env | grep -c KFOUNDRY_VALUE_ || true)")),
        env=[_token()],
    )
    name = jobs.submit(target="slurm", template=made)
    jobs.until_printed(name, f"{len(SECRET)}\n{len(SECRET)}\n400\n0\n")
    job = jobs.status(name)["backendId"]
    for who in ("root", "slurm", "bob"):
        for question in (
            f"scontrol --details show job {job}",
            f"scontrol write batch_script {job} -",
            f"squeue --jobs={job} --Format=all",
            f"sacct --jobs={job} --parsable2 --format=ALL",
            f"sacct --jobs={job} --env-vars",
            f"sacct --jobs={job} --batch-script",
        ):
            assert SECRET not in _said(site, "ctl1", question, who), (who, question)
    # Nobody sees it in a command line, and others neither in an environment nor in a file.
    assert SECRET not in _said(site, "node2", "cat /proc/[0-9]*/cmdline", "root")
    others = f"grep -la {SECRET} /proc/[0-9]*/environ; grep -ra {SECRET} /dev/shm /tmp /var/lib/slurm"
    assert _said(site, "node2", others, "bob") == ""
    assert _said(site, "node2", f"grep -rla {SECRET} /var/lib/slurm /tmp", "root") == ""
    # slurmctld's own state, which only it can read, has the environment until the job is forgotten.
    assert _said(site, "ctl1", f"grep -ra {SECRET} /var/lib/slurm /var/log", "bob") == ""
    assert SECRET not in _said(site, "ctl1", f"{ADMIN} get kj {name} -o yaml", "root")
    assert jobs.until(name, "Succeeded", "Failed")["phase"] == "Succeeded"
    assert SECRET not in jobs.output(name)
    assert _said(site, "node2", f"grep -rla {SECRET} /dev/shm", "root") == ""
    logs = "journalctl --quiet --since=-10min -u slurmctld -u slurmdbd -u slurmrestd -u haproxy"
    assert SECRET not in _said(site, "ctl1", logs, "root")


def test_a_secret_that_the_submitter_may_not_read_is_refused(jobs: Jobs) -> None:
    metadata = {"generateName": "e2e-", "namespace": "default"}
    spec = {"target": "slurm", "template": template(command=["true"], env=[_token()])}
    job = {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": metadata, "spec": spec}
    with pytest.raises(AssertionError, match="hidden"):
        jobs.create(job, who=BOB)


def _token() -> dict[str, Any]:
    return {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "token"}}}


def _said(site: Site, host: str, command: str, user: str) -> str:
    """Everything that a command prints, also if it may not do that."""
    return site.host(host, "sh", "-c", f"{command} 2>/dev/null || true", user=user)
