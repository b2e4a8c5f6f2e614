"""The table of pod-template fields knows every field that Kubernetes has."""

import pytest
from kubernetes import client

from platformctl.jobs.fields import BY_PATH, FIELDS, Handling, markdown_table

MODELS = {
    "spec.": client.V1PodSpec,
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


def test_what_both_refuse_or_take_is_in_the_documentation() -> None:
    table = markdown_table()
    assert table.count("\n") == len(FIELDS) + 2
    assert any(row.kubernetes is Handling.MAPPED and row.slurm is Handling.REFUSED for row in FIELDS)
