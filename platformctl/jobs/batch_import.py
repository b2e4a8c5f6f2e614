"""Turns manifests of batch/v1 into Jobs: another apiVersion, and without what only the API server writes.

Everything that is left out or means something else is in the notes, with its path.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from platformctl.jobs.batch import DEFAULT_RETRIES
from platformctl.jobs.manifest import NotAManifestError, name_stem
from platformctl.vocabulary import API_VERSION, JOB_KIND

BATCH = "batch/v1"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# What the API server writes into a stored Job; kubectl create would not take some of it back.
_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields")
_OF_THE_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)
_CONTROLLER = "kubernetes.io/job-controller"


@dataclass(frozen=True)
class Imported:
    """Jobs, ready to submit, and notes about what differs, for people."""

    jobs: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


@dataclass
class _Work:
    """One import in progress."""

    stem: str
    jobs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_manifest(text: str) -> bool:
    """Whether a text is a manifest and no script: it says which API it is for."""
    return not text.startswith("#!") and "apiVersion" in text


def from_batch(text: str, stem: str) -> Imported:
    """The Jobs of a YAML or JSON text, which may have several documents and Lists.

    stem: for the names of Jobs without one. Jobs of this API stay as they are. NotAManifestError: the text is
    not YAML, or has no Job.
    """
    work = _Work(stem)
    try:
        for document in yaml.safe_load_all(text):
            for item in _items(document):
                _take(work, item)
    except yaml.YAMLError as error:
        raise NotAManifestError(f"is not YAML: {error}") from error
    if not work.jobs:
        raise NotAManifestError(f"holds no Job of {BATCH}")
    return Imported(tuple(work.jobs), tuple(work.notes))


def _items(document: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a document: itself, or those of a List."""
    if document is None:
        return
    if not isinstance(document, Mapping):
        raise NotAManifestError("holds something else than Kubernetes objects")
    if str(document.get("kind")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _items(item)
    else:
        yield document


def _take(work: _Work, item: Mapping[str, Any]) -> None:
    kind, version = str(item.get("kind")), str(item.get("apiVersion"))
    metadata = item.get("metadata") if isinstance(item.get("metadata"), Mapping) else {}
    name = str((metadata or {}).get("name") or (metadata or {}).get("generateName") or "without a name")
    if (version, kind) == (API_VERSION, JOB_KIND):
        work.jobs.append(dict(item))
    elif (version, kind) == (BATCH, JOB_KIND):
        work.jobs.append(_converted(work, item, name))
    else:
        work.notes.append(f"the {kind} {name} of {version} is left out: create it with kubectl")


def _converted(work: _Work, item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The Job, with notes that begin with its name if there are several."""

    def note(path: str, what: str) -> None:
        work.notes.append(f"{name}: {path} {what}")

    job: dict[str, Any] = {**item, "apiVersion": API_VERSION}
    if job.pop("status", None):
        note("status", "is left out: it is the old Job's")
    metadata = dict(item.get("metadata") or {})
    for key in _OF_THE_SERVER:
        if metadata.pop(key, None) is not None:
            note(f"metadata.{key}", "is left out: the API server writes it")
    _without(metadata, "labels", _OF_THE_CONTROLLER)
    _without(metadata, "annotations", (_LAST_APPLIED,))
    if not metadata.get("name") and not metadata.get("generateName"):
        metadata["generateName"] = f"{name_stem(work.stem)}-"
        note("metadata.generateName", f"is set to {metadata['generateName']}, as the Job has no name")
    job["metadata"] = metadata
    if isinstance(item.get("spec"), Mapping):
        job["spec"] = _spec(item["spec"], note)
    return job


def _spec(given: Mapping[str, Any], note: Any) -> dict[str, Any]:
    spec = dict(given)
    if spec.get("selector") is not None or spec.get("manualSelector"):
        note("spec.selector", "is left out: the router selects the pods of the batch Job that it makes")
    spec.pop("selector", None)
    spec.pop("manualSelector", None)
    if spec.get("managedBy") == _CONTROLLER:
        note("spec.managedBy", "is left out: it names the controller of batch/v1")
        del spec["managedBy"]
    template = spec.get("template")
    pod: Mapping[str, Any] = {}
    if isinstance(template, Mapping):
        spec["template"] = template = dict(template)
        if isinstance(template.get("metadata"), Mapping):
            template["metadata"] = dict(template["metadata"])
            _without(template["metadata"], "labels", _OF_THE_CONTROLLER)
        inside = template.get("spec")
        pod = inside if isinstance(inside, Mapping) else {}
    again = pod.get("restartPolicy") == "OnFailure"
    if spec.get("backoffLimit") is None and spec.get("backoffLimitPerIndex") is None and not again:
        what = f"is not set: a failure is final. {BATCH} tries again {DEFAULT_RETRIES} times"
        note("spec.backoffLimit", f"{what}: to keep that, add backoffLimit: {DEFAULT_RETRIES}")
    if again:
        note("spec.template.spec.restartPolicy", "OnFailure tries again in a new pod, not in the same one")
    if spec.get("activeDeadlineSeconds") is not None:
        note("spec.activeDeadlineSeconds", "counts for each pod from its start: waiting does not count")
    if spec.get("podReplacementPolicy") == "TerminatingOrFailed":
        note("spec.podReplacementPolicy", "has no effect: a pod is replaced only when the old one is dead")
    return spec


def _without(metadata: dict[str, Any], part: str, keys: tuple[str, ...]) -> None:
    """Remove entries that a controller wrote, and the part if nothing is left of it."""
    entries = metadata.get(part)
    if isinstance(entries, Mapping) and not set(keys).isdisjoint(entries):
        metadata[part] = {key: text for key, text in entries.items() if key not in keys}
        if not metadata[part]:
            del metadata[part]
