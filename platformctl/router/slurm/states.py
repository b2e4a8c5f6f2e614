"""Translates Slurm's records to phases, array elements, times, exit codes and amounts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from platformctl.clients.slurmrestd import number, state_name
from platformctl.jobs import slurm_files
from platformctl.jobs.batch_script import NO_IMAGE
from platformctl.jobs.staging import CANNOT_COPY
from platformctl.jobs.tokens import Token, parse_token
from platformctl.router.backend import Claim, Seen, Tasks, Usage
from platformctl.router.slurm import reasons as slurm_reasons
from platformctl.vocabulary import FINAL, Phase

PHASES: dict[str, Phase] = {
    "PENDING": Phase.QUEUED,
    "REQUEUED": Phase.QUEUED,
    "REQUEUE_HOLD": Phase.QUEUED,
    "SPECIAL_EXIT": Phase.QUEUED,
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

# Jobs with these ends may not have started. Slurm gives them a start time and the exit code 0 anyway.
_BEFORE_A_START = frozenset({"CANCELLED", "DEADLINE", "BOOT_FAIL"})

# Failures after which another attempt may succeed: the job did nothing wrong.
AGAIN = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "LAUNCH_FAILED"})

# What slurmrestd writes for an element that has no number yet: NO_VAL in a file name's %a.
_NO_INDEX = "4294967294"
_NO_NODES = "None assigned"
_MAX_NODES = 200
# A user's command may end with these codes too.
_CODES = {
    NO_IMAGE: f"ended with {NO_IMAGE}: a container's image could not be fetched or unpacked, see the output",
    CANNOT_COPY: f"ended with {CANNOT_COPY}: files could not be copied, see the output",
}
_GPU = re.compile(r"gres[/:]gpu(?::[^:,]+)?:\d+")


@dataclass(frozen=True)
class Run:
    """One run as Slurm records it: a job, or elements of an array that are in the same state.

    state: base state and flags. indices: of the elements; empty for a job that is not an array. expected:
    Slurm's estimate of the start. cpus, gpus: allocated, 0 before the start. Times: seconds since the epoch.
    """

    state: tuple[str, ...]
    indices: tuple[int, ...] = ()
    held: bool = False
    reason: str = ""
    code: int | None = None
    started: int | None = None
    ended: int | None = None
    expected: int | None = None
    nodes: str = ""
    output: str = ""
    cpus: int = 0
    gpus: int = 0

    @property
    def phase(self) -> Phase:
        """The phase for the state."""
        return phase(self.state)

    @property
    def again(self) -> bool:
        """Whether another attempt may succeed."""
        return self.phase is Phase.FAILED and not AGAIN.isdisjoint(self.state)

    @property
    def overran(self) -> bool:
        """Whether its wall time was over."""
        return self.state[0] == "TIMEOUT"

    @property
    def usage(self) -> Usage:
        """Its usage until its end."""
        seconds = max(0, self.ended - self.started) if self.started and self.ended else 0
        return Usage(self.cpus * seconds, self.gpus * seconds)


def phase(state: Sequence[str]) -> Phase:
    """The phase for a base state and its flags; an unknown state counts as waiting."""
    return PHASES.get(state[0] if state else "", Phase.QUEUED)


def run_of(record: dict[str, Any], indices: tuple[int, ...] | None = None) -> Run:
    """The run of a slurmctld record (GET /job/N). indices: given if the record does not name all of them."""
    state = _state(record.get("job_state"))
    now = phase(state)
    live = now in (Phase.QUEUED, Phase.RUNNING)
    queued = now is Phase.QUEUED
    nodes = "" if queued else str(record.get("nodes") or "")
    began = _began(state, nodes)
    return Run(
        state=state,
        indices=_indices(record) if indices is None else indices,
        # Slurm 22.05 has no `hold`: there, a held job has priority 0.
        held=queued and bool(record["hold"] if "hold" in record else number(record.get("priority")) == 0),
        reason=_reason(state, now, str(record.get("state_reason") or ""), record.get("exit_code")),
        code=_code(state, record.get("exit_code")) if began and not live else None,
        started=number(record.get("start_time")) or None if began and not queued else None,
        ended=None if live else number(record.get("end_time")) or None,
        expected=(number(record.get("start_time")) or None) if queued else None,
        nodes=nodes,
        output=_output(record),
        cpus=0 if queued else _tres(record).get("cpu", 0),
        gpus=0 if queued else _gpus(record),
    )


def accounted_run(row: dict[str, Any]) -> Run:
    """The run of a row of the accounting database (GET /slurmdb/.../job/N)."""
    state = _state((row.get("state") or {}).get("current"))
    now = phase(state)
    live = now in (Phase.QUEUED, Phase.RUNNING)
    times, array = row.get("time") or {}, row.get("array") or {}
    held = {(item.get("type"), item.get("name") or ""): item.get("count") or 0 for item in _allocated(row)}
    nodes = str(row.get("nodes") or "").replace(_NO_NODES, "")
    began = _began(state, nodes)
    return Run(
        state=state,
        indices=_element(array.get("job_id"), array.get("task_id"), str(array.get("task") or "")),
        reason=_reason(state, now, "", row.get("exit_code")),
        code=_code(state, row.get("exit_code")) if began and not live else None,
        started=number(times.get("start")) or None if began else None,
        ended=number(times.get("end")) or None,
        nodes=nodes,
        output=_accounted_output(row, number(array.get("job_id"))),
        cpus=held.get(("cpu", ""), 0),
        gpus=sum(count for (kind, name), count in held.items() if kind == "gres" and name == "gpu"),
    )


def seen(run: Run) -> Seen:
    """The state of a job that is not an array."""
    return Seen(
        held=run.held,
        phase=run.phase,
        reason=run.reason,
        exit_code=run.code,
        started=run.started,
        ended=run.ended,
        nodes=run.nodes,
        output=run.output,
        estimated_start=None if run.held else run.expected,
        usage=run.usage if run.phase in FINAL else None,
        again=run.again,
        overran=run.overran,
    )


def seen_components(runs: Sequence[Run]) -> Seen:
    """The state of a job; of a heterogeneous one that of the first component, where the script runs."""
    first = seen(runs[0])
    if len(runs) == 1:
        return first
    held = first.phase is Phase.QUEUED and any(run.held for run in runs)
    usage = _sum(runs) if first.usage else None
    return replace(first, held=held, nodes=_nodes(runs), usage=usage)


def seen_array(runs: Sequence[Run]) -> Seen:
    """The state of an array, from the runs of all its elements: it has ended when all of them have."""
    by_phase: dict[Phase, list[Run]] = {}
    for run in runs:
        by_phase.setdefault(run.phase, []).append(run)
    count = {name: sum(len(run.indices) for run in some) for name, some in by_phase.items()}
    queued = by_phase.get(Phase.QUEUED, [])
    failed = [run for run in runs if run.phase in (Phase.FAILED, Phase.CANCELLED)]
    codes = sorted((index, run.code) for run in failed for index in run.indices if run.code)
    whole = _whole(by_phase)
    return Seen(
        held=whole is Phase.QUEUED and any(run.held for run in runs),
        phase=whole,
        reason=_array_reason(whole, by_phase, count),
        exit_code=_array_code(whole, codes),
        started=min((run.started for run in runs if run.started), default=None),
        ended=max((run.ended for run in runs if run.ended), default=None) if whole in FINAL else None,
        nodes=_nodes(runs),
        output=next((run.output for run in runs if run.output), ""),
        estimated_start=next((run.expected for run in queued if not run.held), None),
        tasks=Tasks(
            waiting=count.get(Phase.QUEUED, 0),
            running=count.get(Phase.RUNNING, 0),
            succeeded=count.get(Phase.SUCCEEDED, 0),
            failed=sum(len(run.indices) for run in failed),
            exit_codes=tuple(codes[:100]),
            lost=_all_indices(failed),
            done=_all_indices(by_phase.get(Phase.SUCCEEDED, [])),
        ),
        usage=_sum(runs) if whole in FINAL else None,
        again=bool(failed) and all(run.again for run in failed),
        overran=any(run.overran for run in failed),
    )


def _all_indices(runs: Sequence[Run]) -> tuple[int, ...]:
    return tuple(sorted(index for run in runs for index in run.indices))


def exit_code(value: Any) -> int | None:
    """The exit code as a shell would report it: 128 + signal when a signal ended the job.

    Until v0.0.38 it is the number that wait(2) gives.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return 128 + (value & 0x7F) if value & 0x7F else value >> 8 & 0xFF
    if not isinstance(value, dict):
        return None
    ended_by = value.get("signal") or {}
    signal = number(ended_by.get("id")) or number(ended_by.get("signal_id"))
    return 128 + signal if signal else number(value.get("return_code"))


