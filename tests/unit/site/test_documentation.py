"""The example site, the page of variables and the schemas: complete, and never behind the roles."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter
from typer.testing import CliRunner

from platformctl import paths, site
from platformctl.cli.main import app
from platformctl.site.areas import AREAS, by_area
from platformctl.site.documentation import markdown
from platformctl.site.schema import adapters
from platformctl.site.variables import known, roles
from tests.unit.site.conftest import EXAMPLE, LAB

DATA = paths.data_dir()
HIDDEN = {"lab_state"}  # of labs only
VARIABLES = [name for name, variable in known(DATA).items() if not variable.secret and name not in HIDDEN]


def _example() -> str:
    return "\n".join(path.read_text() for path in sorted(EXAMPLE.rglob("*.yml")))


def test_there_are_variables() -> None:
    assert len(VARIABLES) > 50
    assert len(roles(DATA)) > 10


@pytest.mark.parametrize("inventory", [EXAMPLE, LAB], ids=["example-site", "lab"])
def test_committed_inventories_have_no_mistakes(inventory: Path) -> None:
    assert site.check(inventory) == []


def test_the_example_shows_every_variable() -> None:
    text = _example()
    missing = [name for name in VARIABLES if not re.search(rf"\b{name}\b", text)]
    assert not missing, "show these with their default and one line in inventories/example-site"


def test_the_example_names_only_what_exists() -> None:
    shown = re.findall(r"^# ([a-z]+_[a-z_]+):", _example(), re.MULTILINE)
    assert len(shown) > 30
    assert [name for name in shown if name not in VARIABLES] == []


def test_the_example_shows_the_true_defaults() -> None:
    shown = re.findall(r"^# ([a-z]+_[a-z_]+): (.+)$", _example(), re.MULTILINE)
    variables = known(DATA)
    wrong = [
        name
        for name, text in shown
        if variables[name].has_default and yaml.safe_load(text) != variables[name].default
    ]
    assert wrong == []


def test_documented_defaults_have_the_documented_type() -> None:
    types = adapters(DATA)
    for name, variable in known(DATA).items():
        if variable.has_default:
            types[name].validate_python(variable.default)


def _raw(name: str) -> Any:
    path = DATA / "roles" / name / "defaults" / "main.yml"
    return (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}


def test_documented_defaults_are_those_of_the_roles() -> None:
    wrong = [
        f"{role.name}: {name}"
        for role in roles(DATA)
        for name, default in _raw(role.name).items()
        if name in role.variables and role.variables[name].has_default and "{{" not in str(default)
        if default != role.variables[name].default
    ]
    assert wrong == []


def test_every_variable_has_a_meaning() -> None:
    assert [name for name, variable in known(DATA).items() if len(variable.description) < 10] == []


def test_the_page_is_up_to_date() -> None:
    page = (DATA / "docs" / "variables.md").read_text()
    assert page == markdown(DATA), "run: platformctl schema --markdown > docs/variables.md"


@pytest.mark.parametrize("area", [area.name for area in AREAS])
def test_schemas_of_areas(area: str) -> None:
    done = CliRunner().invoke(app, ["schema", area])
    assert done.exit_code == 0
    schema = json.loads(done.stdout)
    assert schema["additionalProperties"] is False
    variables = next(found for key, found in by_area(DATA).items() if key.name == area)
    assert set(schema["properties"]) == {variable.name for variable in variables}


def test_schema_of_all_variables() -> None:
    schema = json.loads(CliRunner().invoke(app, ["schema"]).stdout)
    assert set(VARIABLES) <= set(schema["properties"])
    assert schema["properties"]["kubernetes_pod_network"]["format"] == "ipv4-network"
    assert TypeAdapter(dict[str, Any]).validate_python(schema)


def test_an_unknown_area() -> None:
    done = CliRunner().invoke(app, ["schema", "plumbing"])
    assert "kubernetes" in str(done.exception)
