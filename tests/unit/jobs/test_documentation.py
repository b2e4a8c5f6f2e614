"""The documentation and the definitions have the fields that the code reads, no more and no less."""

import re
from typing import Any

import pytest
import yaml

from platformctl.jobs import parse, queues
from platformctl.paths import data_dir


def documented(head: str) -> list[str]:
    """The names in the first column of the table that follows a heading."""
    text = (data_dir() / "docs" / "jobs.md").read_text().split(f"\n## {head}\n", 1)[1]
    table = text.split("|---|---|\n", 1)[1].split("\n\n", 1)[0]
    return [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def defined(file: str, part: str) -> dict[str, Any]:
    """The schema of one part of a custom resource."""
    path = data_dir() / "charts" / "job-router" / "files" / "definitions" / file
    definition = yaml.safe_load(path.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties: dict[str, Any] = schema["properties"][part]["properties"]
    return properties


@pytest.mark.parametrize(
    ("head", "fields"), [("What to run, and what it needs", parse.FIELDS), ("Queues", queues.FIELDS)]
)
def test_every_field_is_documented(head: str, fields: tuple[str, ...]) -> None:
    assert sorted(documented(head)) == sorted(fields)


@pytest.mark.parametrize(("file", "fields"), [("jobs.yaml", parse.FIELDS), ("queues.yaml", queues.FIELDS)])
def test_every_field_is_defined_and_described(file: str, fields: tuple[str, ...]) -> None:
    properties = defined(file, "spec")
    assert sorted(properties) == sorted(fields)
    assert all(schema.get("description") for schema in properties.values())


def test_every_field_of_the_status_is_documented() -> None:
    said = {*documented("Status"), "phase", "reason", "conditions", "observedGeneration", "copy"}
    assert said == set(defined("jobs.yaml", "status"))
