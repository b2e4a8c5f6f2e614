"""What the schemas of the charts allow is taken by a real API server, which is asked and changes nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.charts.values import CHARTS, NOT_IN_YAML, full, made_up, settings, template
from tests.kind import cluster

# Where there is a namespace and no release of ours.
_NAMESPACE = "default"
# Prometheus' operator is not here.
_HERE = {
    "userNamespaces": [_NAMESPACE],
    "logs": {"namespace": _NAMESPACE},
    "metrics": {"serviceMonitor": False},
}


def ask(chart: str, values: dict[str, Any]) -> None:
    """Have the API server say whether it would take the chart's objects; PlatformError if not."""
    for name, here in _HERE.items():
        if name in values:
            values = values | {name: values[name] | here if isinstance(here, dict) else here}
    # Tests are pods of an account that would have to be there.
    objects = template(chart, values, "--skip-tests", namespace=_NAMESPACE)
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", data=objects
    )


@pytest.mark.parametrize("chart", CHARTS)
def test_an_api_server_takes_all_that_a_chart_has(before: set[str], chart: str) -> None:
    ask(chart, full(chart))


@pytest.mark.parametrize("chart", CHARTS)
@settings(12)
@given(data=st.data())
def test_an_api_server_takes_what_the_schema_allows(
    before: set[str], chart: str, data: st.DataObject
) -> None:
    # An API server reads what Helm and kubectl apply as YAML, and says that it has none of these.
    text = json.dumps(data.draw(made_up(chart)), ensure_ascii=False)
    values = json.loads(text.translate(dict.fromkeys(NOT_IN_YAML, "x")))
    # No schema says that a limit may not be below what is requested.
    for part in (values, values.get("logs", {})):
        part.pop("resources", None)
    ask(chart, values)
