"""Turns the spec of a kfoundry.io/v1alpha1 Job into a checked JobSpec, or a list of all mistakes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from platformctl.jobs import batch
from platformctl.jobs.array import parse_array
from platformctl.jobs.model import (
    Array,
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
from platformctl.jobs.sbatch_script import first_directive
from platformctl.jobs.slurm_block import WHOLE_JOB, clashes, read_block, task_resources
from platformctl.jobs.targets import BACK_ENDS
from platformctl.jobs.template import TemplateReader
from platformctl.jobs.template_resources import read_flat_resources, together
from platformctl.jobs.walltime import parse_walltime

MAX_SCRIPT = 512 * 1024
MAX_NODES, MAX_TASKS, MAX_DEPENDENCIES, MAX_TRANSFERS = 10_000, 100_000, 64, 32
MAX_ARGS, MAX_ARG = 1024, 131_072
DIRECTIVES_REFUSED = "lines are not read here; use the fields of the Job"
FIELDS = (
    "template", "script", "resources", "target", "queue", "account", "priorityClassName", "walltime", "nodes",
    "tasks", "tasksPerNode", "array", "dependsOn", "interactive", "retries", "suspend", "managedBy",
    "ttlAfterFinished", "stageIn", "stageOut", "args", "slurm", *batch.FIELDS,
)  # fmt: skip

_RESOURCE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_MANAGER = re.compile(r"[a-z0-9][a-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9/._~-]*", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", re.ASCII)
_BATCH_CONTROLLER = "kubernetes.io/job-controller"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse(spec: object) -> JobSpec | list[Refusal]:
    """Check a spec with any content; never raises. All mistakes are reported together."""
    reader = Reader()
    fields = reader.mapping(spec, "spec")
    for key in fields:
        if key not in FIELDS:
            near = get_close_matches(str(key)[:63], FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else "`platformctl docs jobs` lists them"
            reader.refuse(f"spec.{str(key)[:63]}", f"is not a field of a Job; {hint}")
    array = reader.convert(fields.get("array"), "spec.array", parse_array)
    more, same = batch.read_batch(reader, fields, array)
    template = TemplateReader(reader)
    walltime = reader.convert(fields.get("walltime"), "spec.walltime", parse_walltime)
    interactive = reader.flag(fields.get("interactive"), "spec.interactive")
    script, container, pod = _what(reader, template, fields, interactive, walltime or same.walltime)
    nodes, tasks, tasks_per_node = _size(reader, fields)
    array = array or same.array
    if array and interactive:
        reader.refuse("spec.interactive", "is for one job, not for an array or for several completions")
    reader.convert(fields.get("managedBy"), "spec.managedBy", _manager)
    resources = _resources(reader, template, fields, container, pod)
    block = read_block(reader, fields.get("slurm"))
    clashes(reader, block, {**fields, "template.spec.activeDeadlineSeconds": pod.deadline}, resources)
    job = JobSpec(
        script=script,
        container=container,
        pod=pod,
        resources=task_resources(block, resources, tasks),
        target=_target(reader, fields.get("target")),
        queue=reader.name(fields.get("queue"), "spec.queue"),
        walltime=batch.agreed(
            reader,
            ("spec.walltime", walltime),
            ("spec.activeDeadlineSeconds", same.walltime),
            ("spec.template.spec.activeDeadlineSeconds", pod.deadline),
            unit=" seconds",
        ),
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=tasks_per_node,
        array=array,
        depends_on=_dependencies(reader, fields.get("dependsOn")),
        account=_account(reader, fields.get("account")),
        priority_class=_priority_class(reader, fields.get("priorityClassName"), pod.priority_class),
        interactive=interactive,
        retries=_retries(reader, fields, same.retries, pod),
        suspend=reader.flag(fields.get("suspend"), "spec.suspend"),
        ttl_after_finished=batch.agreed(
            reader,
            (
                "spec.ttlAfterFinished",
                reader.convert(fields.get("ttlAfterFinished"), "spec.ttlAfterFinished", parse_walltime),
            ),
            ("spec.ttlSecondsAfterFinished", same.ttl),
            unit=" seconds",
        ),
        stage_in=_transfers(reader, fields.get("stageIn"), "spec.stageIn"),
        stage_out=_transfers(reader, fields.get("stageOut"), "spec.stageOut"),
        args=_args(reader, fields),
        components=_components(reader, block, array),
        slurm=block,
        batch=more,
    )
    if more.failure and pod.on_failure:
        why = "must be Never with podFailurePolicy, which says itself what is tried again"
        reader.refuse("spec.template.spec.restartPolicy", why)
    replacing = batch.dropped(fields)
    wishes = {
        target: (*template.fields.dropped[target], *back_end.dropped(job), *replacing)
        for target, back_end in BACK_ENDS.items()
    }
    dropped = {target: found for target, found in wishes.items() if found}
    return reader.refusals or replace(job, unsupported=_unsupported(job, template), dropped=dropped)


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
    directive = first_directive(text)
    if directive:
        line, name = directive
        reader.refuse("spec.script", f"line {line}: #{name} {DIRECTIVES_REFUSED}")
    return text


_OF_COMPONENT = (
    "nodes", "tasks", "tasksPerNode", "resources", "queue", "account", "walltime", "slurm",
)  # fmt: skip


def _components(reader: Reader, block: Mapping[str, Any], array: Array | None) -> tuple[JobSpec, ...]:
    """The further components of a heterogeneous job, which have the fields of a Job that say its size."""
    components = []
    if "components" in block and array:
        reader.refuse(
            "spec.slurm.components", "is for one job, not for an array: leave out array or components"
        )
    for number, item in enumerate(block.get("components", ())):
        here = f"spec.slurm.components[{number}]"
        fields = reader.only(reader.mapping(item, here), here, _OF_COMPONENT)
        found = parse({**fields, "script": "#!/bin/sh\n"})
        if isinstance(found, list):
            reader.refusals += [
                Refusal(refusal.path.replace("spec", here, 1), refusal.message) for refusal in found
            ]
        else:
            for name in WHOLE_JOB & found.slurm.keys():
                reader.refuse(f"{here}.slurm.{name}", f"is for the whole job: write it as spec.slurm.{name}")
            components.append(found)
    return tuple(components)


def _args(reader: Reader, fields: dict[str, Any]) -> tuple[str, ...]:
    """The arguments of the script."""
    if fields.get("args") is not None and fields.get("script") is None:
        reader.refuse("spec.args", "is for scripts; write them in the container's args")
    return reader.texts(fields.get("args"), "spec.args", MAX_ARGS, MAX_ARG)


def _account(reader: Reader, value: Any) -> str | None:
    """The name of an account. Slurm's may contain '@'."""
    text = reader.text(value, "spec.account", 64)
    if text is not None and not _ACCOUNT.fullmatch(text):
        reader.refuse("spec.account", "must be letters, digits, '.', '_', '-' and '@'")
        return None
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
    reader: Reader,
    template: TemplateReader,
    fields: dict[str, Any],
    container: Container | None,
    pod: PodOptions,
) -> Resources:
    given = fields.get("resources")
    if given is not None and fields.get("template") is not None:
        reader.refuse("spec.resources", "is for scripts; ask in the container's resources")
    if container:
        return together((container, *pod.beside), pod.init)
    return read_flat_resources(template.fields, given, "spec.resources")


