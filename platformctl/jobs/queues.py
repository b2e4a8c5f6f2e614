"""The Queue resource of kfoundry.io/v1alpha1: where its jobs may go, who may use it, and how much."""

from collections.abc import Mapping
from typing import Any

from platformctl.jobs.model import BACKENDS, Limits, Queue, Refusal, Target
from platformctl.jobs.reader import NAME, Reader
from platformctl.jobs.targets import BACK_ENDS
from platformctl.jobs.walltime import parse_walltime

MAX_COUNT = 100_000_000
FIELDS = (
    "targets", "default", "defaultWalltime", "maxWalltime", "users", "accounts", "limits", "preemptible",
)  # fmt: skip


def parse_queue(name: str, spec: object) -> Queue | list[Refusal]:
    """Check the spec of a Queue with any content; never raises. All mistakes are reported together."""
    reader = Reader()
    fields = reader.only(reader.mapping(spec, "spec"), "spec", FIELDS)
    targets = _targets(reader, fields.get("targets"))
    options = {key: value for given in targets.values() for key, value in given.items()}
    limits = reader.mapping(fields.get("limits"), "spec.limits")
    reader.only(limits, "spec.limits", ("perUser", "perAccount"))
    default = reader.convert(fields.get("defaultWalltime"), "spec.defaultWalltime", parse_walltime)
    longest = reader.convert(fields.get("maxWalltime"), "spec.maxWalltime", parse_walltime)
    if default and longest and default > longest:
        reader.refuse("spec.defaultWalltime", "must not be longer than maxWalltime")
    queue = Queue(
        name=name,
        targets=tuple(targets) or BACKENDS,
        **options,
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
    """The queue that a Job names, or the default one; None if there is no queue to use.

    The name of a partition means the queue that leads there: names of queues have no capitals and no '_'.
    """
    if name is None:
        return next((queues[key] for key in sorted(queues) if queues[key].default), None)
    leading = [queue for queue in queues.values() if queue.partition == name]
    if name not in queues and len(leading) == 1:
        return leading[0]
    if queues and name not in queues:
        return Refusal("spec.queue", f"there is no queue {name}; there are {', '.join(sorted(queues))}")
    return queues.get(name)


def _targets(reader: Reader, value: Any) -> dict[Target, dict[str, Any]]:
    """The options of each entry as fields of Queue, by back end, in the order of the list."""
    targets: dict[Target, dict[str, Any]] = {}
    for number, item in enumerate(reader.items(value, "spec.targets", len(BACKENDS))):
        here = f"spec.targets[{number}]"
        entry = reader.only(reader.mapping(item, here), here, tuple(map(str, BACKENDS)))
        given = [target for target in BACKENDS if entry.get(target) is not None]
        if len(given) != 1 or given[0] in targets:
            reader.refuse(here, f"must have one of {' and '.join(BACKENDS)}, and each of them once")
            continue
        options = reader.mapping(entry[given[0]], f"{here}.{given[0]}")
        back_end, path = BACK_ENDS[given[0]], f"{here}.{given[0]}"
        targets[given[0]] = back_end.read_queue(
            reader, reader.only(options, path, back_end.queue_options), path
        )
    return targets


def _limits(reader: Reader, value: Any, path: str) -> Limits:
    names = ("jobs", "cpus", "gpus", "pods")
    fields = reader.only(reader.mapping(value, path), path, names)
    jobs, cpus, gpus, pods = (reader.whole(fields.get(key), f"{path}.{key}", 0, MAX_COUNT) for key in names)
    return Limits.of(jobs, cpus, gpus, pods)


def _names(reader: Reader, value: Any, path: str) -> tuple[str, ...]:
    names = reader.texts(value, path, 1024, 64)
    for number, name in enumerate(names):
        if not NAME.fullmatch(name):
            reader.refuse(f"{path}[{number}]", "must be letters, digits, '.', '_' and '-'")
    return names
