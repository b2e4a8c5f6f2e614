"""Translates a batch Job and its pods to phase, reason, tasks, exit codes and amounts."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from platformctl.jobs.array import parse_array
from platformctl.jobs.kubernetes import COPY_RESOURCES, STAGE_IN, STAGE_OUT
from platformctl.jobs.quantity import parse_quantity
from platformctl.jobs.staging import CANNOT_COPY
from platformctl.router.backend import Seen, Tasks, Usage
from platformctl.router.kubernetes.pods import INDEX
from platformctl.router.kubernetes.words import failure_words, scheduler_words, turned_down, waiting_words
from platformctl.vocabulary import GPU, Phase

_MAX_CODES = 100
_KILLED = 137
_MAX_NODES = 20
_DEADLINE = "DeadlineExceeded"
_BY_POLICY = "PodFailurePolicy"
_UNKNOWN_COPY = "it succeeded, but it is not known whether its results were copied"
_DISRUPTIONS = frozenset({"Evicted", "NodeLost", "Preempting", "NodeShutdown", "Terminated"})
_DISRUPTED = re.compile(r"condition DisruptionTarget")


def held(batch: dict[str, Any]) -> bool:
    """Whether it is suspended, so not released yet."""
    return bool(batch["spec"].get("suspend"))


def ended(batch: dict[str, Any]) -> bool:
    """Whether it is complete, or failed."""
    return any(kind in _true(batch) for kind in ("Complete", "Failed"))


def has_tasks(batch: dict[str, Any]) -> bool:
    """Whether it is an array, or one job of several tasks."""
    spec = batch["spec"]
    return (
        spec.get("completionMode") == "Indexed" or max(_completions(batch), spec.get("parallelism") or 1) > 1
    )


def _completions(batch: dict[str, Any]) -> int:
    """How many pods must succeed; without a number, as many as run at once."""
    spec = batch["spec"]
    return int(spec.get("completions") or spec.get("parallelism") or 1)


def seen(batch: dict[str, Any], pods: Sequence[dict[str, Any]], trouble: str = "") -> Seen:
    """The state of a batch Job and its pods. trouble: why it has no pods although it should."""
    status, true = batch.get("status") or {}, _true(batch)
    metadata = batch["metadata"]
    started = [pod["status"]["startTime"] for pod in pods if pod.get("status", {}).get("startTime")]
    common: dict[str, Any] = {
        "held": held(batch),
        "started": epoch(min(started)) if started else epoch(status.get("startTime")),
        "nodes": _nodes(pods),
        "output": _output(metadata),
        "tasks": _tasks(batch, pods) if has_tasks(batch) else None,
    }
    if "Complete" in true:
        end = epoch(true["Complete"]["lastTransitionTime"])
        lost = _not_copied(batch, pods)
        if lost:
            used = usage(pods, end)
            done = lost == _UNKNOWN_COPY
            return Seen(
                phase=Phase.FAILED,
                exit_code=CANNOT_COPY,
                ended=end,
                reason=lost,
                usage=used,
                done=done,
                **common,
            )
        return Seen(phase=Phase.SUCCEEDED, exit_code=0, ended=end, usage=usage(pods, end), **common)
    if "Failed" in true:
        return _failed(true["Failed"], pods, common)
    common["unsettled"] = _unsettled(batch, pods, true, trouble)
    if any(map(_began, pods)) or status.get("succeeded") or status.get("failed"):
        return Seen(phase=Phase.RUNNING, reason=_stragglers(batch, pods), **common)
    common["started"] = None
    return Seen(phase=Phase.QUEUED, reason=waits(pods) or trouble, **common)


def waits(pods: Iterable[dict[str, Any]]) -> str:
    """Why pods do not run: what prevents a container from starting, or what the scheduler says."""
    for pod in pods:
        status = pod.get("status", {})
        for item in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            waiting = item.get("state", {}).get("waiting") or {}
            words = waiting_words(waiting, str(item.get("image") or ""))
            if words:
                return words
    for pod in pods:
        for item in pod.get("status", {}).get("conditions") or []:
            if item["type"] == "PodScheduled" and item["status"] == "False":
                return scheduler_words(str(item.get("message") or ""))
    return ""


def usage(pods: Iterable[dict[str, Any]], end: int | None) -> Usage:
    """The usage of pods: requests times the seconds from a pod's start to the end of its last container."""
    cpu, gpu = Fraction(0), Fraction(0)
    for pod in pods:
        start = epoch(pod.get("status", {}).get("startTime"))
        stop = max((epoch(state.get("finishedAt")) or 0 for state in _terminated(pod)), default=0) or end
        seconds = max(0, stop - start) if start and stop else 0
        cpu += amount(pod["spec"], "cpu") * seconds
        gpu += amount(pod["spec"], GPU) * seconds
    return Usage(-int(-cpu // 1), -int(-gpu // 1))


def amount(spec: dict[str, Any], name: str) -> Fraction:
    """What the containers of a pod request together, without init containers."""
    return sum((_requested(container, name) for container in spec.get("containers") or []), Fraction(0))


def requested(spec: dict[str, Any]) -> set[str]:
    """The names of everything that a pod requests."""
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    levels = [(container.get("resources") or {}) for container in containers]
    return {name for level in levels for part in ("requests", "limits") for name in level.get(part) or {}}


def reserved(spec: dict[str, Any], name: str) -> Fraction:
    """What the scheduler reserves for a pod: the most that its containers request at the same time."""
    beside = most = Fraction(0)
    for container in spec.get("initContainers") or []:
        request = _requested(container, name)
        most = max(most, beside + request)
        beside += request if container.get("restartPolicy") == "Always" else 0
    return max(most, beside + amount(spec, name))


def _requested(container: dict[str, Any], name: str) -> Fraction:
    resources = container.get("resources") or {}
    value = (resources.get("requests") or {}).get(name) or (resources.get("limits") or {}).get(name)
    return parse_quantity(str(value)) if value is not None else Fraction(0)


def epoch(text: str | None) -> int | None:
    """Seconds since the epoch, from a time as the API server writes it."""
    return int(datetime.fromisoformat(text).timestamp()) if text else None


def _output(metadata: dict[str, Any]) -> str:
    """The command that prints the Job's output: users may not read the logs of pods."""
    owner = next(
        (item["name"] for item in metadata.get("ownerReferences") or [] if item["kind"] == "Job"), ""
    )
    if not owner:
        return ""
    namespace = metadata["namespace"]
    return f"platformctl job logs {owner}" + (f" -n {namespace}" if namespace != "default" else "")


def _unsettled(
    batch: dict[str, Any], pods: Sequence[dict[str, Any]], true: dict[str, Any], trouble: str
) -> bool:
    """Whether it is about to fail, or its pods are deleted or terminating: the next reconcile knows more.

    The Job controller deletes the pods before it writes why. A kubelet reports a pod as Failed if it removes
    the pod before any container ran.
    """
    if "FailureTarget" in true:
        return True
    stand = any("deletionTimestamp" not in pod["metadata"] and not _ended_unbegun(pod) for pod in pods)
    return not (stand or trouble or held(batch))


def _ended_unbegun(pod: dict[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") == "Failed" and not _began(pod)


def _began(pod: dict[str, Any]) -> bool:
    """Whether one of its containers ever ran."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed":
        return status.get("phase") in ("Running", "Succeeded")
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    states = [
        state for item in containers for state in (item.get("state") or {}, item.get("lastState") or {})
    ]
    # If a node dies, its containers stay in the state running.
    return any("running" in state or (state.get("terminated") or {}).get("startedAt") for state in states)


def _failed(condition: dict[str, Any], pods: Sequence[dict[str, Any]], common: dict[str, Any]) -> Seen:
    end = epoch(condition["lastTransitionTime"])
    code, why = _failure(pods)
    disrupted = any(_is_disrupted(pod) for pod in pods) or bool(
        _DISRUPTED.search(str(condition.get("message") or ""))
    )
    if disrupted and why != "Evicted" and not turned_down(why):
        why = "Disrupted"
    elif not why and condition.get("reason") == _DEADLINE:
        why = _DEADLINE
    tasks: Tasks | None = common["tasks"]
    words = failure_words(why)
    if tasks and tasks.failed:
        total = tasks.waiting + tasks.running + tasks.succeeded + tasks.failed
        words = f"{tasks.failed} of {total} tasks failed: {words}"
        code = tasks.exit_codes[0][1] if tasks.exit_codes else code
    return Seen(
        phase=Phase.FAILED,
        exit_code=code,
        ended=end,
        reason=words,
        usage=usage(pods, end),
        again=disrupted,
        overran=why == _DEADLINE,
        # A rule of podFailurePolicy says that this failure is not tried again.
        done=condition.get("reason") == _BY_POLICY,
        **common,
    )


def _failure(pods: Sequence[dict[str, Any]]) -> tuple[int | None, str]:
    """Exit code and Kubernetes' reason of the first pod that failed."""
    for pod in pods:
        if pod.get("status", {}).get("phase") != "Failed":
            continue
        ends = _terminated(pod)
        code = next((end["exitCode"] for end in ends if end.get("exitCode")), None)
        before = _stage(pod, STAGE_IN).get("terminated") or {}
        if code is None and before.get("exitCode"):
            return CANNOT_COPY, _said(before)
        why = pod["status"].get("reason") or next((end["reason"] for end in ends if end.get("reason")), "")
        return code, why
    return None, ""


def _not_copied(batch: dict[str, Any], pods: Sequence[dict[str, Any]]) -> str:
    """Why the results of a container that succeeded were not copied; empty if they were."""
    there = batch["spec"].get("template", {}).get("spec", {}).get("initContainers") or []
    if all(container["name"] != STAGE_OUT for container in there):
        return ""
    ends = [_stage(pod, STAGE_OUT).get("terminated") for pod in pods if pod["status"]["phase"] == "Succeeded"]
    known = [end for end in ends if end]
    if not known:
        return _UNKNOWN_COPY
    lost = next((end for end in known if end["exitCode"]), None)
    if lost is None:
        return ""
    if lost["exitCode"] == CANNOT_COPY or _out_of_memory(lost):
        return f"it succeeded, but: {_said(lost)}"
    if lost["exitCode"] == _KILLED:
        return "it succeeded, but copying its results took longer than its terminationGracePeriodSeconds"
    return f"it succeeded, but copying its results was stopped (exit code {lost['exitCode']})"


def _out_of_memory(end: dict[str, Any]) -> bool:
    return end.get("reason") == "OOMKilled"


def _said(end: dict[str, Any]) -> str:
    """The last message of a container that copies, or why it has none."""
    if _out_of_memory(end):
        return f"copying its files needs more memory than the {COPY_RESOURCES['memory']} that it has for this"
    return "; ".join(str(end.get("message") or "").splitlines()) or "a copy failed"


def _stage(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """The state of one of the containers that copy."""
    statuses = pod.get("status", {}).get("initContainerStatuses") or []
    return next((dict(item["state"]) for item in statuses if item["name"] == name and "state" in item), {})


def _is_disrupted(pod: dict[str, Any]) -> bool:
    """Whether the cluster, not the job, ended a pod: eviction, preemption, or loss of the node."""
    status = pod.get("status", {})
    return status.get("phase") == "Failed" and (
        status.get("reason") in _DISRUPTIONS
        or turned_down(str(status.get("reason") or ""))
        or any(item["type"] == "DisruptionTarget" for item in status.get("conditions") or [])
    )


def _stragglers(batch: dict[str, Any], pods: Sequence[dict[str, Any]]) -> str:
    """Why some of the tasks still wait."""
    if not has_tasks(batch):
        return ""
    pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    why = waits(pending)
    return f"{len(pending)} of its tasks wait: {why}" if why else ""


def _tasks(batch: dict[str, Any], pods: Sequence[dict[str, Any]]) -> Tasks:
    status = batch.get("status") or {}
    succeeded, failed = status.get("succeeded") or 0, _lost(batch)
    running = sum(pod.get("status", {}).get("phase") == "Running" for pod in pods)
    waiting = max(0, _completions(batch) - succeeded - failed - running)
    codes = sorted(
        (int(index), end["exitCode"])
        for pod in pods
        if (index := (pod["metadata"].get("annotations") or {}).get(INDEX)) is not None
        for end in _terminated(pod)
        if end.get("exitCode")
    )
    return Tasks(waiting, running, succeeded, failed, tuple(codes[:_MAX_CODES]))


def _lost(batch: dict[str, Any]) -> int:
    """How many completions failed for good. While Kubernetes tries again, a failed pod is none of them."""
    spec, status = batch["spec"], batch.get("status") or {}
    if spec.get("backoffLimitPerIndex"):
        failed = str(status.get("failedIndexes") or "")
        return len(parse_array(failed).indices) if failed else 0
    if not spec.get("backoffLimit"):
        return int(status.get("failed") or 0)
    return max(0, _completions(batch) - int(status.get("succeeded") or 0)) if "Failed" in _true(batch) else 0


def _terminated(pod: dict[str, Any]) -> list[dict[str, Any]]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return [end for item in statuses if (end := item.get("state", {}).get("terminated"))]


def _nodes(pods: Iterable[dict[str, Any]]) -> str:
    names = sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})
    return ",".join([*names[:_MAX_NODES], *(["..."] if len(names) > _MAX_NODES else [])])


def _true(batch: dict[str, Any]) -> dict[str, dict[str, Any]]:
    conditions = (batch.get("status") or {}).get("conditions") or []
    return {item["type"]: item for item in conditions if item["status"] == "True"}
