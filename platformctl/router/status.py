"""What the router writes into a Job's status: pure functions from what happened to changed fields.

Conditions are the contract for programs (Accepted, Released, Finished); phase, reason and the rest are
for people and printer columns.
"""

from datetime import UTC, datetime
from typing import Any

from platformctl.jobs.model import Refusal, Target, User
from platformctl.router.backend import FINAL, Phase, Seen
from platformctl.router.resource import JobResource

_MAX_REASON = 1024
_MAX_REFUSALS = 32


def refused(job: JobResource, refusals: list[Refusal]) -> dict[str, Any]:
    """The Job is not accepted: every reason at once."""
    shown = [str(refusal) for refusal in refusals[:_MAX_REFUSALS]]
    if len(refusals) > len(shown):
        shown.append(f"and {len(refusals) - len(shown)} more")
    reason = "; ".join(shown)
    conditions = _conditions(
        job, Accepted=("False", "Refused", reason), Finished=("True", "Refused", "nothing was submitted")
    )
    return {"phase": Phase.REFUSED, "reason": reason[:_MAX_REASON], **conditions, **_ended(None)}


def decided(job: JobResource, target: Target, why: str, user: User, attempt: int) -> dict[str, Any]:
    """The Job is accepted and will go to a back end: written before anything is submitted."""
    return {
        "phase": Phase.PENDING,
        "backend": target,
        "attempt": attempt,
        "user": user.name,
        "reason": "",
        **_conditions(job, Accepted=("True", "Accepted", why), Released=("False", "Submitting", "")),
    }


def recorded(job_id: str) -> dict[str, Any]:
    """The back end's id, known before the job may start."""
    return {"backendId": job_id}


def lost_before_release() -> dict[str, Any]:
    """The recorded job is gone; it never ran, so the same attempt is submitted again."""
    return {"backendId": None, "reason": "the back end lost the held job; submitting it again"}


def releasing() -> dict[str, Any]:
    """The job is about to be released: from now on it may have run, whatever the back end forgets."""
    return {"released": True}


def released(job: JobResource) -> dict[str, Any]:
    """The back end took the release; a later hold is somebody's wish."""
    return {"phase": Phase.QUEUED, "reason": "", **_conditions(job, Released=("True", "Released", ""))}


def unavailable(job: JobResource, why: str) -> dict[str, Any]:
    """The back end is away; what was known stays true and is tried again."""
    changes: dict[str, Any] = {"reason": why[:_MAX_REASON]}
    if job.phase is None:
        changes["phase"] = Phase.PENDING
    return {**changes, **_conditions(job, Reachable=("False", "BackendUnavailable", why))}


def followed(job: JobResource, seen: Seen) -> dict[str, Any]:
    """What the back end says about a released job."""
    changes: dict[str, Any] = {
        "phase": seen.phase,
        "reason": seen.reason[:_MAX_REASON],
        "nodes": seen.nodes or None,
        "output": seen.output or None,
        "exitCode": seen.exit_code,
        "startTime": _time(seen.started),
    }
    if seen.phase in FINAL:
        finished = ("True", str(seen.phase), seen.reason)
        return {**changes, **_conditions(job, reachable=True, Finished=finished), **_ended(seen.ended)}
    return {**changes, **_conditions(job, reachable=True)}


def vanished(job: JobResource) -> dict[str, Any]:
    """The back end no longer knows a released job, nor how it ended."""
    reason = "the back end no longer knows the job; it may have run, so it is not started again"
    return {
        "phase": Phase.FAILED,
        "reason": reason,
        **_conditions(job, Finished=("True", "Lost", reason)),
        **_ended(None),
    }


def changed(job: JobResource, changes: dict[str, Any]) -> dict[str, Any]:
    """The part of changes that the status does not say already."""
    return {key: value for key, value in changes.items() if job.status.get(key) != value}


def _ended(epoch: int | None) -> dict[str, Any]:
    return {"completionTime": _time(epoch) or _now()}


def _conditions(job: JobResource, reachable: bool = False, **new: tuple[str, str, str]) -> dict[str, Any]:
    """The list of conditions with the new ones in place, and observedGeneration.

    lastTransitionTime moves only when a status flips. A back end that answers again loses Reachable=False.
    """
    generation = job.metadata.get("generation")
    old = {condition["type"]: condition for condition in job.status.get("conditions") or []}
    if reachable:
        old.pop("Reachable", None)
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
