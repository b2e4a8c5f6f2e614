"""Slurm's words for states and reasons, and what they mean for a Job: tables."""

from typing import Any

from platformctl.clients.slurmrestd import number, state_name
from platformctl.jobs.tokens import Token, parse_token
from platformctl.router.backend import Phase, Seen

PHASES: dict[str, Phase] = {
    "PENDING": Phase.QUEUED,
    "REQUEUED": Phase.QUEUED,
    "REQUEUE_HOLD": Phase.QUEUED,
    "RUNNING": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,
    "COMPLETING": Phase.RUNNING,
    "STAGE_OUT": Phase.RUNNING,
    "COMPLETED": Phase.SUCCEEDED,
    "CANCELLED": Phase.CANCELLED,
    "FAILED": Phase.FAILED,
    "TIMEOUT": Phase.FAILED,
    "NODE_FAIL": Phase.FAILED,
    "PREEMPTED": Phase.FAILED,
    "BOOT_FAIL": Phase.FAILED,
    "DEADLINE": Phase.FAILED,
    "OUT_OF_MEMORY": Phase.FAILED,
    "LAUNCH_FAILED": Phase.FAILED,
}

ENDINGS: dict[str, str] = {
    "TIMEOUT": "ran longer than its wall time",
    "NODE_FAIL": "a node failed",
    "PREEMPTED": "was preempted by a more urgent job",
    "BOOT_FAIL": "a node did not boot",
    "DEADLINE": "could not end before its deadline",
    "OUT_OF_MEMORY": "used more memory than it asked for",
    "LAUNCH_FAILED": "could not be started on its node",
    "CANCELLED": "was cancelled",
}

WAITS: dict[str, str] = {
    "Priority": "waits behind jobs of higher priority",
    "Resources": "waits for free resources",
    "Dependency": "waits for another job",
    "JobHeldUser": "is held by its user",
    "JobHeldAdmin": "is held by an administrator",
    "PartitionDown": "its queue is down",
    "PartitionInactive": "its queue is closed",
    "PartitionTimeLimit": "asks for more wall time than its queue allows",
    "PartitionNodeLimit": "asks for more nodes than its queue allows",
    "ReqNodeNotAvail": "waits for nodes that are down, drained or reserved",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": (
        "waits for nodes that are down, drained or reserved"
    ),
    "InvalidAccount": "its user has no right to the account",
    "AssocGrpJobsLimit": "its account runs as many jobs as it may",
    "QOSMaxJobsPerUserLimit": "its user runs as many jobs as allowed",
    "BeginTime": "waits for its start time",
}


def seen(record: dict[str, Any]) -> Seen:
    """A record of slurmctld (GET /job/N) in the router's words."""
    state = state_name(record.get("job_state"))
    phase = PHASES.get(state, Phase.QUEUED)
    live = phase in (Phase.QUEUED, Phase.RUNNING)
    return Seen(
        held=phase is Phase.QUEUED and bool(record.get("hold")),
        phase=phase,
        reason=_reason(state, phase, str(record.get("state_reason") or "")),
        exit_code=None if live else exit_code(record.get("exit_code")),
        started=None if phase is Phase.QUEUED else number(record.get("start_time")) or None,
        ended=None if live else number(record.get("end_time")) or None,
        nodes="" if phase is Phase.QUEUED else str(record.get("nodes") or ""),
        output=str(record.get("standard_output") or "").replace("%j", str(record.get("job_id", ""))),
        overran=state == "TIMEOUT",
    )


def accounted(row: dict[str, Any]) -> Seen | None:
    """A row of the accounting database that tells how a job ended; None while it tells no end."""
    state = state_name((row.get("state") or {}).get("current"))
    phase = PHASES.get(state, Phase.QUEUED)
    if phase in (Phase.QUEUED, Phase.RUNNING):
        return None
    times = row.get("time") or {}
    return Seen(
        held=False,
        phase=phase,
        reason=_reason(state, phase, ""),
        exit_code=exit_code(row.get("exit_code")),
        started=number(times.get("start")) or None,
        ended=number(times.get("end")) or None,
        nodes=str(row.get("nodes") or ""),
        overran=state == "TIMEOUT",
    )


def exit_code(value: Any) -> int | None:
    """The exit code as a shell would report it: 128 + signal when a signal ended the job."""
    if not isinstance(value, dict):
        return None
    signal = number((value.get("signal") or {}).get("id"))
    if signal:
        return 128 + signal
    return number(value.get("return_code"))


def comment_token(record: dict[str, Any]) -> Token | None:
    """The token in a record's comment: a string with slurmctld, an object with the accounting database."""
    comment = record.get("comment")
    return parse_token(comment.get("job") if isinstance(comment, dict) else comment)


def _reason(state: str, phase: Phase, reason: str) -> str:
    if phase is Phase.QUEUED:
        return "" if reason in ("", "None") else WAITS.get(reason, f"waits: {reason}")
    if state == "SUSPENDED":
        return "is suspended"
    return ENDINGS.get(state, "" if phase is not Phase.FAILED else "ended with an error")
