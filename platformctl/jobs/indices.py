"""Which outputs a Job has by index: elements of an array, completions, and on Kubernetes tasks of several."""

from collections.abc import Mapping, Sequence
from typing import Any

from platformctl.jobs.array import array_text, parse_array
from platformctl.jobs.model import BACKENDS, Array, Target
from platformctl.jobs.targets import BACK_ENDS, OutputIn


def indices(job: Mapping[str, Any]) -> Sequence[int]:
    """All of them in order; empty for a Job of one output."""
    spec, status = job.get("spec") or {}, job.get("status") or {}
    if spec.get("array") is not None:
        try:
            return parse_array(spec["array"]).indices
        except ValueError:
            return ()
    tasks, backend = spec.get("tasks"), status.get("backend")
    in_files = backend in BACKENDS and BACK_ENDS[Target(backend)].output is OutputIn.FILE
    if isinstance(tasks, int) and tasks > 1:
        # Where the output is a file, all tasks write into it.
        return () if in_files else range(tasks)
    count, indexed = (
        spec.get("completions") or spec.get("parallelism"),
        spec.get("completionMode") == "Indexed",
    )
    if not isinstance(count, int) or (count == 1 and not indexed):
        return ()
    # Pods without an index have no names of their own; files have.
    return range(count) if indexed or in_files else ()


def wrong_index(job: Mapping[str, Any], index: int | None) -> str:
    """Why a Job has no output of that index, in words that follow its name; empty if it may have one."""
    there = indices(job)
    if index is None or index in there:
        return ""
    if not there:
        return "has one output, without an index"
    return f"has no index {index}; its indices are {array_text(Array(tuple(there)))}"
