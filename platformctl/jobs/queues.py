"""The Queue resource of kfoundry.io/v1alpha1: where its jobs may go, who may use it, and how much."""

import re
from collections.abc import Mapping
from typing import Any

from platformctl.jobs.model import BACKENDS, Limits, Queue, Refusal, Target
from platformctl.jobs.reader import Reader
from platformctl.jobs.walltime import parse_walltime

MAX_COUNT = 100_000_000
FIELDS = (
    "targets", "default", "defaultWalltime", "maxWalltime", "users", "accounts", "limits", "preemptible",
)  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_LABEL_KEY = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)


def parse_queue(name: str, spec: object) -> Queue | list[Refusal]:
    """Check the spec of a Queue whatever it holds; never raises. All mistakes are reported together."""
    reader = Reader()
    fields = reader.only(reader.mapping(spec, "spec"), "spec", FIELDS)
    targets = _targets(reader, fields.get("targets"))
    slurm, kubernetes = targets.get(Target.SLURM, {}), targets.get(Target.KUBERNETES, {})
    limits = reader.mapping(fields.get("limits"), "spec.limits")
    reader.only(limits, "spec.limits", ("perUser", "perAccount"))
    default = reader.convert(fields.get("defaultWalltime"), "spec.defaultWalltime", parse_walltime)
    longest = reader.convert(fields.get("maxWalltime"), "spec.maxWalltime", parse_walltime)
    if default and longest and default > longest:
        reader.refuse("spec.defaultWalltime", "must not be longer than maxWalltime")
    queue = Queue(
        name=name,
        targets=tuple(targets) or BACKENDS,
        partition=slurm.get("partition"),
        qos=slurm.get("qos"),
        node_selector=kubernetes.get("nodeSelector", {}),
        pod_priority_class=kubernetes.get("priorityClassName"),
        default_walltime=default,
        max_walltime=longest,
        users=_names(reader, fields.get("users"), "spec.users"),
        accounts=_names(reader, fields.get("accounts"), "spec.accounts"),
        per_user=_limits(reader, limits.get("perUser"), "spec.limits.perUser"),
        per_account=_limits(reader, limits.get("perAccount"), "spec.limits.perAccount"),
        preemptible=reader.flag(fields.get("preemptible"), "spec.preemptible"),
        default=reader.flag(fields.get("default"), "spec.default"),
    )
    return reader.refusals or queue


def pick(queues: Mapping[str, Queue], name: str | None) -> Queue | Refusal | None:
    """The queue of a Job that names it, or the default one; None where there is none to take."""
    if name is None:
        return next((queues[key] for key in sorted(queues) if queues[key].default), None)
    if queues and name not in queues:
        return Refusal("spec.queue", f"there is no queue {name}; there are {', '.join(sorted(queues))}")
    return queues.get(name)


def _targets(reader: Reader, value: Any) -> dict[Target, dict[str, Any]]:
    """Options by back end, in the order of the list."""
    found: dict[Target, dict[str, Any]] = {}
    for number, item in enumerate(reader.items(value, "spec.targets", len(BACKENDS))):
        here = f"spec.targets[{number}]"
        entry = reader.only(reader.mapping(item, here), here, tuple(map(str, BACKENDS)))
        given = [target for target in BACKENDS if entry.get(target) is not None]
        if len(given) != 1 or given[0] in found:
            reader.refuse(here, f"must have one of {' and '.join(BACKENDS)}, and each of them once")
            continue
        options = reader.mapping(entry[given[0]], f"{here}.{given[0]}")
        read = _slurm if given[0] is Target.SLURM else _kubernetes
        found[given[0]] = read(reader, options, f"{here}.{given[0]}")
    return found


def _slurm(reader: Reader, options: dict[str, Any], path: str) -> dict[str, Any]:
    reader.only(options, path, ("partition", "qos"))
    return {key: _name(reader, options.get(key), f"{path}.{key}") for key in ("partition", "qos")}


def _kubernetes(reader: Reader, options: dict[str, Any], path: str) -> dict[str, Any]:
    reader.only(options, path, ("nodeSelector", "priorityClassName"))
    labels = reader.text_map(options.get("nodeSelector"), f"{path}.nodeSelector", 64)
    for key, text in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(text):
            reader.refuse(f"{path}.nodeSelector[{key[:253]}]", "is not a label")
    priority = _name(reader, options.get("priorityClassName"), f"{path}.priorityClassName")
    return {"nodeSelector": labels, "priorityClassName": priority}


def _limits(reader: Reader, value: Any, path: str) -> Limits:
    found = reader.only(reader.mapping(value, path), path, ("jobs", "cpus", "gpus"))
    jobs, cpus, gpus = (
        reader.whole(found.get(key), f"{path}.{key}", 0, MAX_COUNT) for key in ("jobs", "cpus", "gpus")
    )
    return Limits(jobs, None if cpus is None else cpus * 1000, gpus)


def _names(reader: Reader, value: Any, path: str) -> tuple[str, ...]:
    names = reader.texts(value, path, 1024, 64)
    for number, name in enumerate(names):
        if not _NAME.fullmatch(name):
            reader.refuse(f"{path}[{number}]", "must be letters, digits, '.', '_' and '-'")
    return names


def _name(reader: Reader, value: Any, path: str) -> str | None:
    text = reader.text(value, path, 64)
    if text is not None and not _NAME.fullmatch(text):
        reader.refuse(path, "must be letters, digits, '.', '_' and '-'")
    return text
