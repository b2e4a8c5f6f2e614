"""What the schema of a chart allows is rendered, stays where it is put, and is what its program reads."""

import copy
import json
import re
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from platformctl.logs.config import LogsConfig
from platformctl.router.config import RouterConfig
from tests.integration.charts.values import CHARTS, NAMESPACE, full, made_up, schema, settings, template

Path = tuple[str | int, ...]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(:[-a-z0-9.]+)?")
_HOME = re.compile(r"kfoundry-home-[0-9]+(-[a-z0-9-]+)?")
# What ends a text in YAML, in templates or in a shell, and what is a number, a date or a truth if it is bare.
_SIGNS = "aZ09 \t\r\n:-,.#&*!|>'\"%@`?~$/\\=<(){}[]\x00\x07\x1b\x7f\x85\xa0é\u2028\ufeff\U0001f600"
_WORDS = ("true", "no", "null", "~", "12", "0x1f", "1e3", "0o17", "2026-01-01", "1:30", ".inf", "<<")
_ENDS = (
    "\n---\nkind: Secret\n",
    "\n  more: text",
    "{{ .Release }}",
    ": x",
    " #",
    "'",
    '"',
    "}",
    "]",
    "\\",
    "\t",
)
_READERS: dict[str, type[BaseModel]] = {"router.json": RouterConfig, "logs.json": LogsConfig}
# How long a time is that is written as in a Job, and which values a field of Slurm has.
_LEFT_TO_PROGRAMS = {"minWalltime", "maxWalltime", "force"}
# The last names a user: who is disabled has no rights.
_TAKEN_APART = (("slurm", "address"), ("home", "path"), ("disabledUsers", 0))
# More than Go prints without an exponent, and the largest uid.
_NUMBER = 2**31 - 4


class Strict(yaml.CSafeLoader):
    """Refuses a key that is there twice, as an API server may."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {sorted(map(str, keys))}"
        return super().construct_mapping(node, deep)


def rendered(chart: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in yaml.load_all(template(chart, values), Loader=Strict) if item is not None]


@cache
def with_full_values(chart: str) -> list[dict[str, Any]]:
    return rendered(chart, full(chart))


def identity(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every text and number within, by where it is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from leaves(item, (*path, key))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path, value


def at(values: Any, path: Path) -> Any:
    for key in path:
        values = values[key]
    return values


def with_all(chart: str, replacement: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The full values with `replacement(old)` wherever the schema allows it, and what it replaced by what.

    What the chart takes apart stays.
    """
    values = copy.deepcopy(full(chart))
    places = {path: old for path, old in leaves(values) if path not in _TAKEN_APART}
    for path, old in places.items():
        at(values, path[:-1])[path[-1]] = replacement(old)
    for error in jsonschema_rs.Draft7Validator(schema(chart)).iter_errors(values):
        for path, old in places.items():
            if path[: len(error.instance_path)] == tuple(error.instance_path):
                at(values, path[:-1])[path[-1]] = old
    jsonschema_rs.validate(schema(chart), values)
    return values, {str(old): str(at(values, path)) for path, old in places.items()}


def same_shape(before: Any, after: Any, replaced: dict[str, str], where: Path = ()) -> None:
    """The second differs from the first only by texts: what was replaced, and what is derived from it."""
    assert type(before) is type(after), f"{where}: {before!r} became {after!r}"
    if isinstance(before, dict):
        for (key, item), (new_key, new_item) in zip(before.items(), after.items(), strict=True):
            same_shape(key, new_key, replaced, (*where, "key"))
            same_shape(item, new_item, replaced, (*where, key))
    elif isinstance(before, list):
        assert len(before) == len(after), f"{where}: {before!r} became {after!r}"
        for number, (item, new_item) in enumerate(zip(before, after, strict=True)):
            same_shape(item, new_item, replaced, (*where, number))
    elif isinstance(before, str) and where[-1:] in [(name,) for name in _READERS]:
        same_shape(json.loads(before), json.loads(after), replaced, (*where, "parsed"))
    else:
        wanted = substituted(str(before), replaced)
        assert wanted in (str(before), str(after)), f"{where}: {after!r}, not {wanted!r}"


def substituted(text: str, replaced: dict[str, str]) -> str:
    """A text with all that was replaced; numbers of few digits are taken for something else within a text."""
    known = [old for old in replaced if old == text or not old.isdigit() or len(old) > 4]
    return re.sub(
        "|".join(map(re.escape, sorted(known, key=len, reverse=True))), lambda m: replaced[m[0]], text
    )


