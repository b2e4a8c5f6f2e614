"""Manifests of batch/v1 with another first line: each field has its meaning on both back ends."""

from typing import Any

import pytest

from platformctl.jobs import kubernetes, slurm, view
from platformctl.jobs.batch import FIELDS
from platformctl.jobs.elements import left_of, only, succeeded_early
from platformctl.jobs.failure import Verdict, ignored, verdict
from platformctl.jobs.indices import indices
from platformctl.jobs.model import Array, FailureRule, JobSpec, Policy, Refusal, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.targets import BACK_ENDS
from platformctl.jobs.tokens import Token

ALICE = User("alice", 10001, 10001, (20001,), "physics", "/home/alice")
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
MOUNT = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
GPU = {"limits": {"nvidia.com/gpu": 1}}


def pod(more: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    one = {"name": "c", "image": "debian:13", "command": ["true"], **container}
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [one], **(more or {})}}}


def job(spec: dict[str, Any], policy: Policy | None = None) -> JobSpec:
    found = parse(spec)
    assert isinstance(found, JobSpec), found
    settled = settle(found, ALICE, policy or Policy())
    assert isinstance(settled, JobSpec), settled
    return settled


def batch(spec: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = kubernetes.batch_job(job(spec), ALICE, "a", TOKEN)["spec"]
    return made


def on_slurm(spec: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = slurm.submission(job(spec), ALICE, "a", TOKEN, "v0.0.42")["job"]
    return body


def volume(**source: Any) -> dict[str, Any]:
    return pod({"volumes": [{"name": "d", **source}]}, **MOUNT)


AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": ["k1"]}]}
            ]
        }
    }
}
# By what it shows: a template, and a part of the pod's spec that Kubernetes gets from it.
KEPT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "claim": (
        volume(persistentVolumeClaim={"claimName": "data"}),
        {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
    ),
    "memory": (
        volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
        {"volumes": [{"name": "d", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]},
    ),
    "config map": (
        volume(configMap={"name": "mine", "items": [{"key": "a", "path": "b/c"}]}),
        {"volumes": [{"name": "d", "configMap": {"name": "mine", "items": [{"key": "a", "path": "b/c"}]}}]},
    ),
    "ephemeral": (
        volume(
            ephemeral={
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                }
            }
        ),
        {},
    ),
    "tolerations": (
        pod({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}, resources=GPU),
        {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
    ),
    "affinity": (pod({"affinity": AFFINITY}), {"affinity": AFFINITY}),
    "pull secrets": (pod({"imagePullSecrets": [{"name": "p"}]}), {"imagePullSecrets": [{"name": "p"}]}),
    "names": (
        pod({"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}], "subdomain": "s", "hostname": "h"}),
        {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}], "subdomain": "s", "hostname": "h"},
    ),
}


@pytest.mark.parametrize("what", KEPT)
def test_kubernetes_gets_a_part_of_the_pod_as_it_is(what: str) -> None:
    spec, expected = KEPT[what]
    made = batch(spec)["template"]["spec"]
    for key, value in expected.items():
        there = made[key]
        assert all(item in there for item in value) if key == "volumes" else there == value


CONTAINER: dict[str, dict[str, Any]] = {
    "secret": {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "token"}}}]},
    "all of a secret": {"envFrom": [{"secretRef": {"name": "mine"}}]},
    "half a core": {"resources": {"limits": {"cpu": "0.5"}}},
    "ports": {"ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]},
    "local disk": {"resources": {"limits": {"ephemeral-storage": "1Gi"}}},
    "no gpu": {"resources": {"limits": {"nvidia.com/gpu": "0"}}},
    "device": {"resources": {"limits": {"example.com/fpga": "2"}}},
    "probe": {"livenessProbe": {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 5}},
    "hooks": {"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}},
    "terminal": {"stdin": True, "tty": True},
}


@pytest.mark.parametrize("what", CONTAINER)
def test_kubernetes_gets_a_part_of_a_container_as_it_is(what: str) -> None:
    made = batch(pod(**CONTAINER[what]))["template"]["spec"]["containers"][0]
    assert {key: made[key] for key in CONTAINER[what]} == CONTAINER[what]


def test_plain_numbers_are_quantities() -> None:
    made = batch(pod(resources={"limits": {"cpu": 0.5, "nvidia.com/gpu": 0}}))
    limits = made["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "0.5", "nvidia.com/gpu": "0"}


def test_what_isolates_users_is_written_over_a_template() -> None:
    context = {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["KILL"]}, "runAsUser": 10001}
    spec = pod(
        {
            "securityContext": {"runAsGroup": 20001, "fsGroup": 20001},
            "initContainers": [{"name": "i", "image": "b"}],
        },
        securityContext=context,
    )
    made = batch(spec)["template"]["spec"]
    assert made["securityContext"]["runAsUser"] == 10001
    assert made["securityContext"]["runAsGroup"] == made["securityContext"]["fsGroup"] == 20001
    assert made["automountServiceAccountToken"] is False
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert made["containers"][0]["securityContext"] == {
        "readOnlyRootFilesystem": True, "runAsUser": 10001, **own
    }  # fmt: skip
    assert made["initContainers"][0]["securityContext"] == own


@pytest.mark.parametrize(
    ("security", "words"),
    [
        ({"runAsUser": 10002}, "must be your own, 10001"),
        ({"runAsGroup": 10002}, "must be your own, 10001 or 20001"),
        ({"supplementalGroups": [20001, 10002]}, "must be your own"),
    ],
)
def test_nobody_runs_as_another_user_of_the_site(security: dict[str, Any], words: str) -> None:
    found = parse(pod({"securityContext": security}))
    assert isinstance(found, JobSpec)
    refused = settle(found, ALICE, Policy(ids=frozenset({10001, 10002, 20001})))
    assert isinstance(refused, list)
    assert words in str(refused[0])
    nobody = settle(found, ALICE, Policy())
    assert isinstance(nobody, JobSpec)
    assert "jobs run as their submitter" in str(nobody.dropped[Target.KUBERNETES][0])
    assert (
        kubernetes.batch_job(nobody, ALICE, "a", TOKEN)["spec"]["template"]["spec"]["securityContext"][
            "runAsUser"
        ]
        == 10001
    )


def test_a_service_account_and_a_driver_are_the_sites_to_allow() -> None:
    spec = volume(csi={"driver": "d.example"})
    spec["template"]["spec"]["serviceAccountName"] = "mine"
    found = parse(spec)
    assert isinstance(found, JobSpec)
    refused = settle(found, ALICE, Policy())
    assert isinstance(refused, list)
    assert [refusal.path for refusal in refused] == [
        "spec.template.spec.serviceAccountName", "spec.template.spec.volumes[0].csi.driver"
    ]  # fmt: skip
    allowed = Policy(service_accounts=frozenset({"team/mine"}), csi_drivers=frozenset({"d.example"}))
    assert isinstance(settle(found, ALICE, allowed), list)
    assert isinstance(settle(found, ALICE, allowed, "team"), JobSpec)


def test_selectors_mean_the_pods_of_the_job() -> None:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}
    spec = pod(
        {
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
            "topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", **term}],
        }
    )
    spec["template"]["metadata"] = {"labels": {"app": "x"}}
    template = batch(spec)["template"]
    own = {"matchLabels": {"kfoundry.io/job-uid": TOKEN.uid}}
    assert template["spec"]["topologySpreadConstraints"][0]["labelSelector"] == own
    rules = template["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rules == [{"topologyKey": "zone", "labelSelector": own}]
    assert "app" not in template["metadata"]["labels"]


def test_the_downward_api_has_the_labels_that_pods_have_not() -> None:
    items = [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
           {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]  # fmt: skip
    spec = pod({"volumes": [{"name": "d", "downwardAPI": {"items": items}}]}, env=env)
    spec["template"]["metadata"] = {"labels": {"app": "x"}}
    template = batch(spec)["template"]
    assert template["spec"]["containers"][0]["env"] == [{"name": "A", "value": "x"}, env[1]]
    (made,) = (found for found in template["spec"]["volumes"] if found["name"] == "d")
    path = "metadata.annotations['kfoundry.io/field-0']"
    assert made["downwardAPI"]["items"] == [{"path": "l", "fieldRef": {"fieldPath": path}}]
    assert template["metadata"]["annotations"]["kfoundry.io/field-0"] == 'app="x"\n'


FIVE = {"completions": 5, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 3}


def test_fields_of_batch_on_kubernetes() -> None:
    made = batch({**pod(), **FIVE, "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 0})
    assert {name: made[name] for name in FIVE} == FIVE
    assert made["template"]["spec"]["activeDeadlineSeconds"] == 600
    assert job({**pod(), "ttlSecondsAfterFinished": 0}).ttl_after_finished == 0
    queue = batch({**pod(), "parallelism": 4})
    assert (queue["completionMode"], queue["parallelism"], "completions" in queue) == ("NonIndexed", 4, False)
    one = batch({**pod(), "completions": 1, "parallelism": 1, "backoffLimit": 4})
    assert (one["completions"], one["backoffLimit"], one["completionMode"]) == (1, 0, "NonIndexed")


def test_fields_of_batch_on_slurm() -> None:
    made = on_slurm({**pod(), **FIVE, "activeDeadlineSeconds": 600})
    assert (made["array"], made["time_limit"]["number"]) == ("0-4%2", 10)
    assert on_slurm({**pod(), "completions": 3})["array"] == "0-2%1"
    assert on_slurm({**pod(), "parallelism": 3})["array"] == "0-2"
    assert "array" not in on_slurm({**pod(), "completions": 1, "parallelism": 7})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"array": "0-4%2"}, {"completions": 5, "parallelism": 2, "completionMode": "Indexed"}),
        ({"array": "0-4"}, {"completions": 5, "parallelism": 9}),
        ({"tasks": 4}, {"completions": 4, "parallelism": 4, "completionMode": "Indexed"}),
        ({"retries": 3}, {"backoffLimit": 3}),
        ({"walltime": "10m"}, {"activeDeadlineSeconds": 600}),
        ({"ttlAfterFinished": "1h"}, {"ttlSecondsAfterFinished": 3600}),
        ({"suspend": True}, {"suspend": True}),
    ],
)
def test_two_fields_of_one_meaning_may_say_the_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    both, alone = job({**pod(), **ours, **theirs}), job({**pod(), **ours})
    for name in ("array", "tasks", "retries", "walltime", "ttl_after_finished", "suspend"):
        assert getattr(both, name) == getattr(alone, name)


