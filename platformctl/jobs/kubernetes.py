"""Translates a JobSpec to a batch/v1 Job of Kubernetes, suspended until the router releases it.

The pod runs as the submitter's uid, gid and groups with no privilege and no API token. If the user has a home
claim, the home is mounted at its path; otherwise there is an empty folder that is deleted with the pod. A
script is mounted from a ConfigMap that the batch Job owns, and starts in the home. The names of the user and
the user's groups are files from the pod's annotations, mounted over the image's files.

The containers and volumes of a template are passed on as the user wrote them: the reader of templates has
checked every field. What isolates users is written over them.

Tasks are an indexed Job. Kubernetes places their pods one by one; the back end makes sure before the release
that all can start together. An array is an indexed Job too, and each index may fail without the others.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from platformctl.jobs import names, pod_fields, selectors, transport
from platformctl.jobs.array import elements_at_once
from platformctl.jobs.batch_script import INDEX
from platformctl.jobs.model import Array, Container, JobSpec, Queue, Resources, Transfer, User
from platformctl.jobs.slurm_block import kept_variables
from platformctl.jobs.staging import CANNOT_COPY, absolute, copies
from platformctl.jobs.tokens import Token
from platformctl.vocabulary import (
    API_VERSION,
    ENTERABLE_PREFIX,
    GROUP_ANNOTATION,
    JOB_UID_LABEL,
    OWN_PREFIX,
    PASSWD_ANNOTATION,
    TOKEN_ANNOTATION,
)

MANAGED_BY = {"app.kubernetes.io/managed-by": "job-router"}
DEFAULT_IMAGE = "docker.io/library/debian:13"
STAGE_IN, STAGE_OUT = f"{OWN_PREFIX}stage-in", f"{OWN_PREFIX}stage-out"
_SCRIPT_VOLUME = f"{OWN_PREFIX}script"
_HOME_VOLUME = f"{OWN_PREFIX}home"
_NAMES_VOLUME = f"{OWN_PREFIX}names"
_SCRIPT_FOLDER = "/kfoundry"
# Files of the pod's annotations, which take the place of the image's.
_NAMES = {"/etc/passwd": ("passwd", PASSWD_ANNOTATION), "/etc/group": ("group", GROUP_ANNOTATION)}
# Fields of a pod's spec that are written here and not taken from the template as they are.
_OWN_FIELDS = frozenset(
    {
        *("restartPolicy", "serviceAccountName", "serviceAccount", "automountServiceAccountToken"),
        *("securityContext", "containers", "initContainers", "volumes", "nodeSelector", "priorityClassName"),
        *("activeDeadlineSeconds", "terminationGracePeriodSeconds"),
    }
)

# The arguments are source, target and the target's folder for each copy: data, never part of the program.
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
# The sidecar that copies the results of a container, whose image may have no program to copy with. A signal
# says that the container ended. The trap itself copies: if it only set a flag, a signal that comes just
# before the wait would be missed.
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
# Request and limit of a container that copies. Without them a pod could not be Guaranteed, and a quota of its
# namespace would refuse it. A tenth of a core copies 300 MiB or 6,000 small files a second. cp needs 2 MiB,
# and 100 bytes for each file of the largest folder; the other memory is for pages that are not written yet.
COPY_RESOURCES = {"cpu": "100m", "memory": "128Mi"}
# The time for stageOut: the kubelet waits this long after it has asked the containers to end.
_STAGE_OUT_SECONDS = 300
# Only the first process gets SIGTERM when a pod ends. It passes the signal on, and waits again for its child.
_RUN_AND_STAGE_OUT = f"""\
COMMAND &
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
    """The name of an attempt's batch Job, which is always the same: a DNS label of at most 63 characters.

    enterable_by: the user whose uid the name contains, so that the user may enter the pods. Without it, a Job
    whose own name begins like an enterable one is renamed.
    """
    stem = re.sub(r"[^a-z0-9-]", "-", name.lower())
    end = f"{token.uid[:8]}-{token.attempt}"
    if enterable_by:
        return f"{ENTERABLE_PREFIX}{enterable_by.uid}-{stem[:16].strip('-') or 'job'}-{end}"
    stem = stem[:40].strip("-") or "job"
    return f"job-{stem[:36]}-{end}" if stem.startswith(ENTERABLE_PREFIX) else f"{stem}-{end}"