def _retries(reader: Reader, fields: dict[str, Any], limit: int | None, pod: PodOptions) -> int:
    """retries, or backoffLimit; OnFailure without either means as many as in batch/v1."""
    own = reader.whole(fields.get("retries"), "spec.retries", 0, batch.MAX_RETRIES)
    given = batch.agreed(reader, ("spec.retries", own), ("spec.backoffLimit", limit))
    if given is None:
        return batch.DEFAULT_RETRIES if pod.on_failure else 0
    return given


def _target(reader: Reader, value: Any) -> Target:
    return reader.convert(value, "spec.target", _one_of(Target)) or Target.AUTO


def _one_of[T](kind: Callable[[Any], T]) -> Callable[[Any], T]:
    def convert(value: Any) -> T:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(map(str, kind))}") from None  # type: ignore[call-overload]

    return convert


def _priority_class(reader: Reader, value: Any, of_pod: str | None) -> str | None:
    own = reader.text(value, "spec.priorityClassName", 253)
    there = (("spec.priorityClassName", own), ("spec.template.spec.priorityClassName", of_pod))
    for path, text in there:
        if text is not None and not _RESOURCE_NAME.fullmatch(text):
            reader.refuse(path, "must be lower-case letters, digits, '.' and '-'")
    return batch.agreed(reader, *there)


def _manager(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 63 or not _MANAGER.fullmatch(value):
        raise ValueError(
            "must be a name with a domain, such as example.com/controller, of at most 63 characters"
        )
    if value == _BATCH_CONTROLLER:
        raise ValueError(
            "names the controller of batch/v1, which does not run Jobs of this kind; leave it out"
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
        target: (*_topmost(template.fields.unsupported[target]), *back_end.unsupported(job))
        for target, back_end in BACK_ENDS.items()
    }
    return {target: refusals for target, refusals in by_target.items() if refusals}