# A spec that is refused, and the change that its message asks for.
REMEDIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"completions": 4, "array": "0-2"}, {"array": None}),
    ({"parallelism": 2, "array": "0-3%3"}, {"array": "0-3%2"}),
    ({"parallelism": 0}, {"parallelism": None, "suspend": True}),
    ({"completionMode": "Indexed"}, {"completions": 4}),
    ({"completionMode": "NonIndexed", "array": "0-3"}, {"completionMode": None}),
    ({"backoffLimit": 2, "retries": 3}, {"retries": None}),
    ({"walltime": "1h", "activeDeadlineSeconds": 60}, {"walltime": None}),
    ({"maxFailedIndexes": 1, "array": "0-3"}, {"backoffLimitPerIndex": 0}),
    ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, {"completionMode": "Indexed", "completions": 2}),
    ({"selector": {"matchLabels": {"a": "b"}}}, {"selector": None}),
    ({"managedBy": "kubernetes.io/job-controller"}, {"managedBy": None}),
]


@pytest.mark.parametrize(("wrong", "remedy"), REMEDIES)
def test_what_a_refusal_asks_for_is_accepted(wrong: dict[str, Any], remedy: dict[str, Any]) -> None:
    found = parse({**pod(), **wrong})
    assert isinstance(found, list)
    assert all(refusal.path.split(".")[1] in {*FIELDS, "managedBy"} for refusal in found)
    job({**pod(), **wrong, **remedy})


