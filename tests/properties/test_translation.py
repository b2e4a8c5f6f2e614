"""Whatever a spec holds: it is judged without an exception, and what is accepted translates within bounds."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platformctl.jobs import kubernetes, slurm
from platformctl.jobs.array import MAX_ELEMENTS, array_text, parse_array
from platformctl.jobs.model import JobSpec, Limits, Policy, Priority, Queue, Target, User
from platformctl.jobs.parse import FIELDS, parse
from platformctl.jobs.policy import in_queue, settle
from platformctl.jobs.queues import FIELDS as QUEUE_FIELDS
from platformctl.jobs.queues import parse_queue
from platformctl.jobs.sbatch_options import BLOCKS
from platformctl.jobs.tokens import Token
from tests.properties.texts import file_names, texts

USERS = (
    User("alice", 10001, 10001, (20001,), "physics", "/home/alice"),
    User("bob", 10002, 10002, (), None, "/home/bob", "kfoundry-home-10002"),
)
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
POLICY = Policy({"high": Priority("fast", 5, "urgent")}, ("/data",))
QUEUE = Queue(
    "q", partition="p", qos="s", node_selector={"a": "b"}, pod_priority_class="c", per_user=Limits(1)
)

# Lone surrogates are text for json.loads, and for no UTF-8.
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["\ud800", "0-9", "1h", "10001", "/x", "a", "2", "1e999999999", "-1", 2**63, -(2**70)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_container = st.fixed_dictionaries(
    {"name": st.just("a") | _json, "image": st.just("b") | _json},
    optional={
        "command": st.lists(texts, max_size=3) | _json,
        "args": st.lists(texts, max_size=3),
        "env": st.lists(st.fixed_dictionaries({"name": st.just("A") | texts, "value": texts}), max_size=3),
        "workingDir": st.just("/w") | texts,
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": st.just("v") | texts, "mountPath": st.just("/v") | texts}),
            max_size=2,
        ),
        "livenessProbe": _json,
        "lifecycle": _json,
        "ports": _json,
        "envFrom": _json,
        "securityContext": _json,
        "resources": st.fixed_dictionaries(
            {"limits": st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), _json)}
        ),
    },
)
_volume = st.fixed_dictionaries(
    {"name": st.just("v") | texts},
    optional={
        "emptyDir": st.sampled_from([{}, {"medium": "Memory"}, {"sizeLimit": 0.5}]) | _json,
        "downwardAPI": st.fixed_dictionaries(
            {"items": st.just([{"path": "a", "fieldRef": {"fieldPath": "metadata.labels"}}]) | _json}
        ),
        "projected": _json,
        "configMap": _json,
        "csi": _json,
        "ephemeral": _json,
    },
)
_template = st.fixed_dictionaries(
    {
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(_container, max_size=2)},
            optional={
                "initContainers": st.lists(_container, max_size=2),
                "volumes": st.lists(_volume, max_size=2) | _json,
                "affinity": st.fixed_dictionaries(
                    {}, optional=dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _json)
                )
                | _json,
                "tolerations": _json,
                "topologySpreadConstraints": _json,
                "imagePullSecrets": _json,
                "securityContext": _json,
                "hostAliases": _json,
                "restartPolicy": st.sampled_from(["Never", "OnFailure"]) | _json,
            },
        )
    },
    optional={"metadata": st.fixed_dictionaries({"labels": st.just({"a": "b"}) | _json}) | _json},
)
_failure_rule = st.fixed_dictionaries(
    {"action": st.sampled_from(["FailJob", "FailIndex", "Ignore", "Count"])},
    optional={
        "onExitCodes": st.fixed_dictionaries(
            {
                "operator": st.sampled_from(["In", "NotIn"]),
                "values": st.lists(st.integers(0, 255), min_size=1, max_size=3),
            }
        )
        | _json,
        "onPodConditions": st.just([{"type": "DisruptionTarget"}]) | _json,
    },
)
_success_rule = st.fixed_dictionaries(
    {}, optional={"succeededIndexes": st.sampled_from(["0", "0,2-3", "9"]) | _json, "succeededCount": _json}
)
_of_slurm = (
    st.dictionaries(texts, texts, max_size=3)
    | st.sampled_from(
        [
            "4711",
            "1G",
            "0",
            "gpu:2",
            "kind1:2",
            "2-4",
            "user",
            "append",
            "B:USR1@9",
            "afterok:7",
            "node[1-3]",
            3,
            -4,
        ]
    )
    | st.sampled_from([True, ["END"], ["a", "b"], "2027-01-15T08:00:00Z", "logs/%j.out", "../x", "none"])
    | st.just([{"tasks": 2, "slurm": {"mem": "1G"}}])
)
_spec: dict[str, st.SearchStrategy[Any]] = {
    "template": _template | _json,
    "script": texts.map(lambda text: f"#!/bin/sh\n{text}") | _json,
    "resources": st.dictionaries(
        st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.sampled_from(["1", "2Gi", "500m", 3]) | _json
    ),
    "target": st.sampled_from(["auto", "slurm", "kubernetes"]) | _json,
    "queue": st.just("main") | texts,
    "account": st.just("physics") | texts,
    "priorityClassName": st.just("high") | texts,
    "walltime": st.sampled_from(["1h", 60, "0-00:01:00"]) | _json,
    "nodes": st.integers(-1, 4) | _json,
    "tasks": st.integers(-1, 9) | _json,
    "tasksPerNode": st.integers(-1, 4) | _json,
    "array": st.sampled_from(["0-9%2", "1,3,7", "0-20:5"]) | _json,
    "dependsOn": st.lists(st.fixed_dictionaries({"name": st.just("other") | texts}), max_size=3) | _json,
    "interactive": st.booleans() | _json,
    "retries": st.integers(-1, 11) | _json,
    "suspend": st.booleans() | _json,
    "managedBy": st.just("kfoundry.io/router") | texts,
    "ttlAfterFinished": st.just("1h") | _json,
    "stageIn": st.lists(
        st.fixed_dictionaries({"source": texts, "target": st.just("a/b") | texts}), max_size=2
    ),
    "stageOut": st.lists(st.fixed_dictionaries({"source": st.just("c"), "target": texts}), max_size=2)
    | _json,
    "args": st.lists(texts, max_size=3) | _json,
    "slurm": st.dictionaries(st.sampled_from(sorted(BLOCKS)) | texts, _of_slurm | _json, max_size=6) | _json,
    "completions": st.integers(-1, 9) | _json,
    "parallelism": st.integers(-1, 9) | _json,
    "completionMode": st.sampled_from(["Indexed", "NonIndexed"]) | _json,
    "backoffLimit": st.integers(-1, 9) | _json,
    "backoffLimitPerIndex": st.integers(-1, 9) | _json,
    "maxFailedIndexes": st.integers(-1, 9) | _json,
    "activeDeadlineSeconds": st.integers(-1, 99) | _json,
    "ttlSecondsAfterFinished": st.integers(-1, 99) | _json,
    "podFailurePolicy": st.fixed_dictionaries({"rules": st.lists(_failure_rule, max_size=3)}) | _json,
    "successPolicy": st.fixed_dictionaries({"rules": st.lists(_success_rule, max_size=3)}) | _json,
    "podReplacementPolicy": st.sampled_from(["Failed", "TerminatingOrFailed"]) | _json,
    "selector": st.just({}) | _json,
    "manualSelector": st.booleans() | _json,
}
_what = st.sampled_from(["template", "script"])


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly one thing to run and a few fields, so that many are accepted."""
    names = {draw(_what), *draw(st.sets(st.sampled_from(sorted(_spec)), max_size=4))}
    return {name: draw(_spec[name]) for name in names}


