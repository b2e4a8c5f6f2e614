"""The downward API on Kubernetes: a template's labels and annotations, which the pods of a Job do not have.

They stay on the Job: on a pod they could join services or steer the network. A variable or a file of them
gets the value itself: a variable as text, a file from an annotation of the router's own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from platformctl.jobs.model import Container, JobSpec
from platformctl.vocabulary import GROUP

INDEX_FIELD = "metadata.annotations['batch.kubernetes.io/job-completion-index']"

# What a job on Slurm knows of the fields that only a running pod has.
ON_SLURM = frozenset(
    {"metadata.name", "metadata.namespace", "spec.nodeName", "spec.serviceAccountName", INDEX_FIELD}
)

_PATH = re.compile(r"metadata\.(labels|annotations)(?:\['(.*)'\])?")


def known_value(job: JobSpec, path: str) -> str | None:
    """The value of a field of the pod that the template says; None for what only the running pod knows."""
    match = _PATH.fullmatch(path)
    if match is None or path == INDEX_FIELD:
        return None
    texts = job.pod.labels if match[1] == "labels" else job.pod.annotations
    if match[2] is not None:
        return texts.get(match[2], "")
    # The form in which the kubelet writes all labels: one line each, with the value quoted as in Go.
    return "".join(f"{key}={_quoted(texts[key])}\n" for key in sorted(texts))


def environment(job: JobSpec, container: Container) -> list[dict[str, Any]]:
    """The variables of a container, as in the template."""
    return [_variable(job, item) for item in container.given.get("env") or ()]


def volumes(job: JobSpec) -> list[dict[str, Any]]:
    """The volumes of a template."""
    return [_volume(job, volume) for volume in job.pod.given.get("volumes") or ()]


def annotations(job: JobSpec) -> dict[str, str]:
    """The pod's annotations that files are made from."""
    return {_annotation(job, path): known_value(job, path) or "" for path in _in_files(job)}


def _variable(job: JobSpec, item: Mapping[str, Any]) -> dict[str, Any]:
    path = ((item.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
    value = known_value(job, path)
    if value is None:
        return dict(item)
    # The kubelet reads $$ as $.
    return {"name": item["name"], "value": value.replace("$", "$$")}


def _volume(job: JobSpec, volume: Mapping[str, Any]) -> dict[str, Any]:
    if volume.get("downwardAPI"):
        return {**volume, "downwardAPI": _items(job, volume["downwardAPI"])}
    if volume.get("projected"):
        sources = [
            {**source, "downwardAPI": _items(job, source["downwardAPI"])}
            if source.get("downwardAPI")
            else source
            for source in volume["projected"].get("sources") or ()
        ]
        return {**volume, "projected": {**volume["projected"], "sources": sources}}
    return dict(volume)


def _items(job: JobSpec, source: Mapping[str, Any]) -> dict[str, Any]:
    items = []
    for item in source.get("items") or ():
        path = (item.get("fieldRef") or {}).get("fieldPath", "")
        if known_value(job, path) is not None:
            field = f"metadata.annotations['{_annotation(job, path)}']"
            item = {**item, "fieldRef": {"fieldPath": field}}
        items.append(item)
    return {**source, "items": items}


def _annotation(job: JobSpec, path: str) -> str:
    return f"{GROUP}/field-{_in_files(job).index(path)}"


def _in_files(job: JobSpec) -> list[str]:
    """The paths of known fields that files are made from, each once."""
    paths = (item.get("fieldRef", {}).get("fieldPath", "") for item in _all_items(job))
    return [path for path in dict.fromkeys(paths) if known_value(job, path) is not None]


def _all_items(job: JobSpec) -> Iterator[Mapping[str, Any]]:
    for volume in job.pod.given.get("volumes") or ():
        yield from (volume.get("downwardAPI") or {}).get("items") or ()
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from (source.get("downwardAPI") or {}).get("items") or ()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
