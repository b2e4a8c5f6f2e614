"""What a job needs of a node of Kubernetes."""

from fractions import Fraction
from typing import Any

import pytest

from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.router.kubernetes_nodes import wanted

COPIES = [{"source": "a", "target": "b"}]
SCRIPT = {"script": "#!/bin/sh\n", "resources": {"cpu": "1"}}
CONTAINER = {
    "template": {
        "spec": {"containers": [{"name": "a", "image": "b", "resources": {"limits": {"cpu": "1"}}}]},
    }
}
MEMORY = 128 * 2**20


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({**SCRIPT, "resources": None}, {}),
        (SCRIPT, {"cpu": 1}),
        # Before the script, so that the larger of both counts; after it, in the script's own container.
        ({**SCRIPT, "stageIn": COPIES}, {"cpu": 1, "memory": MEMORY}),
        ({**SCRIPT, "stageIn": COPIES, "resources": {"cpu": "10m"}}, {"cpu": 0.1, "memory": MEMORY}),
        ({**SCRIPT, "stageOut": COPIES}, {"cpu": 1}),
        # Beside the container.
        ({**CONTAINER, "stageOut": COPIES}, {"cpu": 1.1, "memory": MEMORY}),
        ({**CONTAINER, "stageIn": COPIES, "stageOut": COPIES}, {"cpu": 1.1, "memory": MEMORY}),
    ],
)
def test_a_node_must_have_room_for_what_copies_too(spec: dict[str, Any], expected: dict[str, float]) -> None:
    job = parse(spec)
    assert isinstance(job, JobSpec), job
    assert wanted(job) == {name: Fraction(str(amount)) for name, amount in expected.items()}
