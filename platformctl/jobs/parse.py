"""Turns the spec of a kfoundry.io/v1alpha1 Job into a checked JobSpec, or a list of all mistakes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from platformctl.jobs.array import parse_array
from platformctl.jobs.model import (
    Container,
    Dependency,
    JobSpec,
    PodOptions,
    Refusal,
    Resources,
    Target,
    Transfer,
    When,
)
from platformctl.jobs.reader import Reader
from platformctl.jobs.sbatch_script import DIRECTIVE
from platformctl.jobs.targets import BACK_ENDS
from platformctl.jobs.template import TemplateReader
from platformctl.jobs.walltime import parse_walltime

MAX_SCRIPT = 512 * 1024
MAX_NODES, MAX_TASKS, MAX_RETRIES, MAX_DEPENDENCIES, MAX_TRANSFERS = 10_000, 100_000, 10, 64, 32
DIRECTIVES_REFUSED = "lines are not read here; use the fields of the Job"
FIELDS = (
    "template", "script", "resources", "target", "queue", "account", "priorityClassName", "walltime", "nodes",
    "tasks", "tasksPerNode", "array", "dependsOn", "interactive", "retries", "suspend", "managedBy",
    "ttlAfterFinished", "stageIn", "stageOut",
)  # fmt: skip

_RESOURCE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_MANAGER = re.compile(r"[a-z0-9][a-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9/._~-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse(spec: object) -> JobSpec | list[Refusal]:
    """Check a spec with any content; never raises. All mistakes are reported together."""
    reader = Reader()
    fields = reader.mapping(spec, "spec")
    for key in fields:
        if key not in FIELDS:
            reader.refuse(f"spec.{str(key)[:63]}", f"is not a field of a Job; fields are {', '.join(FIELDS)}")
    walltime = reader.convert(fields.get("walltime"), "spec.walltime", parse_walltime)
    interactive = reader.flag(fields.get("interactive"), "spec.interactive")
    template = TemplateReader(reader)
    script, container, pod = _what(reader, template, fields, interactive, walltime)
    nodes, tasks, tasks_per_node = _size(reader, fields)
    array = reader.convert(fields.get("array"), "spec.array", parse_array)
    if array and interactive:
        reader.refuse("spec.interactive", "is for one job, not for an array")
    reader.convert(fields.get("managedBy"), "spec.managedBy", _manager)
    job = JobSpec(
        script=script,
        container=container,
        pod=pod,
        resources=_resources(reader, template, fields, container),
        target=_target(reader, fields.get("target")),
        queue=reader.name(fields.get("queue"), "spec.queue"),
        walltime=walltime,
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=tasks_per_node,
        array=array,
        depends_on=_dependencies(reader, fields.get("dependsOn")),
        account=reader.name(fields.get("account"), "spec.account"),
        priority_class=_priority_class(reader, fields.get("priorityClassName")),
        interactive=interactive,
        retries=reader.whole(fields.get("retries"), "spec.retries", 0, MAX_RETRIES) or 0,
        suspend=reader.flag(fields.get("suspend"), "spec.suspend"),
        ttl_after_finished=reader.convert(
            fields.get("ttlAfterFinished"), "spec.ttlAfterFinished", parse_walltime
        ),
        stage_in=_transfers(reader, fields.get("stageIn"), "spec.stageIn"),
        stage_out=_transfers(reader, fields.get("stageOut"), "spec.stageOut"),
    )
    return reader.refusals or replace(job, unsupported=_unsupported(job, template))


def _what(
    reader: Reader, template: TemplateReader, fields: dict[str, Any], interactive: bool, walltime: int | None
) -> tuple[str | None, Container | None, PodOptions]:
    """What to run: the script, or the container and its pod options."""
    given = [key for key in ("template", "script") if fields.get(key) is not None]
    if not given and interactive:
        if walltime is None:
            reader.refuse("spec.walltime", "must say how long an interactive job without a script is kept")
        return _waiting_script(walltime or 0), None, PodOptions()
    if len(given) != 1:
        reader.refuse("spec", "must have exactly one of template and script")
    if given == ["script"]:
        return _script(reader, fields["script"]), None, PodOptions()
    if given == ["template"]:
        return None, *template.read(fields["template"])
    return None, None, PodOptions()


def _waiting_script(walltime: int) -> str:
    """A script that keeps an allocation for its user to enter. It ends a little early, so that it succeeds.

    The wall time starts with the allocation, and runs while the image is pulled and files are copied. slurmd
    and the kubelet write the script at that moment, so the script's age is the time that has passed.

    The first process of a pod gets only signals that it handles: without the trap it would continue for the
    whole grace period.
    """
    return (
        "#!/bin/sh\n"
        "trap 'exit 143' TERM\n"
        # If the image lacks stat, it sleeps as if no time had passed.
        'began=$(stat -Lc %Y -- "$0" 2>/dev/null || date +%s)\n'
        f"left=$((began + {walltime - 5} - $(date +%s)))\n"
        "sleep $((left > 1 ? left : 1)) &\n"
        "wait $!\n"
    )


def _script(reader: Reader, value: Any) -> str | None:
    text = reader.text(value, "spec.script", MAX_SCRIPT)
    if text is None:
        return None
    first = text.split("\n", 1)[0]
    if not first.startswith("#!") or not first[2:].strip().startswith("/") or "\r" in first:
        reader.refuse("spec.script", "must begin with its interpreter, for example #!/bin/bash")
    directive = DIRECTIVE.search(text)
    if directive:
        line = text.count("\n", 0, directive.start()) + 1
        reader.refuse("spec.script", f"line {line}: #{directive[1]} {DIRECTIVES_REFUSED}")
    return text


def _size(reader: Reader, fields: dict[str, Any]) -> tuple[int | None, int, int | None]:
    """nodes, tasks, and the most tasks on a node. By default, tasks are nodes times tasksPerNode."""
    nodes = reader.whole(fields.get("nodes"), "spec.nodes", 1, MAX_NODES)
    each = reader.whole(fields.get("tasksPerNode"), "spec.tasksPerNode", 1, MAX_TASKS)
    given = reader.whole(fields.get("tasks"), "spec.tasks", 1, MAX_TASKS)
    tasks = given or (nodes or 1) * (each or 1)
    if tasks > MAX_TASKS:
        reader.refuse("spec.tasksPerNode", f"makes {tasks} tasks with nodes, at most {MAX_TASKS} are allowed")
    if tasks < (nodes or 1):
        reader.refuse("spec.tasks", "must be at least nodes: a node without a task would idle")
    if nodes and each and tasks > nodes * each:
        reader.refuse("spec.tasks", f"must be at most {nodes * each}, which is nodes times tasksPerNode")
    return nodes, tasks, each and most_on_a_node(each, tasks, nodes)


def most_on_a_node(each: int, tasks: int, nodes: int | None) -> int:
    """tasksPerNode, but at most as many tasks as a node can have if each other node has at least one.

    Slurm looks for nodes with room for tasksPerNode tasks, even if a job has fewer.
    """
    return max(1, min(each, tasks - (nodes or 1) + 1))


def _resources(
    reader: Reader, template: TemplateReader, fields: dict[str, Any], container: Container | None
) -> Resources:
    given = fields.get("resources")
    if given is not None and fields.get("template") is not None:
        reader.refuse("spec.resources", "is for scripts; ask in the container's resources")
    return container.resources if container else template.flat_resources(given, "spec.resources")


def _target(reader: Reader, value: Any) -> Target:
    return reader.convert(value, "spec.target", _one_of(Target)) or Target.AUTO


def _one_of[T](kind: Callable[[Any], T]) -> Callable[[Any], T]:
    def convert(value: Any) -> T:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(map(str, kind))}") from None  # type: ignore[call-overload]

    return convert


def _priority_class(reader: Reader, value: Any) -> str | None:
    text = reader.text(value, "spec.priorityClassName", 253)
    if text is not None and not _RESOURCE_NAME.fullmatch(text):
        reader.refuse("spec.priorityClassName", "must be lower-case letters, digits, '.' and '-'")
        return None
    return text


def _manager(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 63 or not _MANAGER.fullmatch(value):
        raise ValueError(
            "must be a name with a domain, such as example.com/controller, of at most 63 characters"
        )
    return value


def _dependencies(reader: Reader, value: Any) -> tuple[Dependency, ...]:
    dependencies = []
    for number, item in enumerate(reader.items(value, "spec.dependsOn", MAX_DEPENDENCIES)):
        here = f"spec.dependsOn[{number}]"
        entry = reader.only(reader.mapping(item, here), here, ("name", "when"))
        name = reader.text(entry.get("name"), f"{here}.name", 253) or ""
        if not _RESOURCE_NAME.fullmatch(name):
            reader.refuse(f"{here}.name", "must be the name of a Job")
        when = reader.convert(entry.get("when"), f"{here}.when", _one_of(When))
        dependencies.append(Dependency(name, when or When.SUCCEEDED))
    return tuple(dependencies)


def _transfers(reader: Reader, value: Any, path: str) -> tuple[Transfer, ...]:
    transfers = []
    for number, item in enumerate(reader.items(value, path, MAX_TRANSFERS)):
        here = f"{path}[{number}]"
        entry = reader.only(reader.mapping(item, here), here, ("source", "target"))
        source, target = (_path(reader, entry.get(key), f"{here}.{key}") for key in ("source", "target"))
        transfers.append(Transfer(source, target))
    return tuple(transfers)


def _path(reader: Reader, value: Any, path: str) -> str:
    """A path without '..'. The site's policy decides which folders it may be in."""
    before = len(reader.refusals)
    text = reader.text(value, path, 4096)
    if len(reader.refusals) > before:
        return ""
    if not text or _CONTROL.search(text) or ".." in text.split("/") or text.endswith("/"):
        reader.refuse(
            path, "must be a path below the home, without '..', control characters or '/' at its end"
        )
        return ""
    return text


def _topmost(refusals: Sequence[Refusal]) -> list[Refusal]:
    """The refusals without those of fields inside another refused field, such as the names of volumes."""
    paths = {refusal.path for refusal in refusals}
    return [
        refusal
        for refusal in refusals
        if not any(refusal.path[: mark.start()] in paths for mark in re.finditer(r"[.\[]", refusal.path))
    ]


def _unsupported(job: JobSpec, template: TemplateReader) -> dict[Target, tuple[Refusal, ...]]:
    """For each back end, why it cannot run the job: fields of its template, then fields of the Job."""
    by_target = {
        target: (*_topmost(template.unsupported[target]), *back_end.unsupported(job))
        for target, back_end in BACK_ENDS.items()
    }
    return {target: refusals for target, refusals in by_target.items() if refusals}
