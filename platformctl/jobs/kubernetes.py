"""A JobSpec as a batch/v1 Job of Kubernetes, suspended until the router releases it.

The pod runs as the submitter's uid, gid and groups with no privilege and no API token. A script is
mounted from a ConfigMap that the batch Job owns and starts in an empty folder that stands for the
submitter's home; it is gone with the pod.
"""

import re
from typing import Any

from platformctl.jobs.model import Container, JobSpec, User
from platformctl.jobs.tokens import Token

JOB_UID_LABEL = "kfoundry.io/job-uid"
TOKEN_ANNOTATION = "kfoundry.io/token"  # noqa: S105  (the name of an annotation)
MANAGED_BY = {"app.kubernetes.io/managed-by": "job-router"}
DEFAULT_IMAGE = "docker.io/library/debian:13"
_SCRIPT_VOLUME = "kfoundry-script"
_HOME_VOLUME = "kfoundry-home"
_SCRIPT_FOLDER = "/kfoundry"


def batch_name(name: str, token: Token) -> str:
    """The one name that an attempt can have, at most 63 characters and a DNS label."""
    stem = re.sub(r"[^a-z0-9-]", "-", name.lower())[:40].strip("-") or "job"
    return f"{stem}-{token.uid[:8]}-{token.attempt}"


def batch_job(
    job: JobSpec, user: User, name: str, token: Token, script_image: str = DEFAULT_IMAGE
) -> dict[str, Any]:
    """The batch/v1 Job, suspended. name: metadata.name of the Job resource; script_image runs scripts."""
    labels = {JOB_UID_LABEL: token.uid, **MANAGED_BY}
    spec: dict[str, Any] = {
        "suspend": True,
        "backoffLimit": 0,
        "completions": job.tasks,
        "parallelism": job.tasks,
        "completionMode": "Indexed" if job.tasks > 1 else "NonIndexed",
        # A pod is replaced only when the old one is surely dead, so that no task runs twice at once.
        "podReplacementPolicy": "Failed",
        "template": {
            "metadata": {
                "labels": {**job.pod.labels, **labels},
                "annotations": dict(job.pod.annotations),
            },
            "spec": _pod(job, user, script_image, batch_name(name, token)),
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": batch_name(name, token),
            "labels": labels,
            "annotations": {TOKEN_ANNOTATION: str(token)},
            "ownerReferences": [
                {
                    "apiVersion": "kfoundry.io/v1alpha1",
                    "kind": "Job",
                    "name": name,
                    "uid": token.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec,
    }


def script_config_map(script: str, batch: str, batch_uid: str, token: Token) -> dict[str, Any]:
    """The ConfigMap that holds a script; it goes with the batch Job of that name and uid."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": batch,
            "labels": {JOB_UID_LABEL: token.uid, **MANAGED_BY},
            "annotations": {TOKEN_ANNOTATION: str(token)},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": batch, "uid": batch_uid, "controller": True}
            ],
        },
        "immutable": True,
        "data": {"script": script},
    }


def _pod(job: JobSpec, user: User, script_image: str, config_map: str) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsUser": user.uid,
            "runAsGroup": user.gid,
            "fsGroup": user.gid,
            "supplementalGroups": list(user.groups),
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if job.walltime:
        # On the pod, not on the batch Job: the clock starts with the pod, not with the wait for a place.
        pod["activeDeadlineSeconds"] = job.walltime
    if job.container is None:
        return pod | _script_parts(user, script_image, config_map)
    pod["containers"] = [_container(job.container)]
    if job.pod.volumes:
        pod["volumes"] = [{"name": volume, "emptyDir": {}} for volume in job.pod.volumes]
    if job.pod.node_selector:
        pod["nodeSelector"] = dict(job.pod.node_selector)
    if job.pod.grace_seconds is not None:
        pod["terminationGracePeriodSeconds"] = job.pod.grace_seconds
    return pod


def _script_parts(user: User, image: str, config_map: str) -> dict[str, Any]:
    return {
        "containers": [
            {
                "name": "script",
                "image": image,
                "command": [f"{_SCRIPT_FOLDER}/script"],
                "workingDir": user.home,
                "env": [{"name": "HOME", "value": user.home}, {"name": "USER", "value": user.name}],
                "volumeMounts": [
                    {"name": _SCRIPT_VOLUME, "mountPath": _SCRIPT_FOLDER, "readOnly": True},
                    {"name": _HOME_VOLUME, "mountPath": user.home},
                ],
                "securityContext": _unprivileged(),
            }
        ],
        "volumes": [
            {"name": _SCRIPT_VOLUME, "configMap": {"name": config_map, "defaultMode": 0o555}},
            {"name": _HOME_VOLUME, "emptyDir": {}},
        ],
    }


def _container(container: Container) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": container.name,
        "image": container.image,
        "command": list(container.command),
        "args": list(container.args),
        "env": [{"name": name, "value": value} for name, value in container.env],
        "resources": _levels(container),
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in container.mounts],
        "securityContext": _unprivileged(),
    }
    if container.working_dir:
        found["workingDir"] = container.working_dir
    if container.pull_policy:
        found["imagePullPolicy"] = container.pull_policy
    return {key: value for key, value in found.items() if value not in ([], {})}


def _levels(container: Container) -> dict[str, dict[str, str]]:
    levels = {"requests": container.resources.requests, "limits": container.resources.limits}
    return {name: dict(amounts) for name, amounts in levels.items() if amounts}


def _unprivileged() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
