import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs.model import (
    Array,
    Container,
    Dependency,
    JobSpec,
    Mount,
    PodOptions,
    Resources,
    Target,
    Transfer,
    Volume,
    When,
)
from platformctl.jobs.parse import parse
from tests.foundry import EXAMPLE

SCRIPT = {"script": "#!/bin/bash\ndate\n"}


def template(pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    one = {"name": "a", "image": "b", "command": ["c"], **container}
    return {"template": {"spec": {"containers": [one], **(pod or {})}}}


def paths(spec: object) -> list[str]:
    found = parse(spec)
    assert isinstance(found, list), found
    return [refusal.path for refusal in found]


def accepted(spec: object) -> JobSpec:
    found = parse(spec)
    assert isinstance(found, JobSpec), found
    return found


def test_the_example_of_k_foundry() -> None:
    job = accepted(yaml.safe_load(EXAMPLE)["spec"])
    assert job.container is not None
    assert job.container.command == ("perl", "-Mbignum=bpi", "-wle", "print bpi(2000)")
    assert job.container.resources.millicores == 4000
    assert job.container.resources.memory == 16 * 2**30
    assert job.container.resources.gpus == 1
    assert job.unsupported == {}


def test_a_script_with_everything() -> None:
    job = accepted(
        {**SCRIPT, "queue": "main", "walltime": "1h", "nodes": 2, "tasks": 8, "account": "physics"}
    )
    assert (job.queue, job.walltime, job.nodes, job.tasks, job.account) == ("main", 3600, 2, 8, "physics")
    assert {refusal.path for refusal in job.unsupported[Target.KUBERNETES]} == {
        "spec.queue", "spec.account", "spec.nodes", "spec.tasks"
    }  # fmt: skip


def test_a_template_is_read_whole() -> None:
    container = {
        "name": "n" * 63,
        "image": "i" * 512,
        "imagePullPolicy": "Never",
        "command": ["c" * 131072, *["c"] * 1023],
        "args": ["$(A)"] * 1024,
        "workingDir": "/tmp/with space",
        "env": [{"name": "A" * 128, "value": "v" * 131072}, {"name": "B"}, *[{"name": "A"}] * 1022],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": 2, "nvidia.com/gpu": 1024},
        },
        "volumeMounts": [{"name": "v0", "mountPath": "/" + "m" * 4095}] * 64,
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": f"v{number}", "emptyDir": {}} for number in range(64)],
        "nodeSelector": {"disk": "ssd"},
        "terminationGracePeriodSeconds": 3600,
    }
    metadata = {"labels": {"a": "b"}, "annotations": {"c": "d"}, "creationTimestamp": None}
    job = accepted({"template": {"metadata": metadata, "spec": pod}})
    assert job.container == Container(
        name="n" * 63,
        image="i" * 512,
        pull_policy="Never",
        command=("c" * 131072, *["c"] * 1023),
        args=("$(A)",) * 1024,
        working_dir="/tmp/with space",
        env=(("A" * 128, "v" * 131072), ("B", ""), *[("A", "")] * 1022),
        resources=Resources(
            millicores=2000,
            memory=2**30,
            gpus=1024,
            requests={"cpu": "500m", "memory": "1Gi"},
            limits={"cpu": "2", "nvidia.com/gpu": "1024"},
        ),
        mounts=(Mount("v0", "/" + "m" * 4095),) * 64,
        given=container,
    )
    assert job.pod == PodOptions(
        node_selector={"disk": "ssd"},
        volumes=tuple(Volume(f"v{number}", "emptyDir") for number in range(64)),
        grace_seconds=3600,
        labels={"a": "b"},
        annotations={"c": "d"},
        given=pod,
    )
    assert [found.path for found in job.unsupported[Target.SLURM]] == [
        "spec.template.spec.terminationGracePeriodSeconds"
    ]


_LONGER = {
    "name": "n" * 64,
    "image": "i" * 513,
    "command": ["c"] * 1025,
    "args": ["c"] * 1025,
    "env": [{"name": "A"}] * 1025,
    "workingDir": "/" + "m" * 4096,
    "volumeMounts": [{"name": "v", "mountPath": "/v"}] * 65,
}