def test_every_field_is_tried() -> None:
    assert set(_spec) == set(FIELDS)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=specs() | _json)
def test_any_spec_is_judged_and_what_is_accepted_is_valid_json_within_bounds(spec: Any) -> None:
    found = parse(spec)
    if not isinstance(found, JobSpec):
        assert found
        assert all(refusal.path.startswith("spec") and refusal.message for refusal in found)
        return
    for user in USERS:
        job = settle(found, user, POLICY)
        if isinstance(job, JobSpec):
            for queue in (None, QUEUE):
                _check(in_queue(job, queue) if queue else job, user, queue)


_transfer = st.fixed_dictionaries(
    {"source": file_names | file_names.map("/home/bob/{}".format), "target": file_names.map("work/{}".format)}
)
_resources = st.dictionaries(
    st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.sampled_from(["1", "3", 7]), max_size=3
)
_whats: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda text, resources: {"script": f"#!/bin/sh\n{text}".replace("\n#", "\n #"), "resources": resources},
    texts,
    _resources,
) | st.builds(
    lambda words, value, limits: {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "b",
                        "command": words,
                        "env": [{"name": "A", "value": value}],
                        "resources": {"limits": limits},
                    }
                ]
            }
        }
    },
    st.lists(texts, min_size=1, max_size=3),
    texts,
    _resources,
)
_fields: dict[str, st.SearchStrategy[Any]] = {
    "account": st.just("physics"),
    "priorityClassName": st.just("high"),
    "walltime": st.integers(1, 10**6),
    "nodes": st.integers(1, 3),
    "tasks": st.integers(3, 9),
    "tasksPerNode": st.integers(9, 12),
    "array": st.sampled_from(["0-9%2", "1,3,7", "0-20:5", "0-3"]),
    "retries": st.integers(0, 10),
    "stageIn": st.lists(_transfer, max_size=3),
    "stageOut": st.lists(_transfer, max_size=3),
}


