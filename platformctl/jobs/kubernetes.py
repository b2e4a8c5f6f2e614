"""A JobSpec as a batch/v1 Job of Kubernetes, suspended until the router releases it.

The pod runs as the submitter's uid, gid and groups with no privilege and no API token. Where the user has a
home claim the home is mounted at its path; else an empty folder stands for it, gone with the pod. A script is
mounted from a ConfigMap that the batch Job owns, and starts in the home.

Tasks are an indexed Job whose pods Kubernetes places one by one: that all start together is the back end's
work before the release. The elements of an array are an indexed Job of which each index stands for itself.
"""

import re
from collections.abc import Mapping
from typing import Any

from platformctl.jobs.batch_script import INDEX
from platformctl.jobs.model import Array, Container, JobSpec, Queue, Resources, Transfer, User
from platformctl.jobs.staging import CANNOT_COPY, copies
from platformctl.jobs.tokens import Token
from platformctl.vocabulary import (
    API_VERSION,
    ENTERABLE_PREFIX,
    JOB_UID_LABEL,
    OWN_PREFIX,
    TOKEN_ANNOTATION,
)

MANAGED_BY = {"app.kubernetes.io/managed-by": "job-router"}
DEFAULT_IMAGE = "docker.io/library/debian:13"
STAGE_IN, STAGE_OUT = f"{OWN_PREFIX}stage-in", f"{OWN_PREFIX}stage-out"
_SCRIPT_VOLUME = f"{OWN_PREFIX}script"
_HOME_VOLUME = f"{OWN_PREFIX}home"
_SCRIPT_FOLDER = "/kfoundry"
_INDEX_ANNOTATION = "metadata.annotations['batch.kubernetes.io/job-completion-index']"

# Arguments are source, target and the target's folder, again and again: data, never part of the program.
_COPY = f"""\
while [ "$#" -ge 3 ]; do
  if ! mkdir -p -- "$3" || ! cp -RpT -- "$1" "$2"; then
    printf 'cannot copy %s to %s\\n' "$1" "$2" >&2
    lost={CANNOT_COPY}
  fi
  shift 3
done
"""
_STAGE_IN = f"lost=0\n{_COPY}exit $lost\n"
# Beside a container, whose image may have nothing to copy with. A signal says that the container ended. The
# trap itself copies: a signal that comes just before a wait would be waited for in vain.
_WAIT_AND_STAGE_OUT = f"""\
stage() {{
trap : TERM
lost=0
{_COPY}exit $lost
}}
trap 'stage "$@"' TERM
sleep 2147483647 &
wait $!
"""
# Request and limit of a container that copies: without, no pod with one could be Guaranteed, and a quota of
# its namespace would refuse it. A tenth of a core copies 300 MiB or 6,000 small files a second; cp needs 2
# MiB, and 100 bytes for each file of the largest folder. The rest is for pages not yet written.
COPY_RESOURCES = {"cpu": "100m", "memory": "128Mi"}
# What follows the end of a container may take as long as the kubelet waits after it has asked it to end.
_STAGE_OUT_SECONDS = 300
# A pod's end is told to the first process alone, so that hands it on, and waits again for its child.
_RUN_AND_STAGE_OUT = f"""\
{_SCRIPT_FOLDER}/script &
child=$!
trap 'kill -TERM "$child"' TERM
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
lost=0
{_COPY}[ "$code" -ne 0 ] || code=$lost
exit "$code"
"""


def batch_name(name: str, token: Token, enterable_by: User | None = None) -> str:
    """The one name that an attempt can have, at most 63 characters and a DNS label.

    enterable_by: whose uid the names of its pods begin with; what begins like that else is renamed.
    """
    stem = re.sub(r"[^a-z0-9-]", "-", name.lower())
    end = f"{token.uid[:8]}-{token.attempt}"
    if enterable_by:
        return f"{ENTERABLE_PREFIX}{enterable_by.uid}-{stem[:16].strip('-') or 'job'}-{end}"
    stem = stem[:40].strip("-") or "job"
    return f"job-{stem[:36]}-{end}" if stem.startswith(ENTERABLE_PREFIX) else f"{stem}-{end}"


