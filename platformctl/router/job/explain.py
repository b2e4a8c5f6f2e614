"""Why a Job waits, or how it ended, for a person: asked for by an annotation, answered in its status.

`kfoundry.io/explain-requested: <a time>` asks. `status.explanation` answers, with the same text in
`requested`, so that a client recognises its answer. A new text is a new question. It is answered at once, but
at most every few seconds for one Job, because the back ends' answers are expensive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from platformctl.router.backend import Backend, Explanation, Ticket, Unavailable
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import EXPLAIN_REQUESTED, Phase

PAUSE = 5.0
_MAX_SENTENCES, _MAX_LENGTH, _MAX_BEHIND = 12, 512, 20
_MAX_REQUESTED = 64
_MAX_USERS = 3


def asked(job: JobResource) -> str:
    """The question (text of the annotation) that the status does not answer yet; empty if there is none."""
    text = str((job.metadata.get("annotations") or {}).get(EXPLAIN_REQUESTED, ""))[:_MAX_REQUESTED]
    return "" if text == (job.status.get("explanation") or {}).get("requested", "") else text


def pause(job: JobResource, now: datetime | None = None) -> float:
    """Seconds until the next explanation of a Job is allowed; 0 for at once."""
    last = (job.status.get("explanation") or {}).get("time")
    if not last:
        return 0.0
    age = ((now or datetime.now(UTC)) - datetime.fromisoformat(last)).total_seconds()
    return max(0.0, PAUSE - max(0.0, age))


@dataclass(frozen=True)
class Line:
    """Who else waits. ahead: how many Jobs of each user go before it in the router.

    beside: how many Jobs of each user wait in its back end too. fair_share: of its user, from 1 to 0.
    """

    ahead: Mapping[str, int]
    beside: Mapping[str, int]
    fair_share: float


async def explain(
    job: JobResource,
    ticket: Ticket | None,
    backend: Backend | None,
    line: Line,
    named: Callable[[str], str] = str,
) -> dict[str, Any]:
    """The change of the status that answers. It never raises Unavailable: that is an answer too.

    ticket, backend: where the Job is, once it was submitted. named: the name that people use for a back end's
    id; by default the id.
    """
    explanation = await _explanation(job, ticket, backend, line)
    answer: dict[str, Any] = {
        "requested": asked(job),
        "time": _time(datetime.now(UTC).timestamp()),
        "sentences": [_short(sentence) for sentence in explanation.sentences[:_MAX_SENTENCES]],
        "behind": [named(job_id) for job_id in explanation.behind[:_MAX_BEHIND]] or None,
        "start": _time(explanation.start) if explanation.start else None,
    }
    return {"explanation": answer}


async def _explanation(
    job: JobResource, ticket: Ticket | None, backend: Backend | None, line: Line
) -> Explanation:
    own = (*_own(job), *_in_line(job, line))
    waits_there = bool(job.backend_id) and job.phase in (Phase.PENDING, Phase.QUEUED, Phase.RUNNING)
    if not waits_there or ticket is None or backend is None:
        return Explanation(own)
    if job.phase is Phase.RUNNING and not job.status.get("tasks"):
        return Explanation(own)
    try:
        there = await backend.explain(ticket, job.backend_id)
    except Unavailable as error:
        return Explanation((*own, _sentence(str(error))))
    # For a waiting job, the reason in the status is an older answer of the back end.
    said = (*there.sentences, *_in_line(job, line, there.fair_share), *_decision(job))
    return Explanation(said, there.behind, there.start)


def _in_line(job: JobResource, line: Line, fair_share: float | None = None) -> tuple[str, ...]:
    """Who else waits, and the user's fair share; nothing for a Job that runs or has ended.

    fair_share: the scheduler's own, if it has one.
    """
    if job.final or job.phase is Phase.RUNNING:
        return ()
    share = f"your fair share is {line.fair_share if fair_share is None else fair_share:.2g}"
    if line.ahead:
        return (f"It is behind {_counts(line.ahead, job.submitter)}; {share}.",)
    if line.beside:
        wait = "waits" if sum(line.beside.values()) == 1 else "wait"
        return (f"{_counts(line.beside, job.submitter)} {wait} there too; {share}.",)
    return ()


def _counts(jobs: Mapping[str, int], own: str) -> str:
    """`1,300 Jobs of alice, 2 of yours`: those of whom there are most first."""
    ordered = sorted(jobs.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} of {'yours' if user == own else user}" for user, count in ordered[:_MAX_USERS]]
    rest = sum(count for _, count in ordered[_MAX_USERS:])
    if rest:
        parts.append(f"{rest:,} of others")
    first = parts[0].replace(" of", " Job of" if ordered[0][1] == 1 else " Jobs of", 1)
    return ", ".join([first, *parts[1:]])


def _own(job: JobResource) -> tuple[str, ...]:
    """What the status alone says."""
    reason = str(job.status.get("reason") or "")
    phase = job.phase or Phase.PENDING
    parts = [f"It is {phase}: {reason}" if reason else f"It is {phase}"]
    exit_code = job.status.get("exitCode")
    if exit_code:
        parts.append(f"Its exit code is {exit_code}")
    if not job.final and any(
        condition["type"] == "Reachable" and condition["status"] == "False"
        for condition in job.status.get("conditions") or []
    ):
        parts.append("It continues by itself when the back end answers again; nothing is lost")
    return (*(_sentence(part) for part in parts), *_decision(job))


def _decision(job: JobResource) -> tuple[str, ...]:
    """Where it was sent and why, from status.decision."""
    lines = [line for line in str(job.status.get("decision") or "").splitlines() if line]
    return (_sentence(f"Routing: {'; '.join(lines)}"),) if lines else ()


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= _MAX_LENGTH else sentence[: _MAX_LENGTH - 3] + "..."


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