def entrance(job_id: str, spec: Mapping[str, Any]) -> str:
    """The command with which the user enters the pod of an interactive job. job_id: `namespace/name`."""
    # A container's image may not have bash.
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
    array_at_once: int | None = None,
) -> dict[str, Any]:
    """The batch/v1 Job, suspended.

    name: metadata.name of the Job resource. script_image: runs scripts and copies files. strict_groups: the
    user has only the site's groups; otherwise also those that the image's /etc/group gives to the user's
    name. array_at_once: how many elements of an array run at the same time at most.
    """
    labels = {JOB_UID_LABEL: token.uid, **MANAGED_BY}
    batch = batch_name(name, token, user if job.interactive else None)
    spec: dict[str, Any] = {
        "suspend": True,
        **_runs(job, array_at_once),
        # A pod is replaced only when the old one is certainly dead, so that no task runs twice at once.
        "podReplacementPolicy": "Failed",
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": {
                    PASSWD_ANNOTATION: names.passwd(user),
                    GROUP_ANNOTATION: names.group(user),
                    **pod_fields.annotations(job),
                },
            },
            "spec": _pod(job, user, script_image, batch, queue, strict_groups)
            | selectors.of_the_job(job.pod.given, token.uid),
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
    """The ConfigMap that holds a script; it is deleted with the batch Job of that name and uid."""
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


def _runs(job: JobSpec, array_at_once: int | None) -> dict[str, Any]:
    """How often the pod runs, how many run at once, and what a failure of one means."""
    batch = job.batch
    if job.array is None:
        mode = "Indexed" if job.tasks > 1 else "NonIndexed"
        # If one of the tasks that run together fails, all fail.
        runs = {"backoffLimit": 0, "completions": job.tasks, "parallelism": job.tasks, "completionMode": mode}
    else:
        runs = _elements(job, job.array, array_at_once)
    if batch.per_index is not None:
        runs["backoffLimitPerIndex"] = batch.per_index
        if not job.retries:
            # As in batch/v1: without a number of its own it is no limit.
            runs.pop("backoffLimit", None)
    if batch.max_failed is not None:
        runs["maxFailedIndexes"] = batch.max_failed
    return {**runs, **batch.given}


def _elements(job: JobSpec, array: Array, at_once: int | None) -> dict[str, Any]:
    """Each element of an array runs once, even if others fail. Completions share the retries of the Job."""
    count = len(array.indices)
    runs = {
        "completionMode": "Indexed" if job.batch.indexed else "NonIndexed",
        "parallelism": elements_at_once(array, at_once),
        **({"completions": count} if job.batch.counted else {}),
    }
    if job.batch.completions:
        return {**runs, "backoffLimit": job.retries}
    return {**runs, "backoffLimitPerIndex": 0, "maxFailedIndexes": count}