@pytest.mark.parametrize("chart", CHARTS)
def test_the_full_values_are_all_that_the_schema_has(chart: str) -> None:
    def named(part: dict[str, Any], path: Path = ()) -> Iterator[Path]:
        for name, inner in part.get("properties", {}).items():
            yield (*path, name)
            yield from named(inner, (*path, name))
        if isinstance(part.get("items"), dict):
            yield from named(part["items"], path)
        if isinstance(part.get("additionalProperties"), dict):
            yield from named(part["additionalProperties"], path)

    def used(values: Any, path: Path = ()) -> Iterator[Path]:
        for key, inner in values.items() if isinstance(values, dict) else ():
            yield (*path, key)
            yield from used(inner, (*path, key))
            yield from used(inner, path)
        for inner in values if isinstance(values, list) else ():
            yield from used(inner, path)

    jsonschema_rs.validate(schema(chart), full(chart))
    assert set(named(schema(chart))) <= set(used(full(chart)))


def stays(chart: str, text: str, added: bool) -> None:
    """Put a text in place of, or behind, every text of the full values at once: nothing else may change."""
    values, replaced = with_all(
        chart, lambda old: old if not isinstance(old, str) else f"{old}{text}" if added else text
    )
    same_shape(with_full_values(chart), rendered(chart, values), replaced)


def test_two_users_of_one_name_are_refused() -> None:
    values = full("job-router")
    twins = [*values["users"], values["users"][0]]
    with pytest.raises(AssertionError, match=f"users: {twins[0]['name']} is there twice; keep one of them"):
        template("job-router", values | {"users": twins})


@pytest.mark.parametrize("chart", CHARTS)
def test_a_text_that_yaml_takes_for_something_else_stays_a_text(chart: str) -> None:
    for text in _WORDS:
        stays(chart, text, added=False)
    for text in _ENDS:
        stays(chart, text, added=True)


@pytest.mark.parametrize("chart", CHARTS)
@settings(15)
@given(data=st.data())
def test_any_text_stays_a_text(chart: str, data: st.DataObject) -> None:
    stays(chart, data.draw(st.text(_SIGNS, min_size=1, max_size=12)), data.draw(st.booleans()))


@pytest.mark.parametrize("chart", CHARTS)
def test_a_large_number_keeps_its_digits_in_every_place_that_takes_it(chart: str) -> None:
    numbers = (_NUMBER - count for count in range(100))
    values, replaced = with_all(chart, lambda old: next(numbers) if isinstance(old, int) else old)
    same_shape(with_full_values(chart), rendered(chart, values), replaced)


def complaints(file: str, text: str) -> set[str | int]:
    """The fields that the program which reads a file refuses; none for what is no configuration."""
    try:
        if file in _READERS:
            _READERS[file].model_validate_json(text)
    except ValidationError as error:
        return {found["loc"][-1] for found in error.errors()}
    return set()


@pytest.mark.parametrize("chart", CHARTS)
@settings(30)
@given(data=st.data())
def test_what_the_schema_allows_makes_known_objects_that_programs_read(
    chart: str, data: st.DataObject
) -> None:
    values = data.draw(made_up(chart))
    objects = rendered(chart, values)
    known = {(kind, name) for kind, _, name in map(identity, with_full_values(chart))}
    namespaces = {"", NAMESPACE, "kube-system", *values.get("userNamespaces", [])}
    namespaces |= {values["logs"]["namespace"]} if "logs" in values else set()
    found = [identity(item) for item in objects]
    assert len(found) == len(set(found)), f"an object is there twice: {sorted(found)}"
    for item in objects:
        kind, namespace, name = identity(item)
        assert isinstance(item["apiVersion"], str)
        assert _NAME.fullmatch(name)
        assert namespace in namespaces
        assert (kind, name) in known or kind == "Namespace" or _HOME.fullmatch(name)
        marks = (item["metadata"].get("labels") or {}) | (item["metadata"].get("annotations") or {})
        assert all(isinstance(text, str) for text in marks.values())
        for file, text in (item.get("data") or {}).items() if kind == "ConfigMap" else ():
            assert complaints(file, text) <= _LEFT_TO_PROGRAMS
