"""Texts and tables about a Job, made from the resource as the API server returns it.

They use only the stored document, so that the command line and a portal show the same. Absent fields are left
out and never guessed. Times are RFC 3339 in UTC; `now` is seconds since the epoch.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.vocabulary import FINAL, SUBMITTER, Phase

_SHOWN_EXIT_CODES = 20
_STORIES = {
    Phase.PENDING: "is pending",
    Phase.QUEUED: "is queued",
    Phase.RUNNING: "is running",
    Phase.SUCCEEDED: "has succeeded",
    Phase.FAILED: "has failed",
    Phase.CANCELLED: "was cancelled",
    Phase.REFUSED: "was refused",
}


@dataclass(frozen=True)
class Section:
    """A part of a description: rows under columns, or name and value pairs when there are no columns."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ()


def phase(job: Mapping[str, Any]) -> Phase:
    """The phase; Pending until the router has seen the Job."""
    return Phase(_status(job).get("phase") or Phase.PENDING)


def live(job: Mapping[str, Any]) -> bool:
    """Whether the Job has not ended."""
    return phase(job) not in FINAL


def attempt(job: Mapping[str, Any]) -> int:
    """Number of the last attempt."""
    return int(_status(job).get("attempt") or 1)


def created(job: Mapping[str, Any]) -> float | None:
    """When, in seconds since the epoch."""
    return epoch(_metadata(job).get("creationTimestamp"))


def submitter(job: Mapping[str, Any]) -> str:
    """Who created it, as the API server wrote it."""
    return str((_metadata(job).get("annotations") or {}).get(SUBMITTER, ""))


def reason(job: Mapping[str, Any]) -> str:
    """Why it waits or how it ended."""
    if not _status(job).get("phase"):
        return "the router has not seen it yet"
    return str(_status(job).get("reason") or "")


def summary(job: Mapping[str, Any]) -> dict[str, Any]:
    """The record that programs get from a list; absent values are None."""
    metadata, status = _metadata(job), _status(job)
    return {
        "name": metadata.get("name"),
        "namespace": metadata.get("namespace"),
        "uid": metadata.get("uid"),
        "submitter": submitter(job),
        "user": status.get("user"),
        "phase": phase(job),
        "reason": reason(job),
        "backend": status.get("backend"),
        "backendId": status.get("backendId"),
        "queue": _queue(job) or None,
        "attempt": status.get("attempt"),
        "nodes": status.get("nodes"),
        "tasks": status.get("tasks"),
        "exitCode": status.get("exitCode"),
        "usage": status.get("usage"),
        "created": metadata.get("creationTimestamp"),
        "estimatedStart": status.get("estimatedStart"),
        "started": status.get("startTime"),
        "ended": status.get("completionTime"),
        "output": status.get("output"),
    }


COLUMNS = ("namespace", "name", "user", "phase", "tasks", "where", "age", "ran", "exit", "reason")


