"""Values for the charts: all that there are (full/CHART.yml), and what is made up from their schemas.

Hypothesis is made deterministic, so that a failure comes again, and with it the values that failed.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
import yaml
from hypothesis.strategies import SearchStrategy

from platformctl.artifacts.charts import find_charts
from tests.programs import program

CHARTS = find_charts()
# JSON has these as they are; YAML, as which Helm and API servers read it, does not.
NOT_IN_YAML = (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF)
_ESCAPED = {code: f"\\u{code:04x}" for code in NOT_IN_YAML}
NAMESPACE = "namespace-of-release"


def settings(examples: int) -> hypothesis.settings:
    """The same examples in each run. A failure is not made smaller: that takes minutes of Helm."""
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )


@cache
def schema(chart: str) -> dict[str, Any]:
    """What the chart says of its values, without Helm's own `global`, which no template reads."""
    found: dict[str, Any] = json.loads((CHARTS[chart] / "values.schema.json").read_text())
    found["properties"].pop("global")
    return found


@cache
def full(chart: str) -> dict[str, Any]:
    """Values that use everything that the chart has."""
    found: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_name("full").joinpath(f"{chart}.yml").read_text()
    )
    return found


@cache
def made_up(chart: str) -> SearchStrategy[Any]:
    """What the schema allows, made up as schemathesis makes up the body of a request."""
    body = {"required": True, "content": {"application/json": {"schema": schema(chart)}}}
    call = {"post": {"requestBody": body, "responses": {"200": {"description": "it is rendered"}}}}
    document = {"openapi": "3.1.0", "info": {"title": chart, "version": "1"}, "paths": {"/": call}}
    # References within the schema are looked up from the document's root.
    document["definitions"] = schema(chart)["definitions"]
    (operation,) = schemathesis.openapi.from_dict(document).get_all_operations()
    return operation.ok().as_strategy().map(lambda case: _without_twins(case.body))


def _without_twins(values: Any) -> Any:
    """With one user of each name: a schema cannot say so, and the chart refuses others."""
    if not isinstance(values, dict) or "users" not in values:
        return values
    return values | {"users": list({user["name"]: user for user in values["users"]}.values())}


def template(chart: str, values: dict[str, Any], *options: str, namespace: str = NAMESPACE) -> str:
    """What Helm renders; an AssertionError with its words where it cannot."""
    command = [str(program("helm")), "template", "name-of-release", str(CHARTS[chart]), *options]
    done = subprocess.run(
        [*command, "--namespace", namespace, "--values", "-"],
        input=json.dumps(values, ensure_ascii=False).translate(_ESCAPED).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:2000]
    return done.stdout.decode()
