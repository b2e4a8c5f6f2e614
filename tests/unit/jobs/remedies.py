"""Applies what a refusal says: its words alone decide which value is written at its path.

This is what a person does who reads only the message. Where a message leaves a choice, the first is taken.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from platformctl.jobs.model import Refusal

_GONE = object()
_STEP = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|\.?([^.\[\]]+)")

type Fix = Callable[[re.Match[str], Any], Any]
"""The new value, from the match in the message and the value that is there; _GONE removes it."""


class Elsewhere:
    """What is to be changed in other places than the path: by the spec, the steps and the match."""

    def __init__(self, change: Callable[[dict[str, Any], Sequence[Any], re.Match[str]], None]) -> None:
        self.change = change


def applied(spec: Any, refusals: Sequence[Refusal]) -> Any:
    """The spec with all that the refusals ask for."""
    if not isinstance(spec, dict):
        return {"script": "#!/bin/bash\ndate\n"}
    # From the end of lists, so that the places before stay where they are.
    for refusal in sorted(refusals, key=lambda one: _numbers(one.path), reverse=True):
        _change(spec, refusal)
    return spec


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\[(\d+)\]", path)]


def _change(spec: dict[str, Any], refusal: Refusal) -> None:
    steps = _steps(refusal.path)
    renamed = re.search(r"did you mean ([^?]+)\?", refusal.message)
    parent = _parent(spec, steps)
    if parent is None or not steps:
        spec.update(_whole(spec, refusal.message))
        return
    last = steps[-1]
    there = _get(parent, last)
    if renamed:
        parent[renamed[1]] = parent.pop(last)
        return
    match, fix = _known(refusal.message)
    if isinstance(fix, Elsewhere):
        fix.change(spec, steps, match)
        return
    value = fix(match, there)
    if value is not _GONE:
        _set(parent, last, value)
    elif isinstance(parent, list):
        if last < len(parent):
            del parent[last]
    else:
        parent.pop(last, None)


def _known(message: str) -> tuple[re.Match[str], Fix | Elsewhere]:
    for pattern, fix in FIXES:
        match = re.search(pattern, message)
        if match:
            return match, fix
    raise AssertionError(f"nobody knows what to do: {message}")


def _whole(spec: dict[str, Any], message: str) -> dict[str, Any]:
    assert "exactly one of" in message, message
    if "template" in spec:
        spec.pop("script", None)
        return {}
    return {"script": "#!/bin/bash\ndate\n"}


def _steps(path: str) -> list[Any]:
    return [
        int(number) if number else key if key else word
        for number, key, word in _STEP.findall(path.removeprefix("spec"))
    ]


def _parent(spec: Any, steps: Sequence[Any]) -> Any:
    at = spec
    for step in steps[:-1]:
        below = _get(at, step)
        if below is None:
            below = {}
            _set(at, step, below)
        at = below
    return at if isinstance(at, dict | list) else None


def _get(at: Any, step: Any) -> Any:
    if isinstance(at, list):
        return at[step] if isinstance(step, int) and step < len(at) else None
    if isinstance(at, dict):
        return at.get(step, at.get(str(step)))
    return None


def _set(at: Any, step: Any, value: Any) -> None:
    if isinstance(at, list) and step >= len(at):
        at.append(value)
    else:
        at[step] = value


def _cut(match: re.Match[str], there: Any) -> Any:
    most = int(match[1])
    return dict(list(there.items())[:most]) if isinstance(there, dict) else there[:most]


def _gone(_match: re.Match[str], _there: Any) -> Any:
    return _GONE


def _number(match: re.Match[str], _there: Any) -> int:
    return int(match[1])


def _first_of_them(match: re.Match[str], there: Any) -> Any:
    return [_first(match, there)] if isinstance(there, list) else _first(match, there)


def _word(text: Any) -> Fix:
    return lambda _match, _there: text


def _first(match: re.Match[str], _there: Any) -> str:
    """The first of some allowed words."""
    word = re.split(r", | or ", match[1])[0]
    return "" if word == "empty" else word


def _volume(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    """Leave the volume out, and what mounts it."""
    pod = spec["template"]["spec"]
    name = pod["volumes"].pop(steps[3])["name"]
    for container in pod["containers"]:
        mounts = container.get("volumeMounts", ())
        container["volumeMounts"] = [mount for mount in mounts if mount.get("name") != name]


def _own_labels(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    """Name labels that the template has."""
    spec["template"].setdefault("metadata", {}).setdefault("labels", {})["app"] = "own"
    _set(_parent(spec, steps), steps[-1], {"matchLabels": {"app": "own"}})


def _into(name: str, value: Any) -> Elsewhere:
    """A field of the object at the path."""

    def change(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
        parent = _parent(spec, steps)
        there = _get(parent, steps[-1])
        _set(parent, steps[-1], {**(there if isinstance(there, dict) else {}), name: value})

    return Elsewhere(change)


def _instead(name: str, value: Any) -> Elsewhere:
    """One field in the place of the one at the path."""

    def change(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
        parent = _parent(spec, steps)
        parent.pop(steps[-1], None)
        parent[name] = value

    return Elsewhere(change)


def _of_job(**values: Any) -> Elsewhere:
    """Fields of the Job, if it does not have them."""
    return Elsewhere(lambda spec, _steps, _match: spec.update({**values, **spec}))


def _only(name: str, value: Any) -> Elsewhere:
    """One of some fields that exclude each other, at the path."""

    def change(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
        parent = _parent(spec, steps)
        there = _get(parent, steps[-1]) or {}
        kept = {
            key: item for key, item in there.items() if not key.endswith("Ref") and not key.startswith("on")
        }
        _set(parent, steps[-1], {**kept, name: value})

    return Elsewhere(change)


def _volume_of_one_kind(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    parent = _parent(spec, steps)
    name = (_get(parent, steps[-1]) or {}).get("name", "v")
    _set(parent, steps[-1], {"name": name, "emptyDir": {}})


def _limit(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    """The request is what the limit is."""
    resources = _parent(spec, steps[:-1])
    limit = resources.get("limits", {}).get(steps[-1])
    if limit is None:
        del resources["requests"][steps[-1]]
    else:
        resources["requests"][steps[-1]] = limit


def _mounted(spec: dict[str, Any], _steps: Sequence[Any], match: re.Match[str]) -> None:
    spec["template"]["spec"].setdefault("volumes", []).append({"name": match[1], "emptyDir": {}})


def _moved(spec: dict[str, Any], steps: Sequence[Any], match: re.Match[str]) -> None:
    """Write it where the message says."""
    value = _parent(spec, steps).pop(steps[-1])
    _set(_parent(spec, _steps(match[1])), _steps(match[1])[-1], value)


def _without_characters(match: re.Match[str], there: Any) -> str:
    """The text without what it must not contain."""
    kept = re.sub("[\0\ud800-\udfff]", "", there) if isinstance(there, str) else ""
    return kept or "word"


def _shorter(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    """No references: the words of a command are counted together with its arguments."""
    parent = _parent(spec, steps)
    for name in (steps[-1], "args") if steps[-1] == "command" else (steps[-1],):
        parent.pop(name, None)


def _string(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    _set(_parent(spec, steps), steps[-1], "/work" if steps[-1] == "workingDir" else "word")


def _without_lines(match: re.Match[str], there: Any) -> str:
    lines = there.split("\n")
    return "\n".join(line for line in lines if not line.startswith(match[1]))


def _index(_match: re.Match[str], _there: Any) -> str:
    return "0"


def _key(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    """A key that is allowed, for the same value."""
    parent = _parent(spec, steps)
    value = parent.pop(steps[-1], parent.pop(str(steps[-1]), None))
    parent["key"] = value


def _another_name(spec: dict[str, Any], steps: Sequence[Any], _match: re.Match[str]) -> None:
    parent = _parent(spec, steps)
    parent[steps[-1]] = f"{parent[steps[-1]]}-2"


# In this order: the words of a message, and what they ask for.
FIXES: tuple[tuple[str, Fix | Elsewhere], ...] = (
    (r"leave the volume out", Elsewhere(_volume)),
    (r"use a persistentVolumeClaim, or an emptyDir", _instead("emptyDir", {})),
    (r"must have one kind: emptyDir", Elsewhere(_volume_of_one_kind)),
    (r"write it as (spec\.\S+)", Elsewhere(_moved)),
    (r"(#[A-Z]+) lines are not read here; use the fields", _without_lines),
    (r"leave (it|one) out|keep one of them", _gone),
    (r"name labels that are in template.metadata.labels", Elsewhere(_own_labels)),
    (r"^makes \d+ tasks", _word(1)),
    (r"at most (\d+) are allowed", _cut),
    (r"must equal the limit|is more than the limit", Elsewhere(_limit)),
    (r"names the unknown volume '(\S+)'", Elsewhere(_mounted)),
    (r"must say how many indices", _word(2)),
    (r"needs completionMode: Indexed with completions", _of_job(completionMode="Indexed", completions=2)),
    (
        r"needs backoffLimitPerIndex, with completionMode: Indexed and completions",
        _of_job(backoffLimitPerIndex=0, completionMode="Indexed", completions=2),
    ),
    (r"needs backoffLimitPerIndex: write 0", _of_job(backoffLimitPerIndex=0)),
    (r"must say how long", _word("1h")),
    (r"must have succeededIndexes", _into("succeededIndexes", "0")),
    (r"names an index above", _index),
    (r"must have one of onExitCodes", _only("onExitCodes", {"operator": "In", "values": [1]})),
    (r"must not have 0", _word([1])),
    (r"must have one of configMapRef", _only("configMapRef", {"name": "m"})),
    (r"must have one of configMapKeyRef", _only("configMapKeyRef", {"name": "m", "key": "k"})),
    (r"must have at least one container", _word([{"name": "a", "image": "b"}])),
    (r"names no container: there are (\w+)", lambda match, _: match[1]),
    (r"is the name of another", Elsewhere(_another_name)),
    (r"name the keys that you mean", _into("key", "gpu")),
    (r"ask in the container's resources|is for one job, not for", _gone),
    (r"is not the key of a label", Elsewhere(_key)),
    (r"is not a label value|is not the value of a label", _word("value")),
    (r"is not supported|is not a field", _gone),
    (r"is more than any site has|whole number of devices", _word(1)),
    (r"becomes longer than", Elsewhere(_shorter)),
    (r"has more than \d+ elements", _word("0")),
    (r"must not contain NUL|is not valid Unicode", _without_characters),
    (r"is not the name of a variable", _word({"A": "b"})),
    (r"^must be true or false", _word(True)),
    (r"^must be an object", _word({})),
    (r"^must be a list$", _word([])),
    (r"whole number from (-?\d+) to", _number),
    (r"^must be at (?:most|least) (\d+)", _number),
    (r"from 1 second to", _word(60)),
    (r"^must be one of (.+)", _first),
    (r"is not one of (.+)", _first_of_them),
    (r"^must be (empty|Never|Indexed|Exists|Equal)", lambda match, _: match[1].replace("empty", "")),
    (r"below the home", _word("data")),
    (r"must be a relative path", _word("part")),
    (r"must be an absolute path", _word("/work")),
    (r'such as "?([^",;]+)', lambda match, _: match[1].removesuffix(" or 16G")),
    (r"is not like (\S+)", lambda match, _: match[1]),
    (r"for example (#!\S+)", lambda match, _: f"{match[1]}\ndate\n"),
    (r"otherwise write false", _word(False)),
    (r"write (\d+)", _number),
    (r"^must be (?:letters|lower-case letters|the name of)", _word("word")),
    (r"^must be a string", Elsewhere(_string)),
)  # fmt: skip