@settings(max_examples=200, deadline=None)
@given(what=_whats, more=st.fixed_dictionaries({}, optional=_fields))
def test_a_good_spec_is_accepted_with_any_text_in_it(what: dict[str, Any], more: dict[str, Any]) -> None:
    job = parse(what | more)
    assert isinstance(job, JobSpec), job
    settled = settle(job, USERS[1], POLICY)
    assert isinstance(settled, JobSpec), settled
    _check(settled, USERS[1], None)
    _check(in_queue(settled, QUEUE), USERS[1], QUEUE)


def _check(job: JobSpec, user: User, queue: Queue | None) -> None:
    if Target.SLURM not in job.unsupported:
        for dialect in slurm.DIALECTS:
            body = slurm.submission(job, user, "n" * 253, TOKEN, dialect, queue)
            # Slurm's max_script_size is 4 MiB; its name and comment hold 1,024 bytes.
            assert len(json.dumps(body, ensure_ascii=False).encode()) < 2**22
            found = body["job"]
            assert all(
                len(str(found.get(name, "")).encode()) < 1024 for name in ("name", "comment", "account")
            )
            for name in ("name", "comment", "account", "partition", "qos", "array", "standard_output"):
                assert str(found.get(name, "")).isprintable()
    if Target.KUBERNETES not in job.unsupported:
        batch = kubernetes.batch_job(job, user, "n" * 253, TOKEN, queue=queue)
        assert len(json.dumps(batch, ensure_ascii=False).encode()) < 2**20
        pod = batch["spec"]["template"]["spec"]
        assert batch["spec"]["suspend"]
        assert pod["securityContext"]["runAsUser"] == user.uid
        assert pod["securityContext"]["runAsNonRoot"]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


@given(_json)
def test_any_queue_is_judged(spec: Any) -> None:
    assert parse_queue("q", spec)


@given(st.dictionaries(st.sampled_from(QUEUE_FIELDS), _json))
def test_any_fields_of_a_queue_are_judged(spec: dict[str, Any]) -> None:
    assert parse_queue("q", spec)


@given(st.text("0123456789-,:%", max_size=30) | st.text(max_size=10))
def test_any_array_is_judged(text: str) -> None:
    found = parse({"script": "#!/bin/sh\n", "array": text})
    if isinstance(found, JobSpec):
        assert found.array is not None
        assert 1 <= len(found.array.indices) <= MAX_ELEMENTS
        assert parse_array(array_text(found.array)) == found.array


@pytest.mark.parametrize(
    "amount", ["-1", "1e999999999", "9" * 40, "1" * 31, "1Ei", "", "1 Gi", True, -0.5, float("inf")]
)
@pytest.mark.parametrize("name", ["cpu", "memory", "nvidia.com/gpu"])
def test_absurd_amounts_are_refused_by_their_path(name: str, amount: object) -> None:
    found = parse({"script": "#!/bin/sh\n", "resources": {name: amount}})
    assert isinstance(found, list)
    assert [refusal.path for refusal in found] == [f"spec.resources[{name}]"]