def entrance(job_id: str, spec: Mapping[str, Any]) -> str:
    """What the user of an interactive job types to enter its pod. job_id: `namespace/name`."""
    # The image of a container need not have bash.
    shell = "bash" if spec.get("template") is None else "sh"
    namespace, _, name = job_id.partition("/")
    return f"kubectl exec -it -n {namespace} job/{name} -- {shell}"


def batch_job(
    job: JobSpec,
    user: User,
    name: str,
    token: Token,
    script_image: str = DEFAULT_IMAGE,
    queue: Queue | None = None,
    strict_groups: bool = False,
) -> dict[str, Any]:
    """The batch/v1 Job, suspended.

    name: metadata.name of the Job resource; script_image runs scripts and copies files. strict_groups: the
    user has no groups but the site's; else those that the image's /etc/group gives their name as well.
    """
    labels = {JOB_UID_LABEL: token.uid, **MANAGED_BY}
    batch = batch_name(name, token, user if job.interactive else None)
    spec: dict[str, Any] = {
        "suspend": True,
        **(_elements(job.array) if job.array else _tasks(job.tasks)),
        # A pod is replaced only when the old one is surely dead, so that no task runs twice at once.
        "podReplacementPolicy": "Failed",
        "template": {
            "metadata": {
                "labels": labels,
            },
            "spec": _pod(job, user, script_image, batch, queue, strict_groups),
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": batch,
            "labels": labels,
            "annotations": {TOKEN_ANNOTATION: str(token)},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
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


def _tasks(count: int) -> dict[str, Any]:
    """Copies of which one failure is the failure of all."""
    mode = "Indexed" if count > 1 else "NonIndexed"
    return {"backoffLimit": 0, "completions": count, "parallelism": count, "completionMode": mode}


def _elements(array: Array) -> dict[str, Any]:
    """Indices of which each runs once, whatever becomes of the others."""
    count = len(array.indices)
    return {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": min(array.limit or count, count),
        "backoffLimitPerIndex": 0,
        "maxFailedIndexes": count,
    }


def _pod(
    job: JobSpec, user: User, script_image: str, config_map: str, queue: Queue | None, strict_groups: bool
) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsUser": user.uid,
            "runAsGroup": user.gid,
            # It would change owner and mode of every file of a home.
            **({} if user.home_claim else {"fsGroup": user.gid}),
            "supplementalGroups": list(user.groups),
            **({"supplementalGroupsPolicy": "Strict"} if strict_groups else {}),
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            _container(job.container, user) if job.container else _script(job, user, script_image)
        ],
        "initContainers": _stages(job, user, script_image),
        # Beside one that copies, a container that ignores SIGTERM as first process would have its whole time.
        **({"shareProcessNamespace": True} if copies_beside(job) else {}),
        "volumes": _volumes(job, user, config_map),
        "nodeSelector": {**job.pod.node_selector, **(queue.node_selector if queue else {})},
        "priorityClassName": (job.priority.pod_priority_class if job.priority else None)
        or (queue.pod_priority_class if queue else None),
        # On the pod, not on the batch Job: the clock starts with the pod, not with the wait for a place.
        "activeDeadlineSeconds": job.walltime,
        "terminationGracePeriodSeconds": _grace(job),
    }
    if job.array:
        for container in pod["containers"]:
            container["env"] = [*container.get("env", ()), _index()]
    return {key: value for key, value in pod.items() if value not in ([], {}, None)}


def _grace(job: JobSpec) -> int | None:
    """Seconds between SIGTERM and SIGKILL, in which results are copied too; None for Kubernetes' default."""
    if job.pod.grace_seconds is not None:
        return job.pod.grace_seconds
    return _STAGE_OUT_SECONDS if copies_beside(job) else None


