"""Applies the options of a command line to a Job. Options take precedence over the manifest.

If a Job has no field for an option, or the option could mean two things, it is refused with the reason.
`parse` checks later whether the resulting Job is allowed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platformctl.jobs import manifest
from platformctl.jobs.command_line import UnclearError, as_script
from platformctl.vocabulary import GPU

_CONTAINER = "main"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

type Variables = Sequence[tuple[str, str]]
"""Names with their values, in order."""


@dataclass(frozen=True)
class Request:
    """The options of a command line. Those that were not given are empty.

    fields: of the spec; they replace the Job's own. amounts: of cpu, memory and GPUs for one task; "0"
    removes the Job's. after: NAME or NAME:WHEN of other Jobs. arguments: the words after `--`.
    """

    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    amounts: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    image: str = ""
    variables: Variables = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def from_request(asked: Request) -> dict[str, Any]:
    """A Job without a file: a command in an image, or a command as a script."""
    words = asked.arguments
    if asked.image:
        command = {"command": [_kept(word) for word in words]} if words else {}
        container: dict[str, Any] = {"name": _CONTAINER, "image": asked.image, **command}
        job = manifest.from_script("", asked.image.rpartition("/")[2].partition(":")[0].partition("@")[0])
        pod = {"restartPolicy": "Never", "containers": [container]}
        job["spec"] = {"template": {"spec": pod}}
        return applied(job, _without_words(asked))
    if not words:
        raise UnclearError("name a FILE, or a command after --")
    job = manifest.from_script(as_script(words), words[0].rpartition("/")[2])
    return applied(job, _without_words(asked))


def applied(job: Mapping[str, Any], asked: Request) -> dict[str, Any]:
    """The Job of a file, changed by the options."""
    metadata, spec = job.get("metadata") or {}, job.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise UnclearError("metadata and spec of a Job must be mappings")
    changed = manifest.override({**job, "metadata": metadata}, asked.name, asked.fields)
    metadata, spec = changed["metadata"], changed["spec"]
    if asked.labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **asked.labels}
    if asked.after:
        spec["dependsOn"] = [*(spec.get("dependsOn") or []), *map(_dependency, asked.after)]
    spec = _of_container(spec, asked) if spec.get("template") is not None else _of_script(spec, asked)
    return {**changed, "spec": spec}


def _without_words(asked: Request) -> Request:
    """The options that still apply after image and arguments have become the Job."""
    kept = ("name", "fields", "amounts", "after", "variables", "labels")
    return Request(**{name: getattr(asked, name) for name in kept})


def _dependency(text: str) -> dict[str, str]:
    name, _, when = text.partition(":")
    return {"name": name, **({"when": when} if when else {})}


def _of_script(spec: dict[str, Any], asked: Request) -> dict[str, Any]:
    if asked.image:
        raise UnclearError(
            "a script runs in the site's script image; for a command in an image, write --image IMAGE "
            "-- COMMAND without a file"
        )
    if asked.amounts:
        spec["resources"] = _amounts(spec.get("resources"), asked.amounts)
    if (asked.variables or asked.arguments) and not isinstance(spec.get("script"), str):
        raise UnclearError("the Job runs nothing that takes arguments or variables")
    if asked.arguments:
        spec["args"] = list(asked.arguments)
    if asked.variables:
        spec["slurm"] = _with_variables(spec.get("slurm"), asked.variables)
    return spec


def _with_variables(block: Any, variables: Variables) -> Any:
    """The fields of Slurm with variables of the script. What is no mapping stays, and is refused later."""
    for name, _ in variables:
        if not _NAME.fullmatch(name):
            raise UnclearError(f"{name!r} is not the name of a variable: letters, digits and '_'")
    given = (block or {}).get("environment") or {} if isinstance(block or {}, dict) else None
    if not isinstance(given, dict):
        return block
    return {**(block or {}), "environment": {**given, **dict(variables)}}


def _of_container(spec: dict[str, Any], asked: Request) -> dict[str, Any]:
    if asked.arguments:
        raise UnclearError(
            "the manifest says what its container runs: change command or args there; words after -- "
            "are for a script, or for --image without a file"
        )
    if not (asked.image or asked.amounts or asked.variables):
        return spec
    container = _container(spec["template"])
    if container is None:
        raise UnclearError("spec.template must have one container for these options")
    changed = dict(container)
    if asked.image:
        changed["image"] = asked.image
    if asked.variables:
        variables = {name: _kept(value) for name, value in asked.variables}
        changed["env"] = _environment(changed.get("env"), variables)
    if asked.amounts:
        levels = changed.get("resources") or {}
        changed["resources"] = {
            **levels,
            **{level: _amounts(levels.get(level), asked.amounts) for level in ("requests", "limits")},
        }
    pod = {**spec["template"]["spec"], "containers": [changed]}
    return {**spec, "template": {**spec["template"], "spec": pod}}


def _container(template: Any) -> dict[str, Any] | None:
    """The container of a template; None unless there is exactly one."""
    pod = template.get("spec") if isinstance(template, dict) else None
    containers = pod.get("containers") if isinstance(pod, dict) else None
    if not isinstance(containers, list) or len(containers) != 1 or not isinstance(containers[0], dict):
        return None
    return containers[0]


def _kept(text: str) -> str:
    """Text for a container. Kubernetes reads `$$` as `$`, so it is doubled; $(NAME) keeps its meaning."""
    return text.replace("$$", "$$$$")


def _environment(given: Any, variables: Mapping[str, str]) -> list[Any]:
    """The container's variables without those that have a new value, followed by the new ones."""
    kept = [item for item in given or [] if not (isinstance(item, dict) and item.get("name") in variables)]
    return [*kept, *({"name": name, "value": value} for name, value in variables.items())]


def _amounts(given: Any, asked: Mapping[str, str]) -> Any:
    """The given amounts with those of the options. What is not a mapping stays, and is refused later."""
    if given and not isinstance(given, dict):
        return given
    amounts = {**(given or {}), **asked}
    return {name: amount for name, amount in amounts.items() if name not in asked or amount != "0"}


def amounts_of(cpus: str, memory: str, gpus: int | None) -> dict[str, str]:
    """The amounts by Kubernetes' resource names."""
    given = {"cpu": cpus, "memory": memory, GPU: "" if gpus is None else str(gpus)}
    return {name: amount for name, amount in given.items() if amount}
