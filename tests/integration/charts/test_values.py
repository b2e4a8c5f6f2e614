"""Values made up from each chart's schema: what it allows is rendered, and nothing breaks out of its place."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from platformctl.artifacts.charts import find_charts
from tests.programs import program

_CHARTS = find_charts()
_OWN_KINDS = {"ServiceMonitor", "PersistentVolume", "PersistentVolumeClaim"}


def rendered(chart: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's objects; values that Helm itself takes for invalid by the schema do not count."""
    command = [str(program("helm")), "template", "release", str(chart), "--namespace", "platform-system"]
    done = subprocess.run(
        [*command, "--values", "-"], input=json.dumps(values).encode(), capture_output=True, check=False
    )
    words = done.stderr.decode(errors="replace")
    # Go's regular expressions end a text where Python's allow one line break more.
    assume("don't meet the specifications of the schema" not in words)
    assert done.returncode == 0, words[:2000]
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@cache
def usual(name: str) -> tuple[dict[str, Any], frozenset[str]]:
    """A chart's own values, and the kinds of its objects with them."""
    values = yaml.safe_load((_CHARTS[name] / "values.yaml").read_text())
    return values, frozenset(found["kind"] for found in rendered(_CHARTS[name], values))


@cache
def strategy(name: str, value: str) -> Any:
    """What the schema of a chart allows for one of its values, made up as the body of a request."""
    schema = json.loads((_CHARTS[name] / "values.schema.json").read_text())["properties"][value]
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    call = {"post": {"requestBody": body, "responses": {"200": {"description": "it is rendered"}}}}
    document = {"openapi": "3.1.0", "info": {"title": name, "version": "1"}, "paths": {"/": call}}
    (operation,) = schemathesis.openapi.from_dict(document).get_all_operations()
    return operation.ok().as_strategy().map(lambda case: case.body)


@pytest.mark.parametrize("name", sorted(_CHARTS))
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_the_schema_allows_renders_to_objects_of_the_known_kinds(name: str, data: st.DataObject) -> None:
    values, kinds = usual(name)
    changed = data.draw(st.sampled_from(sorted(values)))
    values = {**values, changed: data.draw(strategy(name, changed))}
    for found in rendered(_CHARTS[name], values):
        assert found["kind"] in kinds | _OWN_KINDS
        assert {"apiVersion", "metadata"} <= found.keys()
        assert isinstance(found["metadata"]["name"], str)
        labels = found["metadata"].get("labels", {})
        assert all(isinstance(value, str) for value in labels.values()), labels
