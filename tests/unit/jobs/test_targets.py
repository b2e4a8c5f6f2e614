"""One table has the back ends; what lists them is complete, and charts and pages name the same ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths
from platformctl.engine.checking import job_proofs
from platformctl.jobs import fields
from platformctl.jobs.fields import Handling
from platformctl.jobs.model import BACKENDS, Queue, Target
from platformctl.jobs.queues import parse_queue
from platformctl.jobs.targets import BACK_ENDS
from platformctl.router.backends import BUILDERS
from tests.unit.engine.sites import make_fleet

ROOT = Path(__file__).parents[3]
CHART = paths.data_dir() / "charts" / "job-router"


def test_every_target_but_auto_has_a_row_and_a_builder() -> None:
    assert set(BACK_ENDS) == set(BACKENDS) == set(BUILDERS) == set(Target) - {Target.AUTO}


def test_every_field_of_a_template_says_what_each_back_end_does_with_it() -> None:
    for field in fields.FIELDS:
        assert set(field.handlings) == set(BACKENDS)
        assert all(isinstance(handling, Handling) for handling in field.handlings.values()), field.path


@pytest.mark.parametrize("target", BACKENDS)
def test_a_queue_may_lead_to_each(target: Target) -> None:
    queue = parse_queue("any", {"targets": [{str(target): {}}]})
    assert isinstance(queue, Queue)
    assert queue.targets == (target,)


@pytest.mark.parametrize("target", BACKENDS)
def test_each_is_held_to_the_contract(target: Target) -> None:
    module = ROOT / "tests" / "integration" / "router" / f"test_{target}_backend.py"
    assert re.search(r"^from tests\.contracts\.\w+ import \*", module.read_text(), re.M)


@pytest.mark.parametrize("target", BACKENDS)
def test_verify_proves_each(target: Target) -> None:
    assert target in job_proofs.HOSTS


@pytest.mark.parametrize("target", BACKENDS)
def test_the_page_of_back_ends_compares_each(target: Target) -> None:
    page = (ROOT / "docs" / "backends.md").read_text()
    heading = next(line for line in page.splitlines() if line.startswith("| | "))
    assert BACK_ENDS[target].title in heading


def test_the_chart_lists_the_same_ones() -> None:
    named = {str(target) for target in BACKENDS}
    schema = json.loads((CHART / "values.schema.json").read_text())
    lists = [set(found) for found in _lists(schema) if named & set(found)]
    assert len(lists) >= 3
    assert all(found == named for found in lists)


def test_the_definitions_list_the_same_ones() -> None:
    text = "".join(path.read_text() for path in (CHART / "files" / "definitions").glob("*.yaml"))
    found = [set(match.split(", ")) for match in re.findall(r"enum: \[([a-z, ]*slurm[a-z, ]*)\]", text)]
    assert sorted(found, key=len) == [set(map(str, BACKENDS)), set(map(str, Target))]


def _lists(node: Any) -> list[list[str]]:
    """Enumerations of a schema, and names of properties that are back ends."""
    if isinstance(node, list):
        return [found for item in node for found in _lists(item)]
    if not isinstance(node, dict):
        return []
    here = [node["enum"]] if isinstance(node.get("enum"), list) else []
    free = node.get("properties")
    if isinstance(free, dict) and set(free) <= {str(target) for target in Target}:
        here.append(list(free))
    return here + [found for value in node.values() for found in _lists(value)]


@pytest.mark.parametrize(
    ("groups", "variables", "expected"),
    [
        (("kubernetes_control_plane", "slurm_rest"), {}, ()),
        (("kubernetes_control_plane", "kubernetes_node", "slurm_rest"), {}, ("kubernetes",)),
        (("kubernetes_control_plane", "slurm_rest", "slurm_node"), {}, ("slurm",)),
        ((), {"kubernetes_provider": "existing"}, ("kubernetes",)),
    ],
)
def test_a_site_proves_jobs_to_the_schedulers_that_have_nodes(
    groups: tuple[str, ...], variables: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert job_proofs.targets(make_fleet({"h1": groups}, variables)) == expected
