"""The fields of batch/v1's JobSpec in a Job, so that a manifest of batch/v1 becomes a Job by one line.

Some of them mean the same as a field that a Job has anyway:

| batch/v1 | Job |
|---|---|
| completions, parallelism, completionMode | array, or tasks where all run at once |
| backoffLimit | retries |
| activeDeadlineSeconds | walltime |
| ttlSecondsAfterFinished | ttlAfterFinished |

Both may be there if they say the same; otherwise both paths are refused. What the API server fills in when it
stores a batch/v1 Job, such as the selector, is the router's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.jobs.array import MAX_ELEMENTS, array_text, parse_array
from platformctl.jobs.model import Array, Batch, FailureRule, Refusal, SuccessRule
from platformctl.jobs.reader import Reader
from platformctl.jobs.shapes import Shape, fields, fits, list_of, one_of, pattern, refused, text, whole
from platformctl.jobs.template_container import CONTAINER_NAME
from platformctl.jobs.walltime import MAX_SECONDS

MAX_RETRIES = 100
# batch/v1's own default, which counts here only where a template says OnFailure.
DEFAULT_RETRIES = 6
FIELDS = (
    "completions", "parallelism", "completionMode", "backoffLimit", "backoffLimitPerIndex",
    "maxFailedIndexes", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "podFailurePolicy",
    "successPolicy", "podReplacementPolicy", "selector", "manualSelector",
)  # fmt: skip

_MAX_RULES, _MAX_CODES = 20, 255
_ACTIONS = ("FailJob", "FailIndex", "Ignore", "Count")
_CONTAINER = pattern(CONTAINER_NAME, "the name of a container")
_FAILURE: Shape = fields(
    {
        "rules": list_of(
            fields(
                {"action": one_of(*_ACTIONS)},
                onExitCodes=fields(
                    {"operator": one_of("In", "NotIn"), "values": list_of(whole(0, 255), _MAX_CODES)},
                    containerName=_CONTAINER,
                ),
                onPodConditions=list_of(
                    fields({"type": text(316)}, status=one_of("True")),
                    _MAX_RULES,
                ),
            ),
            _MAX_RULES,
        )
    }
)
_SUCCESS: Shape = fields(
    {"rules": list_of(fields(succeededIndexes=text(8192), succeededCount=whole(1, MAX_ELEMENTS)), _MAX_RULES)}
)
_THE_ROUTERS = "the router makes the batch Job and selects its pods; leave it out"


@dataclass(frozen=True)
class Same:
    """The values of the Job's own fields that batch/v1's fields gave. None for those that are not there."""

    array: Array | None = None
    tasks: int | None = None
    retries: int | None = None
    walltime: int | None = None
    ttl: int | None = None


# No need is told one by one: what the first remedy would ask for is said at once.
_NEEDS_INDICES = "FailIndex needs backoffLimitPerIndex, with completionMode: Indexed and completions"


def read_batch(reader: Reader, spec: Mapping[str, Any], array: Array | None) -> tuple[Batch, Same]:
    """The fields of batch/v1 in a spec, and what they say of the Job's own. array: of spec.array, if any."""
    completions = reader.whole(spec.get("completions"), "spec.completions", 1, MAX_ELEMENTS)
    parallelism = _parallelism(reader, spec.get("parallelism"))
    mode = spec.get("completionMode")
    one_of("Indexed", "NonIndexed")(reader, mode, "spec.completionMode")
    indexed = mode == "Indexed"
    if indexed and completions is None and array is None:
        reader.refuse("spec.completions", "must say how many indices completionMode Indexed has")
    written, tasks = _elements(reader, spec, array, completions, parallelism, indexed)
    given = {name: spec[name] for name in ("podFailurePolicy", "successPolicy") if spec.get(name) is not None}
    _for_indexed_alone(reader, spec, indexed or array is not None)
    _made_by_the_router(reader, spec)
    batch = Batch(
        completions=written is not None,
        indexed=written is None or indexed,
        counted=completions is not None or written is None,
        per_index=reader.whole(spec.get("backoffLimitPerIndex"), "spec.backoffLimitPerIndex", 0, MAX_RETRIES),
        max_failed=reader.whole(spec.get("maxFailedIndexes"), "spec.maxFailedIndexes", 0, MAX_ELEMENTS),
        failure=_failure(reader, spec.get("podFailurePolicy"), spec.get("backoffLimitPerIndex") is not None),
        success=_success(reader, spec.get("successPolicy"), completions),
        given=given,
    )
    return batch, Same(
        array=written,
        tasks=tasks,
        retries=reader.whole(spec.get("backoffLimit"), "spec.backoffLimit", 0, MAX_RETRIES),
        walltime=reader.whole(
            spec.get("activeDeadlineSeconds"), "spec.activeDeadlineSeconds", 1, MAX_SECONDS
        ),
        ttl=reader.whole(spec.get("ttlSecondsAfterFinished"), "spec.ttlSecondsAfterFinished", 0, MAX_SECONDS),
    )