def test_on_failure_is_tried_again_as_often_as_in_batch() -> None:
    again = pod({"restartPolicy": "OnFailure"})
    assert job(again).retries == 6
    assert job({**again, "backoffLimit": 1}).retries == 1
    assert job(pod()).retries == 0
    assert batch(again)["template"]["spec"]["restartPolicy"] == "Never"


def test_who_tries_again() -> None:
    def attempts(target: Target, **spec: Any) -> int:
        return BACK_ENDS[target].attempts(job({**pod(), **spec}))

    assert attempts(Target.KUBERNETES, backoffLimit=3) == attempts(Target.SLURM, backoffLimit=3) == 4
    assert attempts(Target.KUBERNETES, completions=5, backoffLimit=3) == 1
    assert attempts(Target.SLURM, completions=5, backoffLimit=3) == 4
    indexed = {"completions": 5, "completionMode": "Indexed", "backoffLimitPerIndex": 2}
    assert (attempts(Target.KUBERNETES, **indexed), attempts(Target.SLURM, **indexed)) == (1, 3)


def test_only_the_elements_that_failed_are_left() -> None:
    spec = job({**pod(), "completions": 9, "parallelism": 3, "backoffLimit": 3})
    assert left_of(spec, [7, 2, 3]) == "2-3,7"
    again = only(spec, "2-3,7")
    assert again.array == Array((2, 3, 7), 3)
    assert again.batch.done == frozenset({0, 1, 4, 5, 6, 8})
    assert [refusal.path for refusal in again.unsupported[Target.KUBERNETES]] == ["spec.completions"]
    assert left_of(job({**pod(), "array": "0-8", "retries": 3}), [7]) == ""
    assert only(spec, "") == spec
    scattered = left_of(job({**pod(), "completions": 10_000}), range(0, 10_000, 3))
    assert only(job({**pod(), "completions": 10_000}), scattered).array.indices == tuple(range(0, 10_000, 3))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rule", "succeeded", "met"),
    [
        ({"succeededIndexes": "0,2-3", "succeededCount": 1}, [1, 4], False),
        ({"succeededIndexes": "0,2-3", "succeededCount": 1}, [3], True),
        ({"succeededIndexes": "0,2-3"}, [0, 2], False),
        ({"succeededIndexes": "0,2-3"}, [0, 2, 3], True),
        ({"succeededCount": 2}, [5], False),
        ({"succeededCount": 2}, [5, 9], True),
    ],
)
def test_an_array_that_succeeds_early(rule: dict[str, Any], succeeded: list[int], met: bool) -> None:
    indexed = {"completions": 10, "completionMode": "Indexed", "successPolicy": {"rules": [rule]}}
    spec = job({**pod(), **indexed})
    assert succeeded_early(spec, succeeded) is met
    # What earlier attempts have done counts too.
    rest = ",".join(str(index) for index in range(10) if index not in succeeded)
    assert succeeded_early(only(spec, rest), []) is met


