"""Reads the pod template of a Job: its containers and volumes, and what it says of the pod."""

from collections.abc import Sequence
from typing import Any

from platformctl.jobs.field_reader import FieldReader
from platformctl.jobs.model import Container, PodOptions, Target
from platformctl.jobs.pod_shapes import SELECTOR
from platformctl.jobs.reader import Reader
from platformctl.jobs.selectors import selectors, selects
from platformctl.jobs.shapes import LABEL_KEY, LABEL_VALUE, fits
from platformctl.jobs.template_container import ContainerReader
from platformctl.jobs.template_volumes import read_volumes
from platformctl.jobs.walltime import MAX_SECONDS
from platformctl.vocabulary import GROUP

# kubectl uses it too: the container whose output and exit code are the pod's.
MAIN_CONTAINER = "kubectl.kubernetes.io/default-container"
MAX_CONTAINERS = 64
# Slurm's KillWait where a site does not set it: seconds between SIGTERM and SIGKILL.
KILL_WAIT = 30

_ROOT = "spec.template"
_POD = f"{_ROOT}.spec"
# Nodes with these taints are closed to everybody's jobs.
_CLOSED = ("node-role.kubernetes.io/", "node.kubernetes.io/unschedulable", f"{GROUP}/")


class TemplateReader:
    """Reads one template; `fields` has what is wrong and what each back end lacks."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.fields = FieldReader(reader)

    def read(self, template: Any) -> tuple[Container | None, PodOptions]:
        """The main container, None if there is none, and everything else."""
        root = self.fields.known(template, _ROOT, "")
        metadata = self.fields.known(root.get("metadata"), f"{_ROOT}.metadata", "metadata.")
        pod = self.fields.known(root.get("spec"), _POD, "spec.")
        self.fields.security(pod.get("securityContext"), f"{_POD}.securityContext", "spec.securityContext.")
        policy = pod.get("restartPolicy", "Never")
        if policy not in ("Never", "OnFailure"):
            self.reader.refuse(
                f"{_POD}.restartPolicy", "must be Never, or OnFailure with backoffLimit of the Job"
            )
        volumes = read_volumes(self.fields, pod.get("volumes"), f"{_POD}.volumes")
        containers = ContainerReader(self.fields, [volume.name for volume in volumes])
        init = self._list(containers, pod.get("initContainers"), "initContainers", init=True)
        others = self._list(containers, pod.get("containers"), "containers", init=False)
        annotations = _texts(metadata.get("annotations"))
        main = self._main(others, annotations.get(MAIN_CONTAINER))
        self._tolerations(pod.get("tolerations"), f"{_POD}.tolerations")
        self._selectors(pod, _texts(metadata.get("labels")))
        return main, PodOptions(
            node_selector=self._labels(pod.get("nodeSelector"), f"{_POD}.nodeSelector"),
            volumes=volumes,
            grace_seconds=self._grace(pod.get("terminationGracePeriodSeconds")),
            init=init,
            beside=tuple(container for container in others if container is not main),
            deadline=self.reader.whole(
                pod.get("activeDeadlineSeconds"), f"{_POD}.activeDeadlineSeconds", 1, MAX_SECONDS
            ),
            service_account=self._service_account(pod),
            priority_class=self.reader.text(pod.get("priorityClassName"), f"{_POD}.priorityClassName", 253)
            or None,
            identities=tuple(self.fields.identities),
            on_failure=policy == "OnFailure",
            labels=_texts(metadata.get("labels")),
            annotations=annotations,
            given=pod,
        )

    def _list(
        self, containers: ContainerReader, value: Any, name: str, *, init: bool
    ) -> tuple[Container, ...]:
        items = self.reader.items(value, f"{_POD}.{name}", MAX_CONTAINERS)
        return tuple(
            containers.read(item, f"{_POD}.{name}[{number}]", init=init) for number, item in enumerate(items)
        )

    def _main(self, containers: Sequence[Container], named: str | None) -> Container | None:
        """The container that the annotation names, otherwise the first."""
        if not containers:
            self.reader.refuse(f"{_POD}.containers", "must have at least one container")
            return None
        for number in range(1, len(containers)):
            why = "a job has one container there: start the others from a script, or use target: kubernetes"
            self.fields.lacks(Target.SLURM, f"{_POD}.containers[{number}]", why)
        if named is None:
            return containers[0]
        main = next((container for container in containers if container.name == named), None)
        if main is None:
            where = f"{_ROOT}.metadata.annotations[{MAIN_CONTAINER}]"
            self.reader.refuse(
                where, f"names no container: there are {', '.join(one.name for one in containers)}"
            )
        return main

    def _grace(self, value: Any) -> int | None:
        path = f"{_POD}.terminationGracePeriodSeconds"
        seconds = self.reader.whole(value, path, 0, 3600)
        if seconds is not None and seconds > KILL_WAIT:
            why = f"it kills every job {KILL_WAIT} s after SIGTERM: write no more, or use target: kubernetes"
            self.fields.lacks(Target.SLURM, path, why)
        return seconds

    def _service_account(self, pod: dict[str, Any]) -> str | None:
        """The named account. Its token is mounted; without a named account there is no token."""
        names = {}
        for key in ("serviceAccountName", "serviceAccount"):
            text = self.reader.text(pod.get(key), f"{_POD}.{key}", 253)
            if text not in (None, "", "default"):
                names[key] = text
        if len(set(names.values())) > 1:
            self.reader.refuse(
                f"{_POD}.serviceAccount", f"differs from {_POD}.serviceAccountName; leave it out"
            )
        if not names and pod.get("automountServiceAccountToken"):
            why = "needs serviceAccountName with an account that the site allows; otherwise write false"
            self.reader.refuse(f"{_POD}.automountServiceAccountToken", why)
        return next(iter(names.values()), None)

    def _tolerations(self, value: Any, path: str) -> None:
        """Refuse what would let a Job on nodes that are closed to jobs."""
        for number, item in enumerate(value if isinstance(value, list) else ()):
            key = item.get("key") if isinstance(item, dict) else None
            if not isinstance(item, dict) or (key is not None and not isinstance(key, str)):
                continue
            if not key:
                self.reader.refuse(f"{path}[{number}]", "tolerates every taint; name the keys that you mean")
            elif key.startswith(_CLOSED):
                why = f"tolerates nodes that are closed to jobs, by {key[:63]}; leave it out"
                self.reader.refuse(f"{path}[{number}]", why)

    def _selectors(self, pod: dict[str, Any], labels: dict[str, str]) -> None:
        """Refuse selectors of other pods than the Job's own; those of a wrong shape are refused already."""
        for path, selector in selectors(pod):
            if fits(Reader(), SELECTOR, selector, "") and not selects(selector, labels):
                why = "must select the Job's own pods: name labels that are in template.metadata.labels"
                self.reader.refuse(f"{_POD}.{path}", why)

    def _labels(self, value: Any, path: str) -> dict[str, str]:
        labels = self.reader.text_map(value, path, 64)
        for key, text in labels.items():
            if not LABEL_KEY.fullmatch(key):
                self.reader.refuse(f"{path}[{key[:253]}]", "is not the key of a label")
            if not LABEL_VALUE.fullmatch(text):
                self.reader.refuse(f"{path}[{key[:253]}]", "is not a label value")
        return labels


def _texts(value: Any) -> dict[str, str]:
    """Labels or annotations; what is wrong with them is refused elsewhere."""
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}
