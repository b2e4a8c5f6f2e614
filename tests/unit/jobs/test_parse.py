from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs.model import JobSpec, Target
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


def test_tasks_are_at_least_one_a_node() -> None:
    assert accepted({**SCRIPT, "nodes": 3}).tasks == 3
    assert paths({**SCRIPT, "nodes": 3, "tasks": 2}) == ["spec.tasks"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
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
        (template({"serviceAccountName": "admin"}), ["spec.template.spec.serviceAccountName"]),
        (template({"securityContext": {"runAsUser": 0}}), ["spec.template.spec.securityContext"]),
        (template({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
         ["spec.template.spec.volumes[0].hostPath", "spec.template.spec.volumes[0].emptyDir"]),
        (template({"restartPolicy": "Always"}), ["spec.template.spec.restartPolicy"]),
        (template(securityContext={"privileged": True}),
         ["spec.template.spec.containers[0].securityContext"]),
        (template(envFrom=[{"secretRef": {"name": "x"}}]), ["spec.template.spec.containers[0].envFrom"]),
        (template(env=[{"name": "A\nB", "value": "1"}]), ["spec.template.spec.containers[0].env[0].name"]),
        (template(env=[{"name": "A", "valueFrom": {}}]),
         ["spec.template.spec.containers[0].env[0].valueFrom"]),
        (template(image="x\ny"), ["spec.template.spec.containers[0].image"]),
        (template(name="a\nb"), ["spec.template.spec.containers[0].name"]),
        (template(command=["a\0b"]), ["spec.template.spec.containers[0].command[0]"]),
        (template(resources={"limits": {"cpu": "0"}}),
         ["spec.template.spec.containers[0].resources.limits[cpu]"]),
        (template(resources={"limits": {"memory": "1e99"}}),
         ["spec.template.spec.containers[0].resources.limits[memory]"]),
        (template(resources={"limits": {"example.com/fpga": 1}}),
         ["spec.template.spec.containers[0].resources.limits[example.com/fpga]"]),
        (template(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
         ["spec.template.spec.containers[0].resources.requests[cpu]"]),
        ({"template": {"spec": {"containers": [{"name": "a", "image": "b"}, {"name": "c", "image": "d"}]}}},
         ["spec.template.spec.containers[1]"]),
        ({"template": {"metadata": {"labels": {"kfoundry.io/job-uid": "x"}}, **template()["template"]}},
         ["spec.template.metadata.labels[kfoundry.io/job-uid]"]),
        ({"template": {"foo": 1, **template()["template"]}}, ["spec.template.foo"]),
    ],
)  # fmt: skip
def test_refusals_name_the_path(spec: object, expected: list[str]) -> None:
    assert paths(spec) == expected


def test_all_mistakes_are_reported_together() -> None:
    assert len(paths({**template({"hostPID": True}, image=""), "nodes": 0, "foo": 1})) == 4


def test_defaults_that_tools_write_are_harmless() -> None:
    accepted(template({"dnsPolicy": "ClusterFirst", "securityContext": {}, "hostNetwork": False}))


def test_fields_of_kubernetes_alone_leave_slurm_out() -> None:
    job = accepted(template({"nodeSelector": {"disk": "ssd"}}))
    assert [refusal.path for refusal in job.unsupported[Target.SLURM]] == ["spec.template.spec.nodeSelector"]


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
