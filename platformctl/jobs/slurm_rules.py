"""What Slurm does not support, apart from template fields, and a Queue's options for Slurm."""

from collections.abc import Iterator
from typing import Any

from platformctl.jobs import contents, pod_fields
from platformctl.jobs.model import Container, JobSpec, Refusal, Source
from platformctl.jobs.placement import REQUIRED
from platformctl.jobs.reader import Reader

QUEUE_OPTIONS = ("partition", "qos")

_POD = "spec.template.spec"


def unsupported(job: JobSpec) -> list[Refusal]:
    """Valid fields of a Job that Slurm does not support."""
    found = [
        Refusal(path, f"is not supported on slurm: {why}; or use target: kubernetes")
        for path, why in (*_fields(job), *_other_pods(job))
    ]
    return list(dict.fromkeys(found))


def attempts(job: JobSpec) -> int:
    """The router repeats the elements that failed, so the retries of an index are those of the Job."""
    return 1 + (job.retries if job.batch.per_index is None else job.batch.per_index)


def dropped(job: JobSpec) -> list[Refusal]:
    """Wishes in fields of a Job that have no effect on Slurm."""
    most = job.batch.max_failed
    if job.array is None or most is None or most >= len(job.array.indices):
        return []
    return [Refusal("spec.maxFailedIndexes", "has no effect on slurm: each element runs to its own end")]


def queue_options(reader: Reader, options: dict[str, Any], path: str) -> dict[str, Any]:
    """A Queue's fields for Slurm: partition and qos."""
    return {key: reader.name(options.get(key), f"{path}.{key}") for key in QUEUE_OPTIONS}


def _fields(job: JobSpec) -> Iterator[tuple[str, str]]:
    """Fields of a running pod, or amounts of a container, that a job on Slurm does not know."""
    containers = [*job.pod.init, *((job.container,) if job.container else ())]
    by_name = {container.name: container for container in containers}
    for name in ("initContainers", "containers"):
        for number, given in enumerate(job.pod.given.get(name) or ()):
            container = by_name.get(str(given.get("name")))
            for part, (_, value) in enumerate(container.env if container else ()):
                if container and isinstance(value, Source):
                    here = f"{_POD}.{name}[{number}].env[{part}].valueFrom"
                    yield from _unknown(job, here, value, by_name.get(value.name, container))
    for number, volume in enumerate(job.pod.volumes):
        for kind, source in contents.parts(volume.kind, volume.source):
            for item in (source.get("items") or ()) if kind == "downwardAPI" else ():
                here = f"{_POD}.volumes[{number}].{volume.kind}"
                for field, key in (("fieldRef", "fieldPath"), ("resourceFieldRef", "resource")):
                    reference = item.get(field)
                    if reference:
                        named = by_name.get(str(reference.get("containerName")), job.container)
                        yield from _unknown(job, here, Source(field, key=str(reference[key])), named)


def _unknown(
    job: JobSpec, path: str, source: Source, container: Container | None
) -> Iterator[tuple[str, str]]:
    if source.kind == "fieldRef":
        if pod_fields.known_value(job, source.key) is None and source.key not in pod_fields.ON_SLURM:
            yield path, f"a job there has no {source.key}"
    elif source.kind == "resourceFieldRef" and container:
        level, _, name = source.key.partition(".")
        amounts = container.resources.limits if level == "limits" else container.resources.requests
        if name not in amounts and name not in container.resources.limits:
            yield path, f"write {source.key} into the container's resources"


def _other_pods(job: JobSpec) -> Iterator[tuple[str, str]]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = (job.pod.given.get("affinity") or {}).get(kind) or {}
        if rules.get(REQUIRED):
            yield f"{_POD}.affinity.{kind}.{REQUIRED}", "use nodes and tasksPerNode"