def row(job: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """A line of the table of Jobs, under COLUMNS."""
    metadata, status = _metadata(job), _status(job)
    exit_code = status.get("exitCode")
    return (
        str(metadata.get("namespace")),
        str(metadata.get("name")),
        user(job),
        phase(job),
        progress(job),
        where(job),
        duration(_since(metadata.get("creationTimestamp"), now)),
        duration(_ran(job, now)),
        "" if exit_code is None else str(exit_code),
        reason(job),
    )


def user(job: Mapping[str, Any]) -> str:
    """The site's user that it runs as; its submitter until that is known."""
    return str(_status(job).get("user") or submitter(job))


def where(job: Mapping[str, Any]) -> str:
    """The back end, with Slurm's job id; the target until the router has decided."""
    status = _status(job)
    if not status.get("backend"):
        target = str(_spec(job).get("target") or "auto")
        return "" if target == "auto" else f"({target})"
    number = str(status.get("backendId") or "")
    return f"{status['backend']} {number}".strip() if number.isdigit() else str(status["backend"])


def progress(job: Mapping[str, Any]) -> str:
    """How many of its tasks have ended, and how many there are; empty for a Job of one task."""
    tasks = _status(job).get("tasks") or {}
    counts = {state: int(tasks.get(state) or 0) for state in ("waiting", "running", "succeeded", "failed")}
    total = sum(counts.values())
    return f"{counts['succeeded'] + counts['failed']}/{total}" if total > 1 else ""


def describe(job: Mapping[str, Any], now: float) -> list[Section]:
    """Everything in the status, and what was requested."""
    sections = [
        Section("", _present(_state(job, now))),
        Section("asked for", _present(_asked(_spec(job)))),
        Section("decision", tuple(("", line) for line in decision(job))),
        Section("tasks", _present(_tasks(_status(job)))),
        _attempts(_status(job)),
        _conditions(_status(job), now),
    ]
    return [section for section in sections if section.rows]


def resources(job: Mapping[str, Any]) -> dict[str, Any]:
    """What one task requested: a script's resources, or the larger levels of its containers together."""
    levels = [container.get("resources") or {} for container in _containers(_spec(job))]
    asked = [{**(level.get("requests") or {}), **(level.get("limits") or {})} for level in levels]
    if len(asked) > 1:
        return _sum(asked)
    return asked[0] if asked else dict(_spec(job).get("resources") or {})


def _sum(amounts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Amounts added up by their names, in thousandths of a core and in whole units of everything else."""
    totals: dict[str, Fraction] = {}
    for given in amounts:
        for name, text in given.items():
            # A Job that was refused may say anything.
            with suppress(ValueError):
                totals[name] = totals.get(name, Fraction(0)) + parse_quantity(text)
    return {
        name: f"{ceiling(total * 1000)}m" if name == "cpu" else str(ceiling(total))
        for name, total in totals.items()
    }


def decision(job: Mapping[str, Any]) -> list[str]:
    """Why this back end: one line for each target, and for each field that has no effect there."""
    text = _status(job).get("decision")
    if not text:
        accepted = _condition(job, "Accepted")
        text = accepted.get("message") if accepted and accepted.get("status") == "True" else ""
    return [line for line in str(text or "").splitlines() if line.strip()]


def explain(
    job: Mapping[str, Any],
    explanation: Mapping[str, Any] | None,
    now: float,
    others: Sequence[Mapping[str, Any]] = (),
) -> str:
    """One paragraph: why it waits, behind whom, and when it should start; or how it ended.

    explanation: the back end's answer (sentences, which include the start; behind); None if it was not asked.
    others: Jobs that may be among those it waits behind, to show their names.
    """
    name, state = _metadata(job).get("name"), phase(job)
    sentences = [f"{name} {_STORIES[state]}{_place(job)}."]
    answers = [str(line) for line in (explanation or {}).get("sentences") or []]
    sentences += [_sentence(line) for line in answers or [reason(job)] if line]
    if not live(job):
        return " ".join(sentences)
    if answers:
        behind = _known((explanation or {}).get("behind") or [], others)
        sentences += [f"Among those before it: {_listed(behind)}."] if behind else []
    elif state is not Phase.RUNNING:
        sentences.append(_start(_status(job).get("estimatedStart"), now))
    return " ".join(sentences)


def waits_there(job: Mapping[str, Any]) -> bool:
    """Whether a scheduler has the Job and knows why it waits; before that, only the router knows."""
    return phase(job) is Phase.QUEUED and bool(_status(job).get("backendId"))


def duration(seconds: float | None) -> str:
    """The two largest units: 45s, 3m12s, 2h5m, 4d1h; empty for None."""
    if seconds is None:
        return ""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2]) or "0s"


def epoch(text: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None when there is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else None
    except ValueError:
        return None


def _state(job: Mapping[str, Any], now: float) -> list[tuple[str, object]]:
    metadata, status = _metadata(job), _status(job)
    usage = status.get("usage") or {}
    return [
        ("name", f"{metadata.get('namespace')}/{metadata.get('name')}"),
        ("phase", phase(job)),
        ("reason", reason(job)),
        ("runs as", status.get("user")),
        ("submitted by", submitter(job)),
        ("queue", _queue(job)),
        ("back end", status.get("backend")),
        ("its id there", status.get("backendId")),
        ("attempt", status.get("attempt")),
        ("nodes", status.get("nodes")),
        ("created", _time(metadata.get("creationTimestamp"), now)),
        ("should start", "" if status.get("startTime") else _time(status.get("estimatedStart"), now)),
        ("started", _time(status.get("startTime"), now)),
        ("ended", _time(status.get("completionTime"), now)),
        ("ran", duration(_ran(job, now))),
        ("exit code", status.get("exitCode")),
        ("CPU time", duration(usage["cpuSeconds"]) if usage.get("cpuSeconds") else ""),
        ("GPU time", duration(usage["gpuSeconds"]) if usage.get("gpuSeconds") else ""),
        ("output", status.get("output")),
        ("being deleted since", _time(metadata.get("deletionTimestamp"), now)),
    ]


def _asked(spec: Mapping[str, Any]) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    script = spec.get("script")
    if script:
        lines = str(script).count("\n")
        pairs.append(("script", f"{str(script).splitlines()[0]} ({lines} lines)"))
    for container in _containers(spec):
        words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
        pairs.append(("image", container.get("image")))
        pairs.append(("command", " ".join(words)))
    pairs.append(
        ("resources", ", ".join(f"{name} {amount}" for name, amount in resources({"spec": spec}).items()))
    )
    if spec.get("args"):
        pairs.append(("arguments", shlex.join(str(word) for word in spec["args"])))
    shown = ("script", "template", "resources", "dependsOn", "stageIn", "stageOut", "args", "slurm")
    pairs += [(key, _word(value)) for key, value in spec.items() if key not in shown]
    pairs += _of_slurm(spec.get("slurm") or {})
    for item in spec.get("dependsOn") or []:
        pairs.append(("depends on", f"{item.get('name')} ({item.get('when', 'succeeded')})"))
    for key in ("stageIn", "stageOut"):
        for item in spec.get(key) or []:
            pairs.append((key, f"{item.get('source')} -> {item.get('target')}"))
    return pairs


def _of_slurm(block: Mapping[str, Any]) -> list[tuple[str, object]]:
    """The fields of spec.slurm, without the values of variables."""
    pairs: list[tuple[str, object]] = []
    for name, value in block.items():
        if name == "environment":
            value = f"{len(value)} variables"
        elif name == "components":
            value = f"{len(value)} further components"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif isinstance(value, dict):
            value = ", ".join(f"{key}={text}" for key, text in value.items())
        pairs.append((f"slurm.{name}", _word(value)))
    return pairs


def _tasks(status: Mapping[str, Any]) -> list[tuple[str, object]]:
    tasks = status.get("tasks") or {}
    pairs: list[tuple[str, object]] = [(state, tasks.get(state)) for state in tasks if tasks.get(state)]
    codes = [f"{item.get('index')}: {item.get('code')}" for item in status.get("exitCodes") or []]
    more = len(codes) - _SHOWN_EXIT_CODES
    shown = ", ".join(codes[:_SHOWN_EXIT_CODES]) + (f" and {more} more" if more > 0 else "")
    return [*pairs, ("exit codes by index", shown)]


def _attempts(status: Mapping[str, Any]) -> Section:
    names = ("attempt", "backend", "backendId", "phase", "exitCode", "startTime", "nodes", "reason")
    rows = [tuple(_word(item.get(name)) for name in names) for item in status.get("attempts") or []]
    columns = ("attempt", "back end", "id", "phase", "exit", "started", "nodes", "reason")
    return Section("earlier attempts", tuple(rows), columns)


def _conditions(status: Mapping[str, Any], now: float) -> Section:
    rows = [
        (
            str(item.get("type")),
            str(item.get("status")),
            str(item.get("reason", "")),
            duration(_since(item.get("lastTransitionTime"), now)),
            str(item.get("message", "")),
        )
        for item in status.get("conditions") or []
    ]
    return Section("conditions", tuple(rows), ("condition", "status", "reason", "since", "message"))


def _condition(job: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((item for item in _status(job).get("conditions") or [] if item.get("type") == name), None)


def _place(job: Mapping[str, Any]) -> str:
    backend, queue = _status(job).get("backend"), _queue(job)
    if not backend:
        return ""
    return f" on {backend}, queue {queue}" if queue else f" on {backend}"


def _start(start: object, now: float) -> str:
    at = epoch(start)
    if at is None:
        return "Its start cannot be estimated."
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"It should start at {when}, in {duration(at - now)}."
        if at > now
        else f"It should have started at {when}."
    )


def _known(ids: Sequence[object], others: Sequence[Mapping[str, Any]]) -> list[str]:
    """The Jobs among a back end's ids, with their users."""
    names = {
        str(_status(job).get("backendId")): f"{_metadata(job).get('name')} of {user(job)}" for job in others
    }
    return [f"{names[str(item)]} ({item})" for item in ids if str(item) in names]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _queue(job: Mapping[str, Any]) -> str:
    return str(_status(job).get("queue") or _spec(job).get("queue") or "")


def _ran(job: Mapping[str, Any], now: float) -> float | None:
    started = epoch(_status(job).get("startTime"))
    if started is None:
        return None
    return (epoch(_status(job).get("completionTime")) or now) - started


def _since(text: object, now: float) -> float | None:
    at = epoch(text)
    return None if at is None else now - at


def _time(text: object, now: float) -> str:
    at = epoch(text)
    if at is None:
        return ""
    distance = f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC ({distance})"


def _containers(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    containers: Sequence[Mapping[str, Any]] = ((spec.get("template") or {}).get("spec") or {}).get(
        "containers"
    ) or ()
    return containers


def _word(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _present(pairs: Sequence[tuple[str, object]]) -> tuple[tuple[str, ...], ...]:
    return tuple((name, _word(value)) for name, value in pairs if value not in (None, ""))


def _metadata(job: Mapping[str, Any]) -> Mapping[str, Any]:
    return job.get("metadata") or {}


def _spec(job: Mapping[str, Any]) -> Mapping[str, Any]:
    return job.get("spec") or {}


def _status(job: Mapping[str, Any]) -> Mapping[str, Any]:
    return job.get("status") or {}