def array_id(record: dict[str, Any]) -> int | None:
    """The id of the array that a slurmctld record belongs to; None if it is not an array."""
    return number(record.get("array_job_id")) or None


def whole_id(record: dict[str, Any]) -> int:
    """The id of the whole job: of the array, or of a heterogeneous job's first component."""
    return array_id(record) or number(record.get("het_job_id")) or int(record["job_id"])


def carries(record: dict[str, Any], claim: Claim) -> bool:
    """Whether a record belongs to the claim: it has its token and its user.

    Users can read a Job's uid and write any comment, so the token alone proves nothing. If the accounting
    database does not know the user, only the token counts.
    """
    user = record.get("user_name") or record.get("user") or claim.user
    return comment_token(record) == claim.token and user == claim.user


def comment_token(record: dict[str, Any]) -> Token | None:
    """The token in a record's comment: a string in slurmctld, an object in the accounting database."""
    comment = record.get("comment")
    return parse_token(comment.get("job") if isinstance(comment, dict) else comment)


def parse_indices(text: str) -> tuple[int, ...]:
    """The indices in an array_task_string: `0-5%2`, `1,3,7`, `0-20:5`. If it is cut off, those it names."""
    whole = text.rpartition(",")[0] if text.endswith("...") else text
    indices: list[int] = []
    for part in filter(None, whole.partition("%")[0].strip("[]").split(",")):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        indices += range(int(first), int(last or first) + 1, int(step or 1))
    return tuple(indices)