def _pod(
    job: JobSpec, user: User, script_image: str, config_map: str, queue: Queue | None, strict_groups: bool
) -> dict[str, Any]:
    containers = [container for container in (job.container, *job.pod.beside) if container]
    init = [_container(job, container, user) for container in job.pod.init]
    pod: dict[str, Any] = {
        **{name: value for name, value in job.pod.given.items() if name not in _OWN_FIELDS},
        "restartPolicy": "Never",
        **_service_account(job),
        "enableServiceLinks": False,
        "securityContext": _pod_security(job, user, strict_groups),
        "containers": [_container(job, container, user) for container in containers]
        or [_script(job, user, script_image)],
        "initContainers": [*_stages(job, user, script_image), *init],
        "volumes": _volumes(job, user, config_map),
        "nodeSelector": {**job.pod.node_selector, **(queue.node_selector if queue else {})},
        "priorityClassName": (job.priority.pod_priority_class if job.priority else None)
        or (queue.pod_priority_class if queue else None),
        # On the pod, not on the batch Job: the time counts from the pod's start, not while it waits for a
        # node.
        "activeDeadlineSeconds": job.walltime,
        "terminationGracePeriodSeconds": _grace(job),
    }
    if copies_beside(job):
        # With a container that copies, the grace period is long. A main process that ignores SIGTERM would
        # use it all.
        pod["shareProcessNamespace"] = True
    if job.array and job.batch.indexed:
        for container in [*pod["containers"], *init]:
            container["env"] = [*container.get("env", ()), _index()]
    return {key: value for key, value in pod.items() if value not in ([], {}, None)}


def _service_account(job: JobSpec) -> dict[str, Any]:
    """No token of the API, except that of an account that the site allows to Jobs."""
    if job.pod.service_account is None:
        return {"automountServiceAccountToken": False}
    automount = job.pod.given.get("automountServiceAccountToken", True)
    return {"serviceAccountName": job.pod.service_account, "automountServiceAccountToken": automount}