def dropped(spec: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """Wishes in fields of batch/v1 that have no effect on any back end."""
    if spec.get("podReplacementPolicy") != "TerminatingOrFailed":
        return ()
    why = "has no effect: a pod is replaced only when the old one is dead"
    return (Refusal("spec.podReplacementPolicy", why),)


def agreed[T](reader: Reader, *given: tuple[str, T | None], unit: str = "") -> T | None:
    """The value that fields of the same meaning have, as pairs of path and value; refused if they differ."""
    there = [(path, value) for path, value in given if value is not None]
    for path, value in there[1:]:
        first, same = there[0]
        if value != same:
            reader.refuse(
                path, f"is {value}{unit}, but {first} is {same}{unit}: they mean the same, so leave one out"
            )
    return there[0][1] if there else None


def _parallelism(reader: Reader, value: Any) -> int | None:
    if value == 0 and not isinstance(value, bool):
        reader.refuse(
            "spec.parallelism", "must be at least 1; to keep the Job from starting, use suspend: true"
        )
        return None
    return reader.whole(value, "spec.parallelism", 1, 2**31 - 1)


def _elements(
    reader: Reader,
    spec: Mapping[str, Any],
    array: Array | None,
    completions: int | None,
    parallelism: int | None,
    indexed: bool,
) -> tuple[Array | None, int | None]:
    """The array, or the tasks, that completions and parallelism mean; None for a Job of one."""
    tasks = spec.get("tasks")
    if isinstance(tasks, int) and tasks > 1 and not isinstance(tasks, bool) and (completions or parallelism):
        agreed(
            reader,
            ("spec.tasks", tasks),
            ("spec.completions", completions),
            ("spec.parallelism", parallelism),
        )
        return None, tasks
    if array is not None:
        if spec.get("completionMode") == "NonIndexed":
            reader.refuse(
                "spec.completionMode", "must be Indexed, as spec.array has indices; or leave it out"
            )
        if completions is not None and array.indices != tuple(range(completions)):
            reader.refuse(
                "spec.completions",
                f'is {completions}, but spec.array is "{array_text(array)[:60]}": they mean the same, '
                "so leave one out",
            )
        limit = array.limit or len(array.indices)
        if parallelism is not None and min(parallelism, len(array.indices)) != min(limit, len(array.indices)):
            reader.refuse(
                "spec.parallelism",
                f"is {parallelism}, but spec.array lets {limit} run at once: they mean the same, so leave "
                f'one out, or write "%{parallelism}" in spec.array',
            )
        return None, None
    count = completions if completions is not None else parallelism
    if completions is None and count is not None and count > MAX_ELEMENTS:
        reader.refuse("spec.parallelism", f"must be at most {MAX_ELEMENTS} without completions")
        return None, None
    if count is None or (count == 1 and not indexed):
        return None, None
    at_once = min(parallelism or (1 if completions else count), count)
    return Array(tuple(range(count)), None if at_once == count else at_once), None


def _for_indexed_alone(reader: Reader, spec: Mapping[str, Any], indexed: bool) -> None:
    for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
        if spec.get(name) is not None and not indexed:
            reader.refuse(f"spec.{name}", "needs completionMode: Indexed with completions, or spec.array")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        reader.refuse(
            "spec.maxFailedIndexes", "needs backoffLimitPerIndex: write 0 for no retries of an index"
        )


def _made_by_the_router(reader: Reader, spec: Mapping[str, Any]) -> None:
    refused(_THE_ROUTERS)(reader, spec.get("selector"), "spec.selector")
    refused(_THE_ROUTERS)(reader, spec.get("manualSelector"), "spec.manualSelector")
    one_of("Failed", "TerminatingOrFailed")(
        reader, spec.get("podReplacementPolicy"), "spec.podReplacementPolicy"
    )


def _failure(reader: Reader, value: Any, per_index: bool) -> tuple[FailureRule, ...]:
    """The rules of podFailurePolicy."""
    if not fits(reader, _FAILURE, value, "spec.podFailurePolicy") or value is None:
        return ()
    rules = []
    for number, item in enumerate(value["rules"]):
        here = f"spec.podFailurePolicy.rules[{number}]"
        codes, conditions = item.get("onExitCodes"), item.get("onPodConditions")
        if (codes is None) == (not conditions):
            reader.refuse(here, "must have one of onExitCodes and onPodConditions")
            continue
        if item["action"] == "FailIndex" and not per_index:
            reader.refuse(f"{here}.action", _NEEDS_INDICES)
        if codes and (codes["operator"] == "In") and 0 in codes["values"]:
            reader.refuse(f"{here}.onExitCodes.values", "must not have 0, which is a success")
        rules.append(
            FailureRule(
                action=item["action"],
                codes=frozenset(codes["values"]) if codes else frozenset(),
                others=bool(codes) and codes["operator"] == "NotIn",
                container=codes.get("containerName") if codes else None,
                conditions=tuple(condition["type"] for condition in conditions or ()),
            )
        )
    return tuple(rules)


def _success(reader: Reader, value: Any, completions: int | None) -> tuple[SuccessRule, ...]:
    """The rules of successPolicy."""
    if not fits(reader, _SUCCESS, value, "spec.successPolicy") or value is None:
        return ()
    rules = []
    for number, item in enumerate(value["rules"]):
        here = f"spec.successPolicy.rules[{number}]"
        written, count = item.get("succeededIndexes"), item.get("succeededCount")
        if written is None and count is None:
            reader.refuse(here, "must have succeededIndexes or succeededCount")
        named = reader.convert(written, f"{here}.succeededIndexes", parse_array)
        indices = frozenset(named.indices) if named else None
        if indices and completions is not None and max(indices) >= completions:
            reader.refuse(f"{here}.succeededIndexes", f"names an index above {completions - 1}, the last one")
        most = len(indices) if indices else completions
        if count is not None and most is not None and count > most:
            reader.refuse(f"{here}.succeededCount", f"is more than the {most} indices that count")
        rules.append(SuccessRule(indices, count))
    return tuple(rules)