def _code(state: Sequence[str], value: Any) -> int | None:
    """The exit code of a job that has ended. Of one that was cancelled Slurm says 0, however it ended."""
    code = exit_code(value)
    return None if state[0] == "CANCELLED" and code == 0 else code


def _began(state: Sequence[str], nodes: str) -> bool:
    """Whether a job that has ended ever ran; true for one that has not."""
    return bool(nodes) or state[0] not in _BEFORE_A_START


def _whole(by_phase: Mapping[Phase, list[Run]]) -> Phase:
    if Phase.RUNNING in by_phase or (Phase.QUEUED in by_phase and len(by_phase) > 1):
        return Phase.RUNNING
    order = (Phase.QUEUED, Phase.FAILED, Phase.CANCELLED, Phase.SUCCEEDED)
    return next(one for one in order if one in by_phase)


def _array_reason(whole: Phase, by_phase: Mapping[Phase, list[Run]], count: Mapping[Phase, int]) -> str:
    waits = next((run.reason for run in by_phase.get(Phase.QUEUED, ()) if run.reason), "")
    total = sum(count.values())
    if whole is Phase.RUNNING:
        return f"{count[Phase.QUEUED]} of {total} elements wait: {waits}" if waits else ""
    if whole is Phase.FAILED:
        return f"{count[whole]} of {total} elements failed: {by_phase[whole][0].reason}"
    return waits or next((run.reason for run in by_phase[whole]), "")