def _pod_security(job: JobSpec, user: User, strict_groups: bool) -> dict[str, Any]:
    """The submitter's ids; of the template what the site has compared with them, or what grants nothing."""
    given = job.pod.given.get("securityContext") or {}
    kept = ("fsGroupChangePolicy", "appArmorProfile")
    return {
        **{name: given[name] for name in kept if name in given},
        "runAsUser": user.uid,
        "runAsGroup": given.get("runAsGroup", user.gid),
        # fsGroup would change owner and mode of every file of a home.
        **({} if user.home_claim else {"fsGroup": given.get("fsGroup", user.gid)}),
        "supplementalGroups": list(user.groups),
        **({"supplementalGroupsPolicy": "Strict"} if strict_groups else {}),
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _grace(job: JobSpec) -> int | None:
    """Seconds between SIGTERM and SIGKILL, which include copying results; None for Kubernetes' default."""
    if job.pod.grace_seconds is not None:
        return job.pod.grace_seconds
    return _STAGE_OUT_SECONDS if copies_beside(job) else None


def _script(job: JobSpec, user: User, image: str) -> dict[str, Any]:
    """The container of a script: the user's program, or the program that runs it and copies its results."""
    command = [f"{_SCRIPT_FOLDER}/script", *job.args]
    if job.stage_out:
        program = _RUN_AND_STAGE_OUT.replace("COMMAND", shlex.join(command), 1)
        command = ["/bin/sh", "-c", program, "script", *_arguments(job.stage_out, user)]
    own = kept_variables(job.slurm)
    container: dict[str, Any] = {
        "name": "script",
        "image": image,
        "command": [_literal(word) for word in command],
        "workingDir": absolute(job.slurm.get("chdir", ""), user.home).rstrip("/"),
        "env": [
            {"name": "HOME", "value": user.home},
            {"name": "USER", "value": user.name},
            *({"name": name, "value": _literal(text)} for name, text in own.items()),
            *transport.for_container(job, job.resources, own),
        ],
        "volumeMounts": [
            {"name": _SCRIPT_VOLUME, "mountPath": _SCRIPT_FOLDER, "readOnly": True},
            {"name": _HOME_VOLUME, "mountPath": user.home},
            *_names_mounts(()),
        ],
        "securityContext": _unprivileged(),
    }
    levels = _levels(job.resources)
    return container | ({"resources": levels} if levels else {})


def _container(job: JobSpec, container: Container, user: User) -> dict[str, Any]:
    """A container of the template with the home, the user's names and no privilege."""
    env = pod_fields.environment(job, container)
    env += transport.for_container(job, container.resources, [item["name"] for item in env])
    mounts = [dict(mount) for mount in container.given.get("volumeMounts") or ()]
    taken = {mount.path.rstrip("/") for mount in container.mounts}
    if user.home_claim and user.home not in taken:
        mounts.append({"name": _HOME_VOLUME, "mountPath": user.home})
        if "HOME" not in {name for name, _ in container.env}:
            env.insert(0, {"name": "HOME", "value": user.home})
    security = container.given.get("securityContext") or {}
    kept = ("readOnlyRootFilesystem", "runAsUser", "runAsGroup", "appArmorProfile")
    fields: dict[str, Any] = {
        **container.given,
        "env": env,
        "resources": _levels(container.resources),
        "volumeMounts": mounts + _names_mounts(taken),
        "securityContext": {name: security[name] for name in kept if name in security} | _unprivileged(),
    }
    return {key: value for key, value in fields.items() if value not in ([], {})}


def copies_beside(job: JobSpec) -> bool:
    """Whether a sidecar copies the results; a script's own container copies them itself."""
    return bool(job.container and job.stage_out)


def _stages(job: JobSpec, user: User, image: str) -> list[dict[str, Any]]:
    """The init container for stageIn, and the sidecar that copies for stageOut after the container's end.

    The kubelet ends a sidecar when all other containers have ended; only then the pod has ended. A sidecar's
    exit code does not count for the pod, so code that reads the pod has to check it.
    """
    containers = []
    if job.stage_in:
        containers.append(_stage(STAGE_IN, _STAGE_IN, job.stage_in, user, image))
    if copies_beside(job):
        beside = _stage(STAGE_OUT, _WAIT_AND_STAGE_OUT, job.stage_out, user, image)
        containers.append(beside | {"restartPolicy": "Always"})
    return containers


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
        # The pod's status says what could not be copied.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _literal(word: str) -> str:
    """A word of a command, escaped so that the kubelet expands nothing in it."""
    return word.replace("$", "$$")


def _arguments(transfers: tuple[Transfer, ...], user: User) -> list[str]:
    return [word for copy in copies(transfers, user.home) for word in copy]


def _volumes(job: JobSpec, user: User, config_map: str) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = []
    if job.container is None:
        volumes.append({"name": _SCRIPT_VOLUME, "configMap": {"name": config_map, "defaultMode": 0o555}})
    if user.home_claim:
        volumes.append({"name": _HOME_VOLUME, "persistentVolumeClaim": {"claimName": user.home_claim}})
    elif job.container is None:
        volumes.append({"name": _HOME_VOLUME, "emptyDir": {}})
    volumes.append(_names_volume())
    return volumes + pod_fields.volumes(job)


def _names_volume() -> dict[str, Any]:
    """Comes with the pod itself: no other object has to be made for it, or could be changed."""
    items = [
        {"path": file, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        for file, annotation in _NAMES.values()
    ]
    return {"name": _NAMES_VOLUME, "downwardAPI": {"items": items}}


def _names_mounts(taken: Iterable[str]) -> list[dict[str, Any]]:
    """taken: where the container has volumes of its user's."""
    own = {path.rstrip("/") for path in taken}
    return [
        {"name": _NAMES_VOLUME, "mountPath": path, "subPath": file, "readOnly": True}
        for path, (file, _) in _NAMES.items()
        if path not in own
    ]


def _index() -> dict[str, Any]:
    return {"name": INDEX, "valueFrom": {"fieldRef": {"fieldPath": pod_fields.INDEX_FIELD}}}


def _levels(resources: Resources) -> dict[str, dict[str, str]]:
    levels: dict[str, Mapping[str, str]] = {"requests": resources.requests, "limits": resources.limits}
    return {name: dict(amounts) for name, amounts in levels.items() if amounts}


def _unprivileged() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
