"""What the router writes into a Job's status: pure functions from what happened to changed fields.

Conditions are the contract for programs (Accepted, Released, Finished, Transport); phase, reason and the rest
are for people and printer columns.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from platformctl.jobs import transport
from platformctl.jobs.model import Refusal, Target
from platformctl.jobs.targets import BACK_ENDS, entrance
from platformctl.router.backend import Seen, Tasks, Ticket, Usage
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import FINAL, Phase

_MAX_REASON = 1024
_MAX_REFUSALS = 32
_MAX_ATTEMPTS = 11
_OF_AN_ATTEMPT = (
    "backend",
    "backendId",
    "phase",
    "reason",
    "exitCode",
    "startTime",
    "completionTime",
    "nodes",
    "output",
)


def refused(job: JobResource, refusals: list[Refusal]) -> dict[str, Any]:
    """The Job is refused, with all reasons."""
    shown = [str(refusal) for refusal in refusals[:_MAX_REFUSALS]]
    if len(refusals) > len(shown):
        shown.append(f"and {len(refusals) - len(shown)} more")
    reason = "; ".join(shown)
    conditions = _conditions(
        job, Accepted=("False", "Refused", reason), Finished=("True", "Refused", "nothing was submitted")
    )
    return {"phase": Phase.REFUSED, "reason": reason[:_MAX_REASON], **conditions, **_ended(None)}


def waiting(job: JobResource, reason: str) -> dict[str, Any]:
    """The Job passed all checks, and a gate is closed."""
    why = reason[:_MAX_REASON]
    gate = ("False", "Waiting", why)
    accepted = ("True", "Accepted", "it passed all checks")
    return {"phase": Phase.PENDING, "reason": why, **_conditions(job, Accepted=accepted, Released=gate)}


def submitted(job: JobResource, ticket: Ticket, backend: str, why: str, job_id: str) -> dict[str, Any]:
    """The decision, the back end's id and the submission. From now on the job may have run."""
    words = transport.told(ticket.job, Target(backend))
    fast = {"Transport": ("True", "RDMA", words)} if words else {}
    accepted, released = ("True", "Accepted", why), ("False", "Submitted", "")
    conditions = _conditions(job, ["Reachable", "Transport"], Accepted=accepted, Released=released, **fast)
    return {
        "phase": Phase.PENDING,
        "reason": "",
        "backend": backend,
        "backendId": job_id,
        "copy": ticket.claim.token.copy or None,
        "attempt": job.attempt,
        "user": ticket.user.name,
        "queue": ticket.queue.name if ticket.queue else None,
        "decision": why,
        **_named_output(ticket, Target(backend), job_id),
        **conditions,
    }


def unavailable(job: JobResource, why: str) -> dict[str, Any]:
    """The back end does not answer: the phase stays, and the Job is tried again."""
    changes: dict[str, Any] = {"reason": why[:_MAX_REASON]}
    if job.phase is None:
        changes["phase"] = Phase.PENDING
    return {**changes, **_conditions(job, Reachable=("False", "BackendUnavailable", why))}


def followed(job: JobResource, seen: Seen) -> dict[str, Any]:
    """What the back end reports about a job. The first report after the release confirms the release."""
    changes: dict[str, Any] = {
        "phase": seen.phase,
        "reason": (_reason(job, seen) or _entrance(job, seen))[:_MAX_REASON],
        "nodes": seen.nodes or None,
        **({} if _names_output(job) else {"output": seen.output or None}),
        "exitCode": seen.exit_code,
        "startTime": _time(seen.started),
        "estimatedStart": _time(seen.estimated_start) if seen.phase is Phase.QUEUED else None,
        **_tasks(seen.tasks),
    }
    if seen.unsettled and job.phase in (Phase.QUEUED, Phase.RUNNING):
        changes = {}
    new = {"Released": ("True", "Released", "")} if job.backend_id else {}
    if seen.phase not in FINAL:
        return {**changes, **_conditions(job, ["Reachable"], **new)}
    new["Finished"] = ("True", str(seen.phase), seen.reason)
    return {
        **changes,
        **_charged(job, seen.usage),
        **_conditions(job, ["Reachable"], **new),
        **_ended(seen.ended),
    }


def _named_output(ticket: Ticket, target: Target, job_id: str) -> dict[str, Any]:
    """The file that the Job names for its output, if it does."""
    path = BACK_ENDS[target].named_output(ticket.job, ticket.user, ticket.claim.name, job_id)
    return {"output": path} if path else {}


