"""Where a pod template may run on Slurm, and what its claims are there: as far as the site maps them.

A site maps labels of nodes to features of Slurm's nodes, and claims to folders on Slurm's hosts. A label or a
claim that is not mapped is a need that Slurm does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.jobs import features
from platformctl.jobs.features import Choice
from platformctl.jobs.model import JobSpec, OnSlurm, Policy, Refusal
from platformctl.jobs.placement import REQUIRED
from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.jobs.slurm_block import GPUS, PATH
from platformctl.jobs.template_resources import is_device
from platformctl.vocabulary import DEVICE_LABELS

_POD = "spec.template.spec"
_NODE_AFFINITY = f"{_POD}.affinity.nodeAffinity.{REQUIRED}"
# A node has the same name in both schedulers.
_HOST_NAME = "kubernetes.io/hostname"
# Labels that every node of Slurm meets: a site has one kind of operating system.
_ALWAYS = {"kubernetes.io/os": "linux"}
_ASK = "ask the site to map it to {what}, or use target: kubernetes"


def place(job: JobSpec, policy: Policy, namespace: str) -> tuple[OnSlurm, list[Refusal]]:
    """What the policy makes of the template, and what it does not map."""
    reading = _Reading(policy)
    parts = [
        reading.feature(f"{_POD}.nodeSelector[{key}]", key, [value])
        for key, value in job.pod.node_selector.items()
    ]
    parts.append(reading.affinity((job.pod.given.get("affinity") or {}).get("nodeAffinity") or {}))
    constraint = reading.joined(job.slurm.get("constraint", ""), [part for part in parts if part])
    reading.one_node(job)
    folders = dict(_folders(job, policy, namespace, reading.refusals))
    devices = dict(_devices(job, policy, reading.refusals))
    secret = [] if policy.slurm_secrets else list(_secrets(job))
    reading.refusals += [Refusal(path, f"is not supported on slurm here: {_READABLE}") for path in secret]
    types = _types(job, devices, reading)
    found = OnSlurm(constraint, reading.hosts, reading.excluded, folders, devices, types)
    return found, reading.refusals


_READABLE = (
    "Slurm's operators could read it. Keep it in a file of your home that only you can read, or use "
    "target: kubernetes"
)


def asked(job: JobSpec) -> dict[str, Any]:
    """The fields of `spec.slurm`, which hold for the nodes besides what the template needs of them."""
    block, place = dict(job.slurm), job.on_slurm
    if place.constraint:
        block["constraint"] = place.constraint
    if place.hosts:
        block["nodelist"] = place.hosts[0]
    if place.excluded:
        block["exclude"] = ",".join(dict.fromkeys(filter(None, (block.get("exclude"), *place.excluded))))
    return block


class _Reading:
    """Translates rules about labels of nodes to an expression of features."""

    def __init__(self, policy: Policy) -> None:
        self._features = policy.node_features
        self._devices = {"gpu", *policy.devices.values()}
        self.types: dict[str, str] = {}
        self.refusals: list[Refusal] = []
        self.hosts: tuple[str, ...] = ()
        self.excluded: tuple[str, ...] = ()

    def joined(self, constraint: str, parts: Sequence[Choice]) -> str:
        """The expression of all that the template needs, and of `spec.slurm.constraint` besides."""
        if not parts:
            return constraint
        given = []
        try:
            given = [features.read(constraint)] if constraint else []
        except ValueError as error:
            why = f"cannot be joined with what the template needs of nodes: it {error}; keep one of them"
            self.refusals.append(Refusal(f"{PATH}.constraint", why))
        try:
            return features.text(features.all_of([*given, *parts]))
        except ValueError as error:
            self._too_much(_NODE_AFFINITY, error)
            return ""

    def one_node(self, job: JobSpec) -> None:
        """The template's host name is one node: nothing else may ask for another, or for several."""
        if not self.hosts:
            return
        name = self.hosts[0]
        listed = job.slurm.get("nodelist", name)
        if listed != name:
            why = f"is {listed[:60]}, and the template's host name is {name}: keep one of them"
            self.refusals.append(Refusal(f"{PATH}.nodelist", why))
        if (job.nodes or 1) > 1:
            why = f"is {job.nodes}, and the template's host name is one node: keep one of them"
            self.refusals.append(Refusal("spec.nodes", why))

    def feature(self, path: str, key: str, values: Sequence[str]) -> Choice:
        """One of some values of a label; nothing if every node has it, or if it is refused."""
        if any(_ALWAYS.get(key) == value for value in values):
            return features.ANY
        if key == _HOST_NAME:
            if len(values) > 1:
                self._refuse(path, "Slurm takes one node of a list only by a feature", "a feature")
            elif self.hosts and self.hosts != tuple(values):
                other = f"is {values[0]}, and another host name is {self.hosts[0]}: keep one of them"
                self.refusals.append(Refusal(path, other))
            self.hosts = tuple(values)
            return features.ANY
        domain, _, label = key.partition("/")
        if domain == DEVICE_LABELS and f"{key}={values[0]}" not in self._features:
            return self._device(path, label, values)
        found = [self._features.get(f"{key}={value}") for value in values]
        if None in found:
            missing = next(value for value, feature in zip(values, found, strict=True) if feature is None)
            self._refuse(path, f"the site maps {key}={missing} to no feature", "a feature")
            return features.ANY
        return features.one_of([feature for feature in found if feature])

    def _device(self, path: str, label: str, values: Sequence[str]) -> Choice:
        """A label of a node's devices: their type is the one that the Job's generic resource must be of."""
        name = label.removesuffix("-type")
        if name not in self._devices or (label == name and list(values) != ["present"]):
            self._refuse(path, f"no device of Slurm is called {name}", "a device")
        elif label != name and (len(values) > 1 or self.types.get(name, values[0]) != values[0]):
            self._refuse(path, "Slurm has no choice between types of a device", "a device")
        elif label != name:
            self.types[name] = values[0]
        return features.ANY

    def affinity(self, rules: Mapping[str, Any]) -> Choice:
        """The required terms: one of them must hold."""
        terms = (rules.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
        found = []
        for number, term in enumerate(terms):
            here = f"{_NODE_AFFINITY}.nodeSelectorTerms[{number}]"
            try:
                found.append(self._term(here, term, alone=len(terms) == 1))
            except ValueError as error:
                self._too_much(here, error)
        # A term that every node meets makes the others needless.
        return features.either(found)

    def _term(self, path: str, term: Mapping[str, Any], alone: bool) -> Choice:
        parts = []
        for name, key in (("matchExpressions", ""), ("matchFields", _HOST_NAME)):
            for number, rule in enumerate(term.get(name) or ()):
                values = rule.get("values") or []
                here = f"{path}.{name}[{number}]"
                parts.append(self._expression(here, key or rule["key"], rule["operator"], values, alone))
        return features.all_of(parts)

    def _expression(self, path: str, key: str, operator: str, values: list[str], alone: bool) -> Choice:
        if key == _HOST_NAME and alone and operator == "NotIn":
            self.excluded += tuple(values)
            return features.ANY
        if key == _HOST_NAME and not alone:
            self._refuse(path, "Slurm has no choice between nodes and features", "a feature")
            return features.ANY
        if operator == "In":
            return self.feature(path, key, values)
        if operator == "Exists":
            there = [feature for label, feature in self._features.items() if label.startswith(f"{key}=")]
            if there:
                return features.one_of(there)
            self._refuse(path, f"the site maps no value of {key} to a feature", "features")
            return features.ANY
        self._refuse(path, f"Slurm has no {operator} for features", "a feature")
        return features.ANY

    def _too_much(self, path: str, error: ValueError) -> None:
        why = f"is not supported on slurm: it {error}; ask for fewer, or use target: kubernetes"
        self.refusals.append(Refusal(path, why))

    def _refuse(self, path: str, why: str, what: str) -> None:
        message = f"is not supported on slurm here: {why}; {_ASK.format(what=what)}"
        self.refusals.append(Refusal(path, message))


def _devices(job: JobSpec, policy: Policy, refusals: list[Refusal]) -> Iterator[tuple[str, int]]:
    """How many devices a task needs, by the names that Slurm has for them."""
    asked = {**job.resources.limits, **job.resources.requests}
    counts: dict[str, int] = {}
    for resource, text in asked.items():
        amount = ceiling(parse_quantity(text)) if is_device(resource) else 0
        if amount and resource in policy.devices:
            name = policy.devices[resource]
            counts[name] = counts.get(name, 0) + amount
        elif amount:
            there = ", ".join(sorted(policy.devices)) or "none besides GPUs"
            why = f"it has no device {resource} (there are: {there}); use target: kubernetes"
            refusals.append(Refusal(_asked_at(job, resource), f"is not supported on slurm here: {why}"))
    for field in GPUS if counts else ():
        if field in job.slurm:
            # One would replace the other.
            why = "is not supported on slurm beside devices in resources: write all devices in one of both"
            refusals.append(Refusal(f"spec.slurm.{field}", why))
    yield from counts.items()


def _asked_at(job: JobSpec, resource: str) -> str:
    """The path of a resource: that of the first container that asks for it."""
    if not job.container:
        return f"spec.resources[{resource}]"
    for kind in ("containers", "initContainers"):
        for number, container in enumerate(job.pod.given.get(kind) or ()):
            for level in ("limits", "requests"):
                if resource in ((container.get("resources") or {}).get(level) or {}):
                    return f"{_POD}.{kind}[{number}].resources.{level}[{resource}]"
    return f"{_POD}.containers[0].resources.limits[{resource}]"


def _types(job: JobSpec, devices: Mapping[str, int], reading: "_Reading") -> dict[str, str]:
    """The types of the devices that the job asks for. A type alone would get it no device, and so no node."""
    for name in reading.types:
        if not devices.get(name) and not (name == "gpu" and job.resources.gpus):
            path = f"{_POD}.nodeSelector[{DEVICE_LABELS}/{name}-type]"
            why = f"is not supported on slurm here: ask for a {name} in the container's resources as well"
            reading.refusals.append(Refusal(path, why))
    return reading.types


def _folders(
    job: JobSpec, policy: Policy, namespace: str, refusals: list[Refusal]
) -> Iterator[tuple[str, str]]:
    for number, volume in enumerate(job.pod.volumes):
        if volume.kind != "persistentVolumeClaim":
            continue
        claim = str(volume.source.get("claimName"))
        folder = policy.claim_folders.get(f"{namespace}/{claim}")
        if folder:
            yield volume.name, folder
        else:
            path = f"{_POD}.volumes[{number}].persistentVolumeClaim"
            why = f"is not supported on slurm here: the site maps the claim {claim} to no folder; "
            refusals.append(Refusal(path, why + "use files of your home, or target: kubernetes"))


def _secrets(job: JobSpec) -> Iterator[str]:
    """The paths of everything that is made from a Secret and would be in a job on Slurm."""
    for number, volume in enumerate(job.pod.volumes):
        here = f"{_POD}.volumes[{number}]"
        if volume.kind == "secret":
            yield f"{here}.secret"
        for part, source in enumerate(
            volume.source.get("sources") or () if volume.kind == "projected" else ()
        ):
            if source.get("secret"):
                yield f"{here}.projected.sources[{part}].secret"
    for name in ("initContainers", "containers"):
        for number, container in enumerate(job.pod.given.get(name) or ()):
            yield from _secret_variables(f"{_POD}.{name}[{number}]", container)


def _secret_variables(path: str, container: Mapping[str, Any]) -> Iterator[str]:
    for part, item in enumerate(container.get("env") or ()):
        if (item.get("valueFrom") or {}).get("secretKeyRef"):
            yield f"{path}.env[{part}].valueFrom.secretKeyRef"
    for part, item in enumerate(container.get("envFrom") or ()):
        if item.get("secretRef"):
            yield f"{path}.envFrom[{part}].secretRef"
