"""Specs of batch/v1 Jobs of one part of the API each, and drawn ones; all are accepted on Kubernetes."""

import random
from collections.abc import Mapping
from typing import Any


def pod(more: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    one = {"name": "c", "image": "debian:13", **container}
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [one], **(more or {})}}}


def volume(**source: Any) -> dict[str, Any]:
    mounts = [{"name": "v", "mountPath": "/v", "readOnly": True, "subPath": "a"}]
    return pod({"volumes": [{"name": "v", **source}]}, volumeMounts=mounts)


TERM = {"matchExpressions": [{"key": "gpu.example/kind", "operator": "In", "values": ["a", "b"]}]}
TWINS: dict[str, dict[str, Any]] = {
    "plain": pod(args=["a"]),
    "work queue": {**pod(), "parallelism": 3},
    "completions": {**pod(), "completions": 5, "parallelism": 2, "backoffLimit": 4},
    "indexed": {
        **pod(),
        "completions": 5,
        "completionMode": "Indexed",
        "backoffLimitPerIndex": 1,
        "maxFailedIndexes": 2,
        "successPolicy": {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 1}]},
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailIndex",
                    "onExitCodes": {"operator": "In", "values": [42], "containerName": "c"},
                },
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
    },
    "claim": volume(persistentVolumeClaim={"claimName": "data"}),
    "memory": volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
    "config map": volume(configMap={"name": "m", "defaultMode": 0o440, "items": [{"key": "k", "path": "a"}]}),
    "secret": volume(secret={"secretName": "s", "optional": True}),
    "projected": volume(
        projected={"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "m"}}], "defaultMode": 0o400}
    ),
    "downward": volume(downwardAPI={"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}),
    "ephemeral": volume(
        ephemeral={
            "volumeClaimTemplate": {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "fast",
                    "resources": {"requests": {"storage": "1Gi"}},
                }
            }
        }
    ),
    "image": volume(image={"reference": "debian:13", "pullPolicy": "Always"}),
    "variables": pod(
        env=[
            {"name": "A", "value": "$(B)"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
            {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        ],
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}],
        resources={"limits": {"cpu": 0.5, "ephemeral-storage": "1Gi", "example.com/fpga": 2}},
    ),
    "several": pod(
        {
            "initContainers": [
                {"name": "before", "image": "debian:13", "command": ["true"]},
                {
                    "name": "beside",
                    "image": "debian:13",
                    "restartPolicy": "Always",
                    "startupProbe": {"exec": {"command": ["true"]}},
                },
            ],
            "shareProcessNamespace": True,
        }
    ),
    "place": pod(
        {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]},
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": TERM}],
                }
            },
        }
    ),
    "names": pod(
        {
            "hostname": "h",
            "subdomain": "s",
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["192.0.2.2"]},
            "imagePullSecrets": [{"name": "p"}],
            "terminationGracePeriodSeconds": 60,
        }
    ),
    "probes": pod(
        ports=[{"containerPort": 80, "name": "http"}],
        livenessProbe={"httpGet": {"port": "http"}},
        readinessProbe={"tcpSocket": {"port": 80}},
        startupProbe={"grpc": {"port": 80}},
        lifecycle={"preStop": {"sleep": {"seconds": 1}}, "postStart": {"exec": {"command": ["true"]}}},
        stdin=True,
        tty=True,
        terminationMessagePolicy="FallbackToLogsOnError",
    ),
    "suspended": {**pod(), "suspend": True, "parallelism": 2},
    "deadline": {**pod(), "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 60},
    "retries": {**pod(command=["false"]), "backoffLimit": 3, "podReplacementPolicy": "Failed"},
    "failure by exit code": {
        **pod(),
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0, 42]}},
                {"action": "Count", "onPodConditions": [{"type": "ConfigIssue", "status": "True"}]},
            ]
        },
    },
    "success of some": {
        **pod(),
        "completions": 3,
        "parallelism": 3,
        "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
    },
    "index": {
        **pod(
            env=[
                {
                    "name": "INDEX",
                    "valueFrom": {
                        "fieldRef": {
                            "fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"
                        }
                    },
                }
            ],
            args=["$(INDEX)", "$$(INDEX)"],
        ),
        "completions": 2,
        "completionMode": "Indexed",
    },
    "folder": pod(workingDir="/work", command=["sh", "-c"], args=["ls; exit 3"], imagePullPolicy="Always"),
    "GPUs": pod(resources={"limits": {"nvidia.com/gpu": 2, "cpu": "4", "memory": "8Gi"}}),
    "requests": pod(
        resources={"requests": {"cpu": 0.25, "memory": "64Mi"}, "limits": {"memory": "1G", "cpu": "1500m"}}
    ),
    "disk": volume(emptyDir={}),
    "limited disk": volume(emptyDir={"sizeLimit": 1024}),
    "two volumes": pod(
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "m"}}]},
        volumeMounts=[
            {"name": "a", "mountPath": "/a"},
            {"name": "b", "mountPath": "/b/k", "subPath": "k", "readOnly": True},
            {"name": "a", "mountPath": "/again", "subPathExpr": "x"},
        ],
    ),
    "all sources": volume(
        projected={
            "sources": [
                {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                {"configMap": {"name": "m", "items": [{"key": "k", "path": "p", "mode": 0o400}]}},
                {"secret": {"name": "s", "optional": True}},
            ]
        }
    ),
    "amounts": volume(
        downwardAPI={
            "items": [
                {
                    "path": "cpu",
                    "mode": 0o444,
                    "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"},
                }
            ]
        }
    ),
    "main one of two": {
        "template": {
            "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "b"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": name, "image": "debian:13"} for name in "ab"],
            },
        }
    },
    "grace": pod({"terminationGracePeriodSeconds": 0}),
    "long name": pod({"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": True}),
    "probes by command": pod(
        livenessProbe={"exec": {"command": ["true"]}, "periodSeconds": 3, "failureThreshold": 5},
        startupProbe={"httpGet": {"port": 80, "path": "/x", "httpHeaders": [{"name": "a", "value": "b"}]}},
    ),
    "ports": pod(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80, "name": "web"}]),
    "tolerations": pod(
        {
            "tolerations": [
                {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
                {"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
            ]
        }
    ),
}

_PODS: tuple[dict[str, Any], ...] = (
    {"nodeSelector": {"disk": "ssd"}},
    {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]},
    {"terminationGracePeriodSeconds": 5},
    {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]},
    {"initContainers": [{"name": "before", "image": "debian:13", "args": ["x"]}]},
    {"imagePullSecrets": [{"name": "p"}]},
)
_CONTAINERS: tuple[dict[str, Any], ...] = (
    {"command": ["sh", "-c", "exit 3"]},
    {"args": ["$(A)", "b"]},
    {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]},
    {"envFrom": [{"configMapRef": {"name": "m", "optional": True}}]},
    {"resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}},
    {"workingDir": "/tmp", "tty": True},
    {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination"},
)
_JOBS: tuple[dict[str, Any], ...] = (
    {"parallelism": 2},
    {"backoffLimit": 2},
    {"completions": 3, "completionMode": "Indexed"},
    {"activeDeadlineSeconds": 100},
    {"suspend": True},
)


def drawn(count: int = 8, seed: int = 13) -> Mapping[str, dict[str, Any]]:
    """Specs with some of each kind of fields: always the same ones for a seed."""
    chance = random.Random(seed)
    return {f"drawn {number}": _one(chance) for number in range(count)}


def _one(chance: random.Random) -> dict[str, Any]:
    def some(fields: tuple[dict[str, Any], ...]) -> dict[str, Any]:
        chosen = chance.sample(fields, chance.randint(1, 3))
        return {name: value for one in chosen for name, value in one.items()}

    return {**pod(some(_PODS), **some(_CONTAINERS)), **some(_JOBS)}


TWINS |= drawn()