def _names_output(job: JobResource) -> bool:
    """Whether the status has the file that the Job names: Slurm's record hides what differs by element."""
    block = job.spec.get("slurm")
    named = isinstance(block, dict) and block.get("output") is not None
    return named and job.backend is Target.SLURM and bool(job.status.get("output"))


def vanished(job: JobResource) -> dict[str, Any]:
    """The back end no longer knows a released job or how it ended."""
    reason = "the back end no longer knows the job; it may have run, so it is not started again"
    return {
        "phase": Phase.FAILED,
        "reason": reason,
        **_conditions(job, Finished=("True", "Lost", reason)),
        **_ended(None),
    }


def cancelled(job: JobResource, reason: str, usage: Usage | None) -> dict[str, Any]:
    """The user cancelled the Job, and it no longer runs. usage: of the attempt, if known."""
    return {
        "phase": Phase.CANCELLED,
        "reason": reason,
        "estimatedStart": None,
        **_charged(job, usage),
        **_conditions(job, ["Reachable"], Finished=("True", "Cancelled", reason)),
        **_ended(None),
    }


def another_attempt(job: JobResource, ended: dict[str, Any], why: str, left: str = "") -> dict[str, Any]:
    """The current attempt becomes history and the next one begins, in one write so that it happens once.

    ended: facts about the current attempt that are not in the status yet. left: the elements that the next
    attempt has; empty for all.
    """
    last = {**job.status, **ended}
    record = {"attempt": job.attempt} | {
        key: last[key] for key in _OF_AN_ATTEMPT if last.get(key) is not None
    }
    waits = ("False", "Retrying", why)
    forgotten = ("copy", "estimatedStart", "tasks", "exitCodes", "queue", "decision")
    return {
        **dict.fromkeys((*_OF_AN_ATTEMPT, *forgotten)),
        "usage": last.get("usage"),
        "attempts": [*job.attempts, record][-_MAX_ATTEMPTS:],
        "attempt": job.attempt + 1,
        "remaining": left or None,
        "phase": Phase.PENDING,
        "reason": why,
        **_conditions(job, ["Finished", "Reachable"], Released=waits),
    }


def changed(job: JobResource, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes that are not in the status already."""
    return {key: value for key, value in changes.items() if job.status.get(key) != value}


def _reason(job: JobResource, seen: Seen) -> str:
    """The reason for the phase; if the wall time ended before the job ran, also what it waited for."""
    waited = job.status.get("reason") if seen.overran and job.phase is Phase.QUEUED else None
    return f"{seen.reason}; until then: {waited}" if waited else seen.reason


def _entrance(job: JobResource, seen: Seen) -> str:
    """How the user enters an interactive job; empty for other jobs."""
    if seen.phase is not Phase.RUNNING:
        return ""
    command = entrance(job.spec, job.backend, job.backend_id or "")
    return f"enter it with: {command}" if command else ""


def _ended(epoch: int | None) -> dict[str, Any]:
    return {"completionTime": _time(epoch) or _now()}


def _tasks(tasks: Tasks | None) -> dict[str, Any]:
    if tasks is None:
        return {}
    counts = {
        "waiting": tasks.waiting,
        "running": tasks.running,
        "succeeded": tasks.succeeded,
        "failed": tasks.failed,
    }
    codes = [{"index": index, "code": code} for index, code in tasks.exit_codes]
    return {"tasks": counts, "exitCodes": codes or None}


def _charged(job: JobResource, usage: Usage | None) -> dict[str, Any]:
    """The usage of all ended attempts, including this one."""
    if usage is None:
        return {}
    before = job.status.get("usage") or {}
    return {
        "usage": {
            "cpuSeconds": before.get("cpuSeconds", 0) + usage.cpu_seconds,
            "gpuSeconds": before.get("gpuSeconds", 0) + usage.gpu_seconds,
        }
    }


def _conditions(job: JobResource, without: Sequence[str] = (), **new: tuple[str, str, str]) -> dict[str, Any]:
    """The list of conditions with the new ones added and some left out, and observedGeneration.

    lastTransitionTime changes only when the status of a condition changes.
    """
    generation = job.metadata.get("generation")
    old = {
        condition["type"]: condition
        for condition in job.status.get("conditions") or []
        if condition["type"] not in without
    }
    for name, (state, reason, message) in new.items():
        before = old.get(name)
        since = before["lastTransitionTime"] if before and before["status"] == state else _now()
        old[name] = {
            "type": name,
            "status": state,
            "reason": reason,
            "message": message[:32768],
            "lastTransitionTime": since,
            "observedGeneration": generation,
        }
    return {"conditions": list(old.values()), "observedGeneration": generation}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(epoch: int | None) -> str | None:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if epoch else None
