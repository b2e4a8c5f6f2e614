"""Every value of the charts is described, and docs/chart-values.md has them all."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from platformctl.artifacts.charts import find_charts
from platformctl.paths import data_dir
from tests.chart_values import document, values

CHARTS = find_charts()
# Its properties are conditions on values that are declared elsewhere.
CONDITIONS = {"if", "then", "else", "not", "allOf", "anyOf", "oneOf"}

SCHEMA: dict[str, Any] = {
    "required": ["inner", "people"],
    "properties": {
        "inner": {
            "description": "A mapping.",
            "type": "object",
            "required": ["size"],
            "properties": {"size": {"$ref": "#/definitions/size", "description": "Its own."}},
        },
        "people": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": ["string", "null"]},
                    "colours": {"type": "array", "items": {"enum": ["red", "blue"]}},
                },
            },
        },
        "classes": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"nice": {"type": "number"}}},
        },
    },
    "definitions": {"size": {"type": "integer", "description": "That of the definition."}},
}


def declared(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property that a schema declares, wherever in it, by its path."""
    if isinstance(part, list):
        for number, inner in enumerate(part):
            yield from declared(inner, f"{path}[{number}]")
    for key, inner in part.items() if isinstance(part, dict) else ():
        if key == "properties":
            for name, found in inner.items():
                yield f"{path}.{name}", found
                yield from declared(found, f"{path}.{name}")
        elif key not in CONDITIONS:
            yield from declared(inner, f"{path}.{key}")


def test_there_are_charts_with_values() -> None:
    assert {"job-router", "dask-operator"} <= set(CHARTS)


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_described(chart: str) -> None:
    properties = dict(declared(json.loads((CHARTS[chart] / "values.schema.json").read_text())))
    assert len(properties) > 10
    bare = [path for path, found in properties.items() if not is_sentence(found.get("description", ""))]
    assert bare == [], (
        "describe these in values.schema.json: what it affects, its unit, what the default means"
    )


def is_sentence(text: str) -> bool:
    return len(text) >= 15 and text[0].isupper() and text.endswith(".")


def test_properties_are_found_in_items_in_mappings_and_in_definitions() -> None:
    found = [path for path, _ in declared({**SCHEMA, "if": {"properties": {"not": {}}}})]
    assert found == [
        ".inner",
        ".inner.size",
        ".people",
        ".people.items.name",
        ".people.items.colours",
        ".classes",
        ".classes.additionalProperties.nice",
    ]


@pytest.mark.parametrize("chart", CHARTS)
def test_every_default_is_a_value_of_the_schema(chart: str) -> None:
    schema = json.loads((CHARTS[chart] / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())
    rows = {variable.name: variable for variable in values(schema, defaults)}
    assert [variable.name for variable in values(schema, defaults)] == list(rows)
    assert [path for path in leaves(defaults) if not rows[path].has_default] == []


def leaves(part: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, inner in part.items():
        if isinstance(inner, dict) and inner:
            yield from leaves(inner, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_types_defaults_and_descriptions_of_values() -> None:
    inner, size, people, name, colours, classes, nice = values(SCHEMA, {"inner": {"size": 3}, "classes": {}})
    assert (inner.name, inner.type, inner.has_default, inner.description) == (
        "inner",
        "dict",
        False,
        "A mapping.",
    )
    assert (size.name, size.type, size.default, size.required) == ("inner.size", "int", 3, False)
    assert size.description == "Its own."
    assert (people.name, people.type, people.elements, people.required) == ("people", "list", "dict", True)
    assert (name.name, name.type, name.required) == ("people[].name", "str", True)
    assert (colours.name, colours.choices) == ("people[].colours", ("red", "blue"))
    assert (classes.name, classes.default) == ("classes", {})
    assert (nice.name, nice.type, nice.has_default) == ("classes.NAME.nice", "float", False)


def test_the_page_is_up_to_date() -> None:
    page = (data_dir() / "docs" / "chart-values.md").read_text()
    assert page == document(), "run: make docs"
