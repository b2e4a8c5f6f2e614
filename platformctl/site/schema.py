"""Pydantic types made from the variables: they check values, and give JSON Schema to editors.

A number where a text is expected is refused, although Ansible accepts it: YAML reads 0700, 1:30 and 1e3 as
other numbers than were written, so such a text must be quoted. A text where a number or a boolean is expected
is refused too: templates and rules that read it without a role's argument specs would treat "no" as true.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    create_model,
)

from platformctl.site.refinements import REFINEMENTS
from platformctl.site.variables import Variable, known

OWN_PREFIX = "x_"
"""Prefix of the site's own variables: its other values may use them, and platformctl ignores them."""

_SCALARS: Mapping[str, Any] = {
    "str": StrictStr,
    "path": StrictStr,
    "int": StrictInt,
    "float": StrictFloat,
    "bool": StrictBool,
    "raw": Any,
    "dict": dict[str, Any],
}
_STRICT = ConfigDict(extra="forbid")


def type_of(variable: Variable, within: str = "") -> Any:
    """The Python type of a variable's values. within: the name of the variable that this is a key of."""
    path = f"{within}.{variable.name}" if within else variable.name
    if path in REFINEMENTS:
        kind = REFINEMENTS[path]
    elif variable.type == "list":
        kind = list[_item(variable, path)]  # type: ignore[misc]
    elif variable.options:
        kind = _mapping(variable, path)
    elif variable.choices:
        kind = Literal[variable.choices]
    else:
        kind = _SCALARS[variable.type]
    return Annotated[kind, Field(description=variable.description)] if variable.description else kind


def adapters(data: Path) -> Mapping[str, TypeAdapter[Any]]:
    """A checker for every variable that an inventory may set."""
    return _adapters(data)


@cache
def _adapters(data: Path) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(type_of(variable)) for name, variable in known(data).items()}


def json_schema(variables: Iterable[Variable], title: str) -> dict[str, Any]:
    """JSON Schema of a file that sets some of these variables and no others."""
    fields: dict[str, Any] = {
        variable.name: (type_of(variable), _default(variable)) for variable in variables
    }
    model = create_model(title, __config__=_STRICT, **fields)
    schema: dict[str, Any] = _without_noise(model.model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["patternProperties"] = {f"^{OWN_PREFIX}": {}}
    return schema


def _without_noise(node: Any) -> Any:
    """Without the titles that pydantic derives from names, and without the defaults of what has none."""
    if isinstance(node, list):
        return [_without_noise(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_noise(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }


def _item(variable: Variable, path: str) -> Any:
    if variable.options:
        return _mapping(variable, path)
    if variable.choices:
        return Literal[variable.choices]
    return _SCALARS[variable.elements or "raw"]


def _mapping(variable: Variable, path: str) -> type[BaseModel]:
    fields: dict[str, Any] = {
        option.name: (type_of(option, path), ... if option.required else _default(option))
        for option in variable.options
    }
    return create_model(path.replace(".", "_"), __config__=_STRICT, **fields)


def _default(variable: Variable) -> Any:
    return variable.default if variable.has_default else None