RULES = (
    FailureRule("FailJob", frozenset({42})),
    FailureRule("Ignore", conditions=("DisruptionTarget",)),
    FailureRule("Count", frozenset({1, 2})),
    FailureRule("Ignore", frozenset({1, 2, 42}), others=True),
)


@pytest.mark.parametrize(
    ("code", "disrupted", "expected"),
    [
        (42, False, Verdict.FINAL),
        (137, True, Verdict.FREE),
        (1, False, Verdict.COUNTS),
        (9, False, Verdict.FREE),
        (None, False, Verdict.COUNTS),
    ],
)
def test_the_first_rule_that_matches_a_failure(code: int | None, disrupted: bool, expected: Verdict) -> None:
    assert verdict(RULES, code, disrupted=disrupted) is expected
    assert verdict((), code, disrupted=disrupted) is Verdict.COUNTS


def test_attempts_that_used_no_retry() -> None:
    assert ignored(RULES, [{"exitCode": 9}, {"exitCode": 1}, {"reason": "the node failed"}]) == 2


def test_wishes_are_named_for_the_back_end_that_has_them_not() -> None:
    spec = job({**pod({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, ports=[{"containerPort": 1}]),
                "podReplacementPolicy": "TerminatingOrFailed"})  # fmt: skip
    assert [wish.path for wish in spec.dropped[Target.KUBERNETES]] == ["spec.podReplacementPolicy"]
    assert [wish.path for wish in spec.dropped[Target.SLURM]] == [
        "spec.template.spec.tolerations",
        "spec.template.spec.containers[0].ports",
        "spec.podReplacementPolicy",
    ]


AFFINE = "requiredDuringSchedulingIgnoredDuringExecution"


def refused_on_slurm(spec: dict[str, Any], policy: Policy | None = None) -> list[str]:
    found: tuple[Refusal, ...] = job(spec, policy).unsupported.get(Target.SLURM, ())
    return [refusal.path for refusal in found]


def test_labels_are_features_where_the_site_maps_them() -> None:
    policy = Policy(node_features={"nvidia.com/gpu.product=k1": "a100", "disk=ssd": "ssd"})
    spec = pod({"affinity": AFFINITY, "nodeSelector": {"disk": "ssd", "kubernetes.io/os": "linux"}})
    assert job(spec, policy).on_slurm.constraint == "ssd&a100"
    assert (
        slurm.submission(job(spec, policy), ALICE, "a", TOKEN, "v0.0.42")["job"]["constraints"] == "ssd&a100"
    )
    assert refused_on_slurm(spec) == [
        "spec.template.spec.nodeSelector[disk]",
        "spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        ".nodeSelectorTerms[0].matchExpressions[0]",
    ]


def test_claims_and_secrets_on_slurm_are_the_sites_to_allow() -> None:
    claim, secret = volume(persistentVolumeClaim={"claimName": "data"}), volume(secret={"secretName": "s"})
    assert refused_on_slurm(claim) == ["spec.template.spec.volumes[0].persistentVolumeClaim"]
    assert refused_on_slurm(secret) == ["spec.template.spec.volumes[0].secret"]
    assert refused_on_slurm(claim, Policy(claim_folders={"default/data": "/data"})) == []
    assert refused_on_slurm(secret, Policy(slurm_secrets=True)) == []


@pytest.mark.parametrize(
    ("spec", "backend", "count"),
    [
        ({"completions": 4, "completionMode": "Indexed"}, "kubernetes", 4),
        ({"completions": 4}, "kubernetes", 0),
        ({"completions": 4}, "slurm", 4),
        ({"parallelism": 3}, "slurm", 3),
        ({"completions": 1, "parallelism": 1}, "slurm", 0),
        ({"tasks": 3, "completions": 3, "parallelism": 3}, "slurm", 0),
    ],
)
def test_which_outputs_have_an_index(spec: dict[str, Any], backend: str, count: int) -> None:
    assert len(indices({"spec": spec, "status": {"backend": backend}})) == count


def test_what_several_containers_ask_for_is_shown_together() -> None:
    more = {
        "name": "b",
        "image": "b",
        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
    }
    spec = pod(resources={"limits": {"cpu": 1, "memory": "1Gi"}})
    spec["template"]["spec"]["containers"].append(more)
    assert view.resources({"spec": spec}) == {"cpu": "1500m", "memory": str(2**31)}


def test_nodes_of_the_template_are_joined_with_those_of_slurm() -> None:
    policy = Policy(node_features={"disk=ssd": "ssd", "disk=nvme": "nvme"})
    rules = [
        {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]},
        {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n3", "n4"]},
    ]
    affinity = {"nodeAffinity": {AFFINE: {"nodeSelectorTerms": [{"matchExpressions": rules}]}}}
    spec = pod({"affinity": affinity, "nodeSelector": {"kubernetes.io/hostname": "n1"}})
    spec["slurm"] = {"constraint": "intel|amd", "exclude": "n[7-8]", "nodelist": "n1"}
    body = slurm.submission(job(spec, policy), ALICE, "a", TOKEN, "v0.0.42")["job"]
    assert body["constraints"] == "(intel&ssd)|(intel&nvme)|(amd&ssd)|(amd&nvme)"
    assert (body["required_nodes"], body["excluded_nodes"]) == ("n1", "n[7-8],n3,n4")
    plain = slurm.submission(job(spec, policy), ALICE, "a", TOKEN, "v0.0.38")["job"]
    assert (plain["nodelist"], plain["exclude_nodes"]) == ("n1", "n[7-8],n3,n4")


@pytest.mark.parametrize(
    ("constraint", "joined"),
    [("a&b", "a&b&ssd"), ("(a|b)&c", "(a&c&ssd)|(b&c&ssd)"), ("a|b&c", "(a&c&ssd)|(b&c&ssd)")],
)
def test_a_choice_of_features_stays_a_choice(constraint: str, joined: str) -> None:
    policy = Policy(node_features={"disk=ssd": "ssd"})
    spec = {**pod({"nodeSelector": {"disk": "ssd"}}), "slurm": {"constraint": constraint}}
    body = slurm.submission(job(spec, policy), ALICE, "a", TOKEN, "v0.0.42")["job"]
    assert body["constraints"] == joined


@pytest.mark.parametrize("constraint", ["[a|b]", "a*2", "((a))"])
def test_a_choice_between_nodes_cannot_be_joined(constraint: str) -> None:
    policy = Policy(node_features={"disk=ssd": "ssd"})
    plain = {**pod(), "slurm": {"constraint": constraint}}
    assert slurm.submission(job(plain), ALICE, "a", TOKEN, "v0.0.42")["job"]["constraints"] == constraint
    spec = {**pod({"nodeSelector": {"disk": "ssd"}}), "slurm": {"constraint": constraint}}
    assert refused_on_slurm(spec, policy) == ["spec.slurm.constraint"]


def test_terms_of_an_affinity_are_written_without_brackets_in_brackets() -> None:
    policy = Policy(node_features={"disk=ssd": "ssd", "disk=nvme": "nvme", "cpu=amd": "amd"})
    fast = {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}
    terms = [{"matchExpressions": [fast, {"key": "cpu", "operator": "Exists"}]}, {"matchExpressions": [fast]}]
    affinity = {"nodeAffinity": {AFFINE: {"nodeSelectorTerms": terms}}}
    assert job(pod({"affinity": affinity}), policy).on_slurm.constraint == "(ssd&amd)|(nvme&amd)|ssd|nvme"
    rules = [{"key": f"k{number}", "operator": "Exists"} for number in range(7)]
    labels = {f"k{number}={value}": f"f{number}{value}" for number in range(7) for value in "ab"}
    wide = {"nodeAffinity": {AFFINE: {"nodeSelectorTerms": [{"matchExpressions": rules}, terms[1]]}}}
    found = job(pod({"affinity": wide}), Policy(node_features={**policy.node_features, **labels}))
    assert [refusal.path.rpartition(".")[2] for refusal in found.unsupported[Target.SLURM]] == [
        "nodeSelectorTerms[0]"
    ]


HOST = "kubernetes.io/hostname"


@pytest.mark.parametrize(
    ("pods", "fields", "path"),
    [
        ({"nodeSelector": {HOST: "n1"}}, {"slurm": {"nodelist": "n2"}}, "spec.slurm.nodelist"),
        ({"nodeSelector": {HOST: "n1"}}, {"slurm": {"nodelist": "n[1-2]"}}, "spec.slurm.nodelist"),
        ({"nodeSelector": {HOST: "n1"}}, {"nodes": 2, "tasks": 2}, "spec.nodes"),
    ],
)
def test_a_host_name_of_the_template_is_one_node(
    pods: dict[str, Any], fields: dict[str, Any], path: str
) -> None:
    assert refused_on_slurm({**pod(pods), **fields}) == [path]


def test_two_host_names_are_refused() -> None:
    rule = {"key": HOST, "operator": "In", "values": ["n2"]}
    affinity = {"nodeAffinity": {AFFINE: {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}
    assert refused_on_slurm(pod({"affinity": affinity, "nodeSelector": {HOST: "n1"}})) == [
        f"spec.template.spec.affinity.nodeAffinity.{AFFINE}.nodeSelectorTerms[0].matchExpressions[0]"
    ]


def test_all_tasks_run_on_the_node_that_a_template_names() -> None:
    spec = {**pod({"nodeSelector": {HOST: "n1"}}), "tasks": 3}
    body = slurm.submission(job(spec), ALICE, "a", TOKEN, "v0.0.42")["job"]
    assert (body["required_nodes"], body["nodes"], body["tasks"]) == ("n1", "1", 3)


def test_a_container_has_the_variables_of_slurm_too() -> None:
    spec = {**pod(env=[{"name": "SEED", "value": "2"}]), "slurm": {"environment": {"SEED": "1", "A": "b"}}}
    variables = on_slurm(spec)["environment"]
    assert {"SEED=2", "A=b", "SLURM_SUBMIT_DIR=/home/alice"} <= set(variables)
    assert "SEED=1" not in variables


@pytest.mark.parametrize("limit", [{"activeDeadlineSeconds": 60}, pod({"activeDeadlineSeconds": 60})])
def test_no_wall_time_and_a_deadline_are_refused(limit: dict[str, Any]) -> None:
    found = parse({**pod(), **limit, "slurm": {"timeUnlimited": True}})
    assert isinstance(found, list)
    assert [refusal.path for refusal in found] == ["spec.slurm.timeUnlimited"]
    assert "activeDeadlineSeconds is given too" in found[0].message
