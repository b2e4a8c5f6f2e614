"""docs/chart-values.md, made from the charts' schemas and values: `python -m tests.chart_values > FILE`."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from platformctl.artifacts.charts import find_charts
from platformctl.site.documentation import row
from platformctl.site.variables import Variable

Schema = Mapping[str, Any]

_HEAD = """# Values of the charts

<!-- made by `make docs` from charts/*/values.schema.json and charts/*/values.yaml -->

`platformctl install` sets the values that follow from the inventory; with Helm alone you set them all.
`users[].name` is the key `name` of each item of the list `users`. NAME stands for a key that the site
chooses. Helm refuses a value that the schema does not know.
"""

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict",
    "array": "list",
}


def document() -> str:
    """The page: one table for each chart."""
    return "\n".join([_HEAD, *(_section(folder) for folder in find_charts().values())])


def values(root: Schema, defaults: Any) -> Iterator[Variable]:
    """Every value that a schema has, in its order, each before those within it; root: the whole schema."""
    yield from _within(root, root, "", defaults)


def _section(folder: Path) -> str:
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    schema = json.loads((folder / "values.schema.json").read_text())
    defaults = yaml.safe_load((folder / "values.yaml").read_text())
    head = [f"## {about['name']}", "", f"{about['description']}.", ""]
    table = ["| value | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *table, *map(row, values(schema, defaults)), ""])


def _within(root: Schema, part: Schema, path: str, defaults: Any) -> Iterator[Variable]:
    """The values below one value. defaults: its own, or what is no mapping where it has none."""
    for key, inner in part.get("properties", {}).items():
        found = _resolved(root, inner)
        name = f"{path}{key}"
        given = {"default": defaults[key]} if isinstance(defaults, dict) and key in defaults else {}
        yield _variable(root, name, found, given, required=key in part.get("required", ()))
        yield from _within(root, found, f"{name}.", given.get("default"))
        yield from _within(root, _resolved(root, found.get("items", {})), f"{name}[].", None)
        if isinstance(found.get("additionalProperties"), dict):
            yield from _within(root, _resolved(root, found["additionalProperties"]), f"{name}.NAME.", None)


def _variable(root: Schema, name: str, part: Schema, given: dict[str, Any], required: bool) -> Variable:
    items = _resolved(root, part.get("items", {}))
    return Variable(
        name=name,
        type=_type(part),
        elements=_type(items) if items else "",
        choices=tuple(items.get("enum", ()) or part.get("enum", ())),
        required=required and not given,
        description=part.get("description", ""),
        # The defaults of a mapping of known keys are those of its keys.
        **({} if "properties" in part else given),
    )


def _type(part: Schema) -> str:
    """The name that Ansible has for the type; a quantity or time, which may be a bare number, is a text."""
    kind = part.get("type", "string")
    return _TYPES[kind if isinstance(kind, str) else kind[0]]


def _resolved(root: Schema, part: Schema) -> Schema:
    """A schema with what it refers to; what it says itself is stronger."""
    reference = part.get("$ref")
    return {**root["definitions"][reference.rpartition("/")[2]], **part} if reference else part


if __name__ == "__main__":
    sys.stdout.write(document())
