"""Why a Job waits, or how it ended, for a person: asked for by an annotation, answered in its status.

`kfoundry.io/explain-requested: <a time>` asks. `status.explanation` answers, with the same text in
`requested`, so that a client recognises its answer. A new text is a new question. It is answered at once, but
at most every few seconds for one Job, because the back ends' answers are expensive.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from platformctl.router.backend import Backend, Explanation, Ticket, Unavailable
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import EXPLAIN_REQUESTED, Phase

PAUSE = 5.0
_MAX_SENTENCES, _MAX_LENGTH, _MAX_BEHIND = 12, 512, 20
_MAX_REQUESTED = 64


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


async def explain(
    job: JobResource, ticket: Ticket | None, backend: Backend | None, named: Callable[[str], str] = str
) -> dict[str, Any]:
    """The change of the status that answers. It never raises Unavailable: that is an answer too.

    ticket, backend: where the Job is, once it was submitted. named: the name that people use for a back end's
    id; by default the id.
    """
    explanation = await _explanation(job, ticket, backend)
    answer: dict[str, Any] = {
        "requested": asked(job),
        "time": _time(datetime.now(UTC).timestamp()),
        "sentences": [_short(sentence) for sentence in explanation.sentences[:_MAX_SENTENCES]],
        "behind": [named(job_id) for job_id in explanation.behind[:_MAX_BEHIND]] or None,
        "start": _time(explanation.start) if explanation.start else None,
    }
    return {"explanation": answer}


async def _explanation(job: JobResource, ticket: Ticket | None, backend: Backend | None) -> Explanation:
    own = _own(job)
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
    return Explanation((*there.sentences, *_decision(job)), there.behind, there.start)


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