@pytest.mark.parametrize("name", _LONGER)
def test_a_field_of_a_container_has_an_end(name: str) -> None:
    pod = {"volumes": [{"name": "v", "emptyDir": {}}]}
    assert f"spec.template.spec.containers[0].{name}" in paths(template(pod, **{name: _LONGER[name]}))


def test_references_are_bounded_with_the_home_counted() -> None:
    most = [{"name": "A", "value": "x" * 2**16}]
    # 16 times 64 KiB is as much as there may be, less a home of the longest kind.
    accepted(template(env=most, args=["$(A)" * 15 + "x" * (2**16 - 2)]))
    assert paths(template(env=most, args=["$(A)" * 15 + "x" * 2**16])) == [
        "spec.template.spec.containers[0].command"
    ]
    assert paths(template(env=[*most, {"name": "B", "value": "$(A)" * 14 + "$(HOME)" * 300}])) == [
        "spec.template.spec.containers[0].env"
    ]


def test_tasks_are_at_least_one_a_node() -> None:
    assert accepted({**SCRIPT, "nodes": 3}).tasks == 3
    assert paths({**SCRIPT, "nodes": 3, "tasks": 2}) == ["spec.tasks"]


REFUSED: list[tuple[object, list[str]]] = [
    (None, ["spec"]),
    ("text", ["spec", "spec"]),
    ({**SCRIPT, **template()}, ["spec"]),
    ({**SCRIPT, "quue": "x"}, ["spec.quue"]),
    ({"script": "date"}, ["spec.script"]),
    ({"script": "#!bash\ndate"}, ["spec.script"]),
    ({"script": "#!/bin/bash\r\ndate"}, ["spec.script"]),
    ({"script": "#!/bin/bash\n#SBATCH -n 4\n"}, ["spec.script"]),
    ({"script": "#!/bin/sh\n" + "x" * 2**20}, ["spec.script"]),
    ({"script": "#!/bin/sh\n\0"}, ["spec.script"]),
    ({**SCRIPT, "queue": "a\n#SBATCH --uid=0"}, ["spec.queue"]),
    ({**SCRIPT, "account": "$(id)"}, ["spec.account"]),
    ({**SCRIPT, "target": "moon"}, ["spec.target"]),
    ({**SCRIPT, "nodes": 0, "tasks": -1, "walltime": 0}, ["spec.walltime", "spec.nodes", "spec.tasks"]),
    ({**SCRIPT, "nodes": True}, ["spec.nodes"]),
    ({**SCRIPT, "nodes": 10**30}, ["spec.nodes"]),
    (template({"hostNetwork": True}), ["spec.template.spec.hostNetwork"]),
    (template({"automountServiceAccountToken": True}), ["spec.template.spec.automountServiceAccountToken"]),
    (template({"securityContext": {"runAsUser": -1}}), ["spec.template.spec.securityContext.runAsUser"]),
    (template({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
     ["spec.template.spec.volumes[0].hostPath"]),
    (template({"volumes": [{"name": "v"}]}), ["spec.template.spec.volumes[0]"]),
    (template({"volumes": [{"name": "v", "emptyDir": {"medium": "HugePages"}}]}),
     ["spec.template.spec.volumes[0].emptyDir.medium"]),
    (template({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "kfoundry-home-10002"}}]}),
     ["spec.template.spec.volumes[0].persistentVolumeClaim.claimName"]),
    (template({"volumes": [{"name": "v", "configMap": {
        "name": "a", "items": [{"key": "k", "path": "../x"}]}}]}),
     ["spec.template.spec.volumes[0].configMap.items[0].path"]),
    (template({"volumes": [{"name": "v", "projected": {
        "sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
     ["spec.template.spec.volumes[0].projected.sources[0].serviceAccountToken"]),
    (template({"tolerations": [{"operator": "Exists"}]}), ["spec.template.spec.tolerations[0]"]),
    (template({"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}),
     ["spec.template.spec.tolerations[0]"]),
    (template({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "labelSelector": {},
                                              "whenUnsatisfiable": "DoNotSchedule"}]}),
     ["spec.template.spec.topologySpreadConstraints[0].labelSelector"]),
    (template({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}, "namespaces": ["x"]}]}}}),
     ["spec.template.spec.affinity.podAntiAffinity."
      "requiredDuringSchedulingIgnoredDuringExecution[0].namespaces",
      "spec.template.spec.affinity.podAntiAffinity."
      "requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector"]),
    (template({"initContainers": [{"name": "a", "image": "b"}]}), ["spec.template.spec.containers[0].name"]),
    (template(name="kfoundry-stage-out"), ["spec.template.spec.containers[0].name"]),
    (template(livenessProbe={"httpGet": {"port": 80, "host": "192.0.2.1"}}),
     ["spec.template.spec.containers[0].livenessProbe.httpGet.host"]),
    (template(ports=[{"containerPort": 80, "hostPort": 80}]),
     ["spec.template.spec.containers[0].ports[0].hostPort"]),
    ({"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "b"}},
                   **template()["template"]}},
     ["spec.template.metadata.annotations[kubectl.kubernetes.io/default-container]"]),
    ({**template(), "completions": 4, "array": "0-2"}, ["spec.completions"]),
    ({**template(), "parallelism": 2, "array": "0-3%3"}, ["spec.parallelism"]),
    ({**template(), "parallelism": 0}, ["spec.parallelism"]),
    ({**template(), "completions": 4, "tasks": 3}, ["spec.completions"]),
    ({**template(), "completionMode": "Indexed"}, ["spec.completions"]),
    ({**template(), "completionMode": "NonIndexed", "array": "0-3"}, ["spec.completionMode"]),
    ({**template(), "backoffLimit": 2, "retries": 3}, ["spec.backoffLimit"]),
    ({**template({"activeDeadlineSeconds": 61}), "activeDeadlineSeconds": 60, "walltime": "2m"},
     ["spec.activeDeadlineSeconds", "spec.template.spec.activeDeadlineSeconds"]),
    ({**template(), "ttlSecondsAfterFinished": 60, "ttlAfterFinished": "2m"},
     ["spec.ttlSecondsAfterFinished"]),
    ({**template({"priorityClassName": "low"}), "priorityClassName": "high"},
     ["spec.template.spec.priorityClassName"]),
    ({**template(), "maxFailedIndexes": 1}, ["spec.maxFailedIndexes", "spec.maxFailedIndexes"]),
    ({**template(), "successPolicy": {"rules": [{}]}}, ["spec.successPolicy", "spec.successPolicy.rules[0]"]),
    ({**template(), "completions": 2, "completionMode": "Indexed",
      "successPolicy": {"rules": [{"succeededIndexes": "2"}]}},
     ["spec.successPolicy.rules[0].succeededIndexes"]),
    ({**template(), "podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
     ["spec.podFailurePolicy.rules[0]"]),
    ({**template(), "podFailurePolicy": {"rules": [{"action": "FailIndex", "onExitCodes": {
        "operator": "In", "values": [0]}}]}},
     ["spec.podFailurePolicy.rules[0].action", "spec.podFailurePolicy.rules[0].onExitCodes.values"]),
    ({**template({"restartPolicy": "OnFailure"}), "podFailurePolicy": {"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}},
     ["spec.template.spec.restartPolicy"]),
    ({**template(), "selector": {"matchLabels": {"a": "b"}}, "manualSelector": True},
     ["spec.selector", "spec.manualSelector"]),
    ({**template(), "managedBy": "kubernetes.io/job-controller"}, ["spec.managedBy"]),
    (template({"restartPolicy": "Always"}), ["spec.template.spec.restartPolicy"]),
    (template(securityContext={"privileged": True}),
     ["spec.template.spec.containers[0].securityContext.privileged"]),
    (template(envFrom=[{"prefix": "A_"}]), ["spec.template.spec.containers[0].envFrom[0]"]),
    (template(env=[{"name": "A\nB", "value": "1"}]), ["spec.template.spec.containers[0].env[0].name"]),
    (template(env=[{"name": "A", "valueFrom": {}}]),
     ["spec.template.spec.containers[0].env[0].valueFrom"]),
    (template(image="x\ny"), ["spec.template.spec.containers[0].image"]),
    (template(name="a\nb"), ["spec.template.spec.containers[0].name"]),
    (template(command=["a\0b"]), ["spec.template.spec.containers[0].command[0]"]),
    (template(resources={"limits": {"cpu": "-1"}}),
     ["spec.template.spec.containers[0].resources.limits[cpu]"]),
    (template(resources={"limits": {"memory": "1e99"}}),
     ["spec.template.spec.containers[0].resources.limits[memory]"]),
    (template(resources={"limits": {"disk": 1}}),
     ["spec.template.spec.containers[0].resources.limits[disk]"]),
    (template(resources={"requests": {"example.com/fpga": 1}}),
     ["spec.template.spec.containers[0].resources.requests[example.com/fpga]"]),
    (template(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
     ["spec.template.spec.containers[0].resources.requests[cpu]"]),
    ({"template": {"metadata": {"finalizers": ["x/y"]}, **template()["template"]}},
     ["spec.template.metadata.finalizers"]),
    ({"template": {"foo": 1, **template()["template"]}}, ["spec.template.foo"]),
    ({"template": {"spec": {"containers": []}}}, ["spec.template.spec.containers"]),
    (template(imagePullPolicy="Sometimes"), ["spec.template.spec.containers[0].imagePullPolicy"]),
    (template(workingDir=7), ["spec.template.spec.containers[0].workingDir"]),
    (template(resources={"claims": []}), ["spec.template.spec.containers[0].resources.claims"]),
    (template(env=7, volumeMounts=7),
     ["spec.template.spec.containers[0].env", "spec.template.spec.containers[0].volumeMounts"]),
    (template(env=[{"name": 1, "value": 2}]),
     ["spec.template.spec.containers[0].env[0].name", "spec.template.spec.containers[0].env[0].name",
      "spec.template.spec.containers[0].env[0].value"]),
    (template(workingDir="tmp"), ["spec.template.spec.containers[0].workingDir"]),
    (template(workingDir="/tmp\n"), ["spec.template.spec.containers[0].workingDir"]),
    (template(args=["x" * 131073]), ["spec.template.spec.containers[0].args[0]"]),
    (template(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
     ["spec.template.spec.containers[0].volumeMounts[0].name"]),
    (template({"volumes": [{"name": "v", "emptyDir": {}}]}, volumeMounts=[{"name": "v", "mountPath": "v"}]),
     ["spec.template.spec.containers[0].volumeMounts[0].mountPath"]),
    (template({"volumes": [{"name": "v", "emptyDir": {}}]},
              volumeMounts=[{"name": "v", "mountPath": "/a:/b"}]),
     ["spec.template.spec.containers[0].volumeMounts[0].mountPath"]),
    (template({"volumes": [{"name": "v", "emptyDir": {}}]}, volumeMounts=[{"name": "v"}]),
     ["spec.template.spec.containers[0].volumeMounts[0].mountPath"]),
    (template({"volumes": [{"name": "v", "emptyDir": {}}] * 2}), ["spec.template.spec.volumes[1].name"]),
    (template({"volumes": [{"name": "kfoundry-home", "emptyDir": {}}]}),
     ["spec.template.spec.volumes[0].name"]),
    (template({"terminationGracePeriodSeconds": 3601}),
     ["spec.template.spec.terminationGracePeriodSeconds"]),
    (template({"nodeSelector": {"a b": "c", "d": "e f"}}),
     ["spec.template.spec.nodeSelector[a b]", "spec.template.spec.nodeSelector[d]"]),
    (template(resources={"requests": {"nvidia.com/gpu": 1}}),
     ["spec.template.spec.containers[0].resources.requests[nvidia.com/gpu]"]),
    (template(resources={"limits": {"nvidia.com/gpu": "500m"}}),
     ["spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"]),
    (template(resources={"limits": {"cpu": 8193, "memory": "65Ti", "nvidia.com/gpu": 1025}}),
     [f"spec.template.spec.containers[0].resources.limits[{name}]"
      for name in ("cpu", "memory", "nvidia.com/gpu")]),
    (template(env=[{"name": "A", "value": "x" * 2**16}, {"name": "B", "value": "$(A)" * 17}]),
     ["spec.template.spec.containers[0].env"]),
    (template(env=[{"name": "A", "value": "x" * 2**16}], args=["$(A)" * 9, "$(A)" * 8]),
     ["spec.template.spec.containers[0].command"]),
    ({"interactive": True}, ["spec.walltime"]),
    ({**template(), "resources": {"cpu": 1}}, ["spec.resources"]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), REFUSED)
def test_refusals_name_the_path(spec: object, expected: list[str]) -> None:
    assert paths(spec) == expected


def test_all_mistakes_are_reported_together() -> None:
    assert len(paths({**template({"hostPID": True}, image=""), "nodes": 0, "foo": 1})) == 4


def test_defaults_that_tools_write_are_harmless() -> None:
    accepted(template({"dnsPolicy": "ClusterFirst", "securityContext": {}, "hostNetwork": False}))


def test_a_security_context_that_asks_for_what_jobs_have_anyway_is_harmless() -> None:
    accepted(
        template({"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}})
    )
    mine = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    accepted(template(securityContext=mine))
    assert paths(template(securityContext={**mine, "capabilities": {"add": ["SYS_ADMIN"]}})) == [
        "spec.template.spec.containers[0].securityContext.capabilities.add"
    ]


def test_a_job_with_every_field() -> None:
    job = accepted(
        {
            **SCRIPT,
            "resources": {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": 1},
            "nodes": 2,
            "tasksPerNode": 3,
            "array": "0-9%3",
            "dependsOn": [{"name": "first"}, {"name": "second", "when": "finished"}],
            "priorityClassName": "high",
            "retries": 2,
            "suspend": True,
            "managedBy": "example.com/queue",
            "ttlAfterFinished": "1d",
            "stageIn": [{"source": "/data/a", "target": "a"}],
            "stageOut": [{"source": "b c", "target": "results/b"}],
        }
    )
    assert (job.nodes, job.tasks, job.tasks_per_node) == (2, 6, 3)
    assert (job.resources.millicores, job.resources.memory, job.resources.gpus) == (1500, 2**30, 1)
    assert job.array == Array(tuple(range(10)), 3)
    assert job.depends_on == (Dependency("first", When.SUCCEEDED), Dependency("second", When.FINISHED))
    assert (job.priority_class, job.retries, job.suspend) == ("high", 2, True)
    assert job.ttl_after_finished == 86400
    assert job.stage_in == (Transfer("/data/a", "a"),)
    assert job.stage_out == (Transfer("b c", "results/b"),)
    assert [found.path for found in job.unsupported[Target.KUBERNETES]] == [
        "spec.nodes", "spec.tasksPerNode", "spec.tasks"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "tasks", "most"), [(None, 2, 2), (1, 2, 2), (2, 2, 1), (2, 6, 4), (3, 6, 4), (None, 9, 4)]
)
def test_no_more_tasks_for_a_node_than_can_come_together(nodes: int | None, tasks: int, most: int) -> None:
    asked = {"nodes": nodes} if nodes else {}
    assert accepted({**SCRIPT, **asked, "tasks": tasks, "tasksPerNode": 4}).tasks_per_node == most


REFUSED_OF_SCRIPTS: list[tuple[dict[str, Any], str]] = [
    ({"array": "0-10000"}, "spec.array"),
    ({"array": "0-9", "interactive": True}, "spec.interactive"),
    ({"dependsOn": [{"name": "a b"}]}, "spec.dependsOn[0].name"),
    ({"dependsOn": [{}]}, "spec.dependsOn[0].name"),
    ({"dependsOn": [{"name": "a", "when": "maybe"}]}, "spec.dependsOn[0].when"),
    ({"dependsOn": [{"name": "a", "wen": "failed"}]}, "spec.dependsOn[0].wen"),
    ({"dependsOn": [{"name": "a"}] * 65}, "spec.dependsOn"),
    ({"priorityClassName": "a b"}, "spec.priorityClassName"),
    ({"interactive": "yes"}, "spec.interactive"),
    ({"retries": 101}, "spec.retries"),
    ({"suspend": 1}, "spec.suspend"),
    ({"managedBy": "me"}, "spec.managedBy"),
    ({"managedBy": 1}, "spec.managedBy"),
    ({"tasksPerNode": 0}, "spec.tasksPerNode"),
    ({"queue": 7}, "spec.queue"),
    ({"managedBy": "example.com/" + "x" * 52}, "spec.managedBy"),
    ({"script": "#!/bin/sh\n\n# x\n#PBS -l walltime=1:00\ndate\n"}, "spec.script"),
    ({"args": "a"}, "spec.args"),
    ({"slurm": {"mem": "much"}}, "spec.slurm.mem"),
    ({"slurm": {"mem": "1G", "memPerGpu": "1G"}}, "spec.slurm.memPerGpu"),
    ({"slurm": {"mailType": ["NEVER"]}}, "spec.slurm.mailType"),
    ({"slurm": {"begin": "tomorrow"}}, "spec.slurm.begin"),
    ({"slurm": {"nice": "low"}}, "spec.slurm.nice"),
    ({"slurm": {"environment": {"A=B": "c"}}}, "spec.slurm.environment"),
    (
        {"slurm": {"components": [{"tasks": 2, "slurm": {"output": "x"}}]}},
        "spec.slurm.components[0].slurm.output",
    ),
    ({"nodes": 2, "slurm": {"nodes": "2-4"}}, "spec.slurm.nodes"),
    ({"resources": {"memory": "1Gi"}, "slurm": {"mem": "1G"}}, "spec.slurm.mem"),
    ({"stageIn": [{"source": "a" * 4097, "target": "b"}]}, "spec.stageIn[0].source"),
    ({"ttlAfterFinished": 0}, "spec.ttlAfterFinished"),
    ({"stageIn": [{"source": "../a", "target": "b"}]}, "spec.stageIn[0].source"),
    ({"stageIn": [{"source": "a\n", "target": "b"}]}, "spec.stageIn[0].source"),
    ({"stageIn": [{"source": "a\0", "target": "b"}]}, "spec.stageIn[0].source"),
    ({"stageOut": [{"source": "a", "target": "b/"}]}, "spec.stageOut[0].target"),
    ({"stageOut": [{"source": "a"}]}, "spec.stageOut[0].target"),
    ({"stageOut": [{"source": "a", "target": "b"}] * 33}, "spec.stageOut"),
    ({"nodes": 2, "tasksPerNode": 2, "tasks": 5}, "spec.tasks"),
    ({"nodes": 10_000, "tasksPerNode": 11}, "spec.tasksPerNode"),
    ({"resources": {"cpu": -1}}, "spec.resources[cpu]"),
    ({"resources": {"disk": 1}}, "spec.resources[disk]"),
    ({"script": "#!/bin/sh\n\ud800"}, "spec.script"),
]


@pytest.mark.parametrize(("spec", "expected"), REFUSED_OF_SCRIPTS)
def test_mistakes_in_a_script_job_name_the_path(spec: dict[str, Any], expected: str) -> None:
    assert paths(SCRIPT | spec) == [expected]


ONE_TARGET: list[dict[str, Any]] = [
    {**SCRIPT, "queue": "main", "account": "physics", "nodes": 2, "tasksPerNode": 2, "tasks": 4},
    {**SCRIPT, "array": "0-20:5"},
    {**SCRIPT, "slurm": {"constraint": "avx512", "gres": "gpu:kind1:2", "mem": "0", "qos": "long"}},
    {**template(), "slurm": {"chdir": "run", "environment": {"A": "b"}}},
    {**template(), "stageOut": [{"source": "a", "target": "b"}], "tasks": 2},
    {**template(), "array": "0-3", "tasks": 2},
    {**template(), "nodes": 1, "tasks": 4},
    {"template": {"spec": {"containers": [{"name": "a", "image": "b"}, {"name": "c", "image": "d"}]}}},
    template({"volumes": [{"name": "v", "image": {"reference": "debian:13"}}]}),
    template({"terminationGracePeriodSeconds": 31, "subdomain": "pods", "serviceAccountName": "mine"}),
    template(resources={"limits": {"example.com/fpga": 1}}, livenessProbe={"exec": {"command": ["true"]}}),
    template(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                  {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]),
]  # fmt: skip


def test_every_refusal_says_what_to_change() -> None:
    """The words of all of them, to be read: each names a field, what is wrong there, and what would do."""
    refused = [spec for spec, _ in REFUSED] + [SCRIPT | spec for spec, _ in REFUSED_OF_SCRIPTS]
    lines = []
    for spec in refused:
        found = parse(spec)
        assert isinstance(found, list)
        lines += ["", _short(spec), *(f"    {refusal}" for refusal in found)]
    for spec in ONE_TARGET:
        unsupported = accepted(spec).unsupported
        assert unsupported
        lines += ["", _short(spec)]
        lines += [f"    not for {target}: {why}" for target, all_ in unsupported.items() for why in all_]
    assert "\n".join(lines[1:]) + "\n" == Path(__file__).with_name("refusals.txt").read_text()


def _short(spec: object) -> str:
    text = json.dumps(spec)
    return text if len(text) <= 120 else f"{text[:117]}..."


def test_the_largest_and_smallest_that_is_taken() -> None:
    assert accepted({**SCRIPT, "nodes": 10_000, "tasksPerNode": 10}).tasks == 100_000
    assert accepted({**SCRIPT, "tasksPerNode": 1}).tasks_per_node == 1
    accepted({**SCRIPT, "managedBy": "example.com/" + "x" * 51})


def test_an_interactive_job_waits_for_its_wall_time() -> None:
    job = accepted({"interactive": True, "walltime": "1h"})
    assert job.script is not None
    assert not job.unsupported
    assert paths({"interactive": True}) == ["spec.walltime"]
    assert accepted({**SCRIPT, "interactive": True}).script == SCRIPT["script"]


@pytest.mark.parametrize("array", ["1-3", "0-20:5", "0,2"])
def test_arrays_with_gaps_are_for_slurm_alone(array: str) -> None:
    assert [found.path for found in accepted({**SCRIPT, "array": array}).unsupported[Target.KUBERNETES]] == [
        "spec.array"
    ]
    assert accepted({**SCRIPT, "array": "0-3"}).unsupported == {}


def test_results_of_a_container_are_staged_on_kubernetes_where_it_is_one() -> None:
    stage = {**template(), "stageOut": [{"source": "a", "target": "b"}]}
    assert accepted(stage).unsupported == {}
    for several in ({"tasks": 2}, {"array": "0-3"}):
        refused = accepted({**stage, **several}).unsupported[Target.KUBERNETES]
        assert [found.path for found in refused] == ["spec.stageOut"]


def test_tasks_that_must_share_a_host_are_for_slurm_alone() -> None:
    together = accepted({**template(), "nodes": 1, "tasks": 4})
    assert [refusal.path for refusal in together.unsupported[Target.KUBERNETES]] == ["spec.nodes"]
    for anywhere in ({"nodes": 1}, {"tasks": 4}):
        assert accepted({**template(), **anywhere}).unsupported == {}


def test_fields_of_kubernetes_alone_leave_slurm_out() -> None:
    job = accepted(template({"subdomain": "pods"}))
    assert [refusal.path for refusal in job.unsupported[Target.SLURM]] == ["spec.template.spec.subdomain"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
_fields = ["template", "script", "target", "queue", "walltime", "nodes", "tasks", "account"]


@given(st.dictionaries(st.sampled_from(_fields), _json) | _json)
def test_any_document_is_judged_without_an_exception(spec: object) -> None:
    found = parse(spec)
    assert isinstance(found, JobSpec) or found


_containers = st.fixed_dictionaries(
    {"name": _json, "image": _json},
    optional=dict.fromkeys(
        ("command", "args", "env", "resources", "volumeMounts", "workingDir", "tty"), _json
    ),
)


@given(
    st.fixed_dictionaries(
        {"containers": st.lists(_containers, max_size=2)},
        optional=dict.fromkeys(
            ("volumes", "nodeSelector", "restartPolicy", "hostNetwork", "tolerations"), _json
        ),
    )
)
def test_any_template_is_judged_without_an_exception(pod: dict[str, Any]) -> None:
    found = parse({"template": {"spec": pod}})
    assert isinstance(found, JobSpec) or found
