"""The page of all variables, made from what roles and platformctl declare."""

import json
from collections.abc import Iterator
from pathlib import Path

from platformctl.site.areas import by_area
from platformctl.site.schema import OWN_PREFIX
from platformctl.site.secrets import NAMES
from platformctl.site.variables import Variable

_HEAD = f"""# Variables

Every variable that an inventory may set. Made by `platformctl schema --markdown`; do not edit this page.

Set variables in the files of `group_vars`, in `host_vars`, or at hosts and groups in `hosts.yml`. A value
that is closer to the host takes precedence. An unknown name is a mistake, unless it begins with
`{OWN_PREFIX}`: such variables are the site's own. `inventories/example-site` shows all variables in place.

For completion in an editor, run `platformctl schema > schema.json`, and begin each file of variables with the
line `# yaml-language-server: $schema=schema.json`, with the path of schema.json.
"""


_NAMES = {
    "str": "text",
    "path": "path",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "dict": "mapping",
    "raw": "any",
}


def markdown(data: Path) -> str:
    """The whole page."""
    parts = [_HEAD]
    for area, variables in by_area(data).items():
        if variables:
            parts += [f"## {area.title}", "\n".join([*_table(variables)])]
            parts += ["\n".join(_keys(variable)) for variable in variables if variable.options]
    parts += ["## Secrets", _SECRETS]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_SECRETS = f"""They are generated once into `group_vars/all/secrets.vault`. Its key is outside the inventory.
Do not set them by hand: {", ".join(f"`{name}`" for name in NAMES)}."""


def _table(variables: tuple[Variable, ...]) -> Iterator[str]:
    yield "| variable | type | default | meaning | read by |"
    yield "|---|---|---|---|---|"
    for variable in variables:
        readers = ", ".join(variable.roles) or "platformctl"
        yield f"{row(variable)} {readers} |"


def _keys(variable: Variable) -> Iterator[str]:
    items = "Each item" if variable.type == "list" else "The mapping"
    yield f"{items} of `{variable.name}` has:\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for option in variable.options:
        yield row(option)


def row(variable: Variable) -> str:
    """A variable as a row of a table: name, type, default and meaning."""
    meaning = variable.description.replace("|", "\\|")
    return f"| `{variable.name}` | {_type(variable)} | {_default(variable)} | {meaning} |"


def _type(variable: Variable) -> str:
    kind = variable.elements or "raw" if variable.type == "list" else variable.type
    names = " or ".join(f"`{choice}`" for choice in variable.choices) or _NAMES[kind]
    return f"list of {names}" if variable.type == "list" else names


def _default(variable: Variable) -> str:
    if variable.required:
        return "required"
    return f"`{json.dumps(variable.default)}`" if variable.has_default else ""
