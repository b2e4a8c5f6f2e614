"""The ConfigMaps and Secrets that a template names, and what is in them.

Kubernetes reads them itself. For Slurm the router reads them when it submits the Job, and their content
becomes part of the job. Admission has checked that the submitter may read each of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.jobs.model import Container, JobSpec

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
# Bytes of all of them in one job: Slurm keeps the batch script and the environment for each job.
MAX_CONTENT = 512 * 1024

_OF_VARIABLES = {
    "configMapKeyRef": CONFIG_MAP,
    "configMapRef": CONFIG_MAP,
    "secretKeyRef": SECRET,
    "secretRef": SECRET,
}
_OF_VOLUMES = {"configMap": (CONFIG_MAP, "name"), "secret": (SECRET, "secretName")}


@dataclass(frozen=True, order=True)
class Named:
    """A ConfigMap or a Secret of the Job's namespace. optional: everything that names it says so."""

    kind: str
    name: str
    optional: bool = False


type Contents = Mapping[tuple[str, str], Mapping[str, bytes]]
"""For the kind and the name of an object its entries; an optional object that does not exist is absent."""


class UnusableError(ValueError):
    """A content that a job cannot have; the text says which and why."""


def kind_of(field: str) -> str | None:
    """The kind of object that a field of valueFrom or envFrom names; None for a field of the pod."""
    return _OF_VARIABLES.get(field)


def named(job: JobSpec) -> tuple[Named, ...]:
    """The objects that the containers of a Job need, each once."""
    needed: dict[tuple[str, str], bool] = {}
    for one in _all(job):
        key = (one.kind, one.name)
        needed[key] = needed.get(key, True) and one.optional
    return tuple(Named(kind, name, optional) for (kind, name), optional in sorted(needed.items()))


def parts(volume_kind: str, source: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sources of a volume, with the kind of each: those of a projected one, or the volume itself."""
    if volume_kind != "projected":
        yield volume_kind, source
        return
    for part in source.get("sources") or ():
        for kind, inner in part.items():
            yield kind, {**inner, "secretName": inner.get("name")} if kind == "secret" else inner


def _all(job: JobSpec) -> Iterator[Named]:
    for container in (*job.pod.init, *((job.container,) if job.container else ())):
        yield from _of_container(container)
    for volume in job.pod.volumes:
        for kind, source in parts(volume.kind, volume.source):
            if kind in _OF_VOLUMES:
                object_kind, field = _OF_VOLUMES[kind]
                yield Named(object_kind, str(source.get(field)), source.get("optional") is True)


def _of_container(container: Container) -> Iterator[Named]:
    for _, source in (*container.env_from, *container.env):
        if not isinstance(source, str) and (kind := kind_of(source.kind)):
            yield Named(kind, source.name, source.optional)
