"""The table of pod-template fields knows every field that Kubernetes has."""

from typing import Any

import pytest
from kubernetes import client

from platformctl.jobs.fields import BY_PATH, FIELDS, markdown_table
from platformctl.paths import data_dir

MODELS: dict[str, Any] = {
    "spec.": client.V1PodSpec,
    "spec.securityContext.": client.V1PodSecurityContext,
    "spec.containers[].securityContext.": client.V1SecurityContext,
    "spec.containers[].": client.V1Container,
    "spec.containers[].env[].": client.V1EnvVar,
    "spec.containers[].resources.": client.V1ResourceRequirements,
}


@pytest.mark.parametrize("prefix", MODELS)
def test_every_field_has_a_row(prefix: str) -> None:
    names = set(MODELS[prefix].attribute_map.values())
    assert names - {path.removeprefix(prefix) for path in BY_PATH} == set()


def test_paths_are_unique() -> None:
    assert len(BY_PATH) == len(FIELDS)


def test_every_row_says_how_or_why() -> None:
    assert all(row.note for row in FIELDS)


def test_the_documentation_has_the_table_as_it_is() -> None:
    assert markdown_table() in (data_dir() / "docs" / "jobs.md").read_text(), (
        "write `python -m platformctl.jobs.fields` into docs/jobs.md"
    )
