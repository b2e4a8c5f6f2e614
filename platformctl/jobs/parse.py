"""From the spec of a kfoundry.io/v1alpha1 Job to a checked JobSpec, or every reason why not."""

import re
from typing import Any

from platformctl.jobs.model import Container, JobSpec, PodOptions, Refusal, Target
from platformctl.jobs.reader import Reader
from platformctl.jobs.template import TemplateReader
from platformctl.jobs.walltime import parse_walltime

MAX_SCRIPT = 512 * 1024
MAX_NODES, MAX_TASKS = 10_000, 100_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_DIRECTIVE = re.compile(r"^#(SBATCH|PBS|BSUB|HETJOB)\b", re.MULTILINE)
_FIELDS = ("template", "script", "target", "queue", "walltime", "nodes", "tasks", "account")


def parse(spec: object) -> JobSpec | list[Refusal]:
    """Check a spec whatever it holds; never raises. All mistakes are reported together."""
    reader = Reader()
    fields = reader.mapping(spec, "spec")
    for key in fields:
        if key not in _FIELDS:
            reader.refuse(
                f"spec.{str(key)[:63]}", f"is not a field of a Job; fields are {', '.join(_FIELDS)}"
            )
    script, container, pod, template = _what(reader, fields)
    nodes = reader.whole(fields.get("nodes"), "spec.nodes", 1, MAX_NODES) or 1
    tasks = reader.whole(fields.get("tasks"), "spec.tasks", 1, MAX_TASKS) or nodes
    if tasks < nodes:
        reader.refuse("spec.tasks", "must be at least nodes: a node without a task would idle")
    job = JobSpec(
        script=script,
        container=container,
        pod=pod,
        target=_target(reader, fields.get("target")),
        queue=_name(reader, fields.get("queue"), "spec.queue"),
        walltime=reader.convert(fields.get("walltime"), "spec.walltime", parse_walltime),
        nodes=nodes,
        tasks=tasks,
        account=_name(reader, fields.get("account"), "spec.account"),
        unsupported=_unsupported(template, script is not None, fields, nodes, tasks),
    )
    return reader.refusals or job


def _what(
    reader: Reader, fields: dict[str, Any]
) -> tuple[str | None, Container | None, PodOptions, TemplateReader]:
    """What to run: the script, or the container and its pod options."""
    template = TemplateReader(reader)
    given = [key for key in ("template", "script") if fields.get(key) is not None]
    if len(given) != 1:
        reader.refuse("spec", "must have exactly one of template and script")
    if given == ["script"]:
        return _script(reader, fields["script"]), None, PodOptions(), template
    if given == ["template"]:
        return None, *template.read(fields["template"]), template
    return None, None, PodOptions(), template


def _script(reader: Reader, value: Any) -> str | None:
    text = reader.text(value, "spec.script", MAX_SCRIPT)
    if text is None:
        return None
    first = text.split("\n", 1)[0]
    if not first.startswith("#!") or not first[2:].strip().startswith("/") or "\r" in first:
        reader.refuse("spec.script", "must begin with its interpreter, for example #!/bin/bash")
    directive = _DIRECTIVE.search(text)
    if directive:
        line = text.count("\n", 0, directive.start()) + 1
        reader.refuse(
            "spec.script", f"line {line}: #{directive[1]} lines are not read here; use the fields of the Job"
        )
    return text


def _target(reader: Reader, value: Any) -> Target:
    try:
        return Target(value) if value is not None else Target.AUTO
    except ValueError:
        reader.refuse("spec.target", f"must be one of {', '.join(Target)}")
        return Target.AUTO


def _name(reader: Reader, value: Any, path: str) -> str | None:
    text = reader.text(value, path, 64)
    if text is not None and not _NAME.fullmatch(text):
        reader.refuse(path, "must be letters, digits, '.', '_' and '-'")
        return None
    return text


def _unsupported(
    template: TemplateReader, is_script: bool, fields: dict[str, Any], nodes: int, tasks: int
) -> dict[Target, tuple[Refusal, ...]]:
    found = {target: list(refusals) for target, refusals in template.unsupported.items()}
    alone = "is not supported on kubernetes"
    rules = (
        (fields.get("queue") is not None, "queue", f"{alone}, which has no partitions"),
        (fields.get("account") is not None, "account", f"{alone}, which charges no accounts"),
        (nodes > 1, "nodes", f"{alone}: use tasks"),
        (is_script and tasks > 1, "tasks", f"{alone} for a script, which starts its tasks with srun"),
    )
    found[Target.KUBERNETES] += [Refusal(f"spec.{name}", why) for holds, name, why in rules if holds]
    return {target: tuple(refusals) for target, refusals in found.items() if refusals}