def _script(job: JobSpec, user: User, image: str) -> dict[str, Any]:
    """The user's program alone, or within the one that copies its results."""
    command = [f"{_SCRIPT_FOLDER}/script"]
    if job.stage_out:
        command = ["/bin/sh", "-c", _RUN_AND_STAGE_OUT, "script", *_arguments(job.stage_out, user)]
    found: dict[str, Any] = {
        "name": "script",
        "image": image,
        "command": [_literal(word) for word in command],
        "workingDir": user.home,
        "env": [{"name": "HOME", "value": user.home}, {"name": "USER", "value": user.name}],
        "volumeMounts": [
            {"name": _SCRIPT_VOLUME, "mountPath": _SCRIPT_FOLDER, "readOnly": True},
            {"name": _HOME_VOLUME, "mountPath": user.home},
        ],
        "securityContext": _unprivileged(),
    }
    levels = _levels(job.resources)
    return found | ({"resources": levels} if levels else {})


def _container(container: Container, user: User) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in container.env]
    mounts = [{"name": name, "mountPath": path} for name, path in container.mounts]
    if user.home_claim and user.home not in {path.rstrip("/") for _, path in container.mounts}:
        mounts.append({"name": _HOME_VOLUME, "mountPath": user.home})
        if "HOME" not in {name for name, _ in container.env}:
            env.insert(0, {"name": "HOME", "value": user.home})
    found: dict[str, Any] = {
        "name": container.name,
        "image": container.image,
        "command": list(container.command),
        "args": list(container.args),
        "env": env,
        "resources": _levels(container.resources),
        "volumeMounts": mounts,
        "securityContext": _unprivileged(),
    }
    if container.working_dir:
        found["workingDir"] = container.working_dir
    if container.pull_policy:
        found["imagePullPolicy"] = container.pull_policy
    return {key: value for key, value in found.items() if value not in ([], {})}


def copies_beside(job: JobSpec) -> bool:
    """Whether the results of a container are copied by another one: a script's own shell does that itself."""
    return bool(job.container and job.stage_out)


def _stages(job: JobSpec, user: User, image: str) -> list[dict[str, Any]]:
    """What copies before the container, and what waits beside it (a sidecar) and copies after its end.

    The kubelet ends a sidecar when all other containers have ended, and only then is the pod's end known. The
    exit code of a sidecar does not count for the pod: who reads the pod has to look at it.
    """
    found = []
    if job.stage_in:
        found.append(_stage(STAGE_IN, _STAGE_IN, job.stage_in, user, image))
    if copies_beside(job):
        beside = _stage(STAGE_OUT, _WAIT_AND_STAGE_OUT, job.stage_out, user, image)
        found.append(beside | {"restartPolicy": "Always"})
    return found


def _stage(
    name: str, program: str, transfers: tuple[Transfer, ...], user: User, image: str
) -> dict[str, Any]:
    command = ["/bin/sh", "-c", program, name, *_arguments(transfers, user)]
    return {
        "name": name,
        "image": image,
        "command": [_literal(word) for word in command],
        "resources": {"requests": COPY_RESOURCES, "limits": COPY_RESOURCES},
        "volumeMounts": [{"name": _HOME_VOLUME, "mountPath": user.home}],
        "securityContext": _unprivileged(),
        # What could not be copied is told in the pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _literal(word: str) -> str:
    """A word of a command in which the kubelet expands nothing."""
    return word.replace("$", "$$")


def _arguments(transfers: tuple[Transfer, ...], user: User) -> list[str]:
    return [word for copy in copies(transfers, user.home) for word in copy]


def _volumes(job: JobSpec, user: User, config_map: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if job.container is None:
        found.append({"name": _SCRIPT_VOLUME, "configMap": {"name": config_map, "defaultMode": 0o555}})
    if user.home_claim:
        found.append({"name": _HOME_VOLUME, "persistentVolumeClaim": {"claimName": user.home_claim}})
    elif job.container is None:
        found.append({"name": _HOME_VOLUME, "emptyDir": {}})
    return found + [{"name": volume, "emptyDir": {}} for volume in job.pod.volumes]


def _index() -> dict[str, Any]:
    return {"name": INDEX, "valueFrom": {"fieldRef": {"fieldPath": _INDEX_ANNOTATION}}}


def _levels(resources: Resources) -> dict[str, dict[str, str]]:
    levels: dict[str, Mapping[str, str]] = {"requests": resources.requests, "limits": resources.limits}
    return {name: dict(amounts) for name, amounts in levels.items() if amounts}


def _unprivileged() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