def _array_code(whole: Phase, codes: Sequence[tuple[int, int]]) -> int | None:
    if whole is Phase.SUCCEEDED:
        return 0
    return codes[0][1] if codes and whole in FINAL else None


def _nodes(runs: Sequence[Run]) -> str:
    names = ",".join(dict.fromkeys(run.nodes for run in runs if run.nodes))
    return names if len(names) <= _MAX_NODES else names[:_MAX_NODES].rpartition(",")[0] + ",..."


def _sum(runs: Sequence[Run]) -> Usage:
    return Usage(sum(run.usage.cpu_seconds for run in runs), sum(run.usage.gpu_seconds for run in runs))


def _indices(record: dict[str, Any]) -> tuple[int, ...]:
    text = str(record.get("array_task_string") or "")
    return _element(array_id(record), record.get("array_task_id"), text)


def _element(array: int | None, index: Any, text: str) -> tuple[int, ...]:
    """The indices that a record is for: its own, or those that it names."""
    one = number(index)
    if not array:
        return ()
    return parse_indices(text) if one is None else (one,)


def _state(value: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in value) if isinstance(value, list) and value else (state_name(value),)


def _output(record: dict[str, Any]) -> str:
    """The file of both outputs; for an array the pattern of its elements' files with %a for the index."""
    path, array = str(record.get("standard_output") or ""), array_id(record)
    job = str(record.get("job_id", ""))
    path = slurm_files.with_ids(path, str(array or job), job)
    one = number(record.get("array_task_id"))
    if array and one is not None:
        path = re.sub(rf"(?<!\d){one}(?=\.[^./]*$)", "%a", path)
    return path.replace(_NO_INDEX, "%a")


def _gpus(record: dict[str, Any]) -> int:
    """GPUs of all types together, even if Slurm does not account gres/gpu."""
    held = _tres(record)
    if not held or "gres/gpu" in held:
        return held.get("gres/gpu", 0)
    nodes, tasks = number(record.get("node_count")) or 1, number(record.get("tasks")) or 1
    return nodes * _devices(record.get("tres_per_node")) + tasks * _devices(record.get("tres_per_task"))


def _devices(asked: Any) -> int:
    """GPUs in `gres/gpu:a100:2`, which Slurm 22.05 writes with a colon."""
    parts = str(asked or "").split(",")
    return sum(int(part.rpartition(":")[2]) for part in parts if _GPU.fullmatch(part))


def _accounted_output(row: dict[str, Any], array: int | None) -> str:
    """Like _output; empty with a slurmrestd before 24.11, which does not record it."""
    if not array:
        return str(row.get("stdout_expanded") or "")
    return slurm_files.with_ids(str(row.get("stdout") or ""), str(array), str(row.get("job_id", "")))


def _tres(record: dict[str, Any]) -> dict[str, int]:
    """`cpu=4,mem=400M,node=1,gres/gpu=2` without the amounts that have a unit; empty before the start."""
    pairs = (part.partition("=") for part in str(record.get("tres_alloc_str") or "").split(","))
    return {name: int(amount) for name, _, amount in pairs if amount.isdigit()}


def _allocated(row: dict[str, Any]) -> list[dict[str, Any]]:
    return list((row.get("tres") or {}).get("allocated") or [])


def _reason(state: Sequence[str], now: Phase, reason: str, code: Any) -> str:
    if now is Phase.QUEUED:
        if "REQUEUE_HOLD" in state or "SPECIAL_EXIT" in state:
            return "is held after it was requeued"
        return slurm_reasons.words(reason)
    if state[0] == "SUSPENDED":
        return "is suspended"
    known = next((ENDINGS[word] for word in reversed(state) if word in ENDINGS), "")
    if known or now is not Phase.FAILED:
        return known
    return _CODES.get(exit_code(code) or 0, "ended with an error")
