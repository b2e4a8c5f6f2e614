"""Whether a node offers what its class leaves to pods."""

from typing import Any

import pytest

from platformctl.engine.checking.proofs import node_class

CLASS: dict[str, Any] = {
    "node_owner": "kubernetes",
    "node_system_cpus": "0-1",
    "node_system_memory_mib": 1024,
    "node_hugepages": [{"size": "2Mi", "count": 4}, {"size": "1Gi", "count": 1}],
}
CAPACITY = {"cpu": "8", "memory": "16Gi", "hugepages-2Mi": "8Mi", "hugepages-1Gi": "1Gi"}
GIVEN = {"cpu": "6", "memory": "14Gi", "hugepages-2Mi": "8Mi", "hugepages-1Gi": "1Gi"}


def found(**changes: str) -> tuple[bool, str]:
    given = {**GIVEN, "memory": "14228Mi"} | {
        name.replace("_", "-"): amount for name, amount in changes.items()
    }
    outcome = node_class.outcome(CLASS, {"capacity": CAPACITY, "allocatable": given})
    return outcome.fine, outcome.found


def test_a_node_that_offers_what_is_left() -> None:
    fine, words = found()
    assert fine
    assert words == "it offers cpu 6, memory 14228 MiB, hugepages-2Mi 8 MiB, hugepages-1Gi 1024 MiB"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpu": "8"}, "it offers cpu 8 where 6 are left to pods"),
        ({"cpu": "4"}, "it offers cpu 4 where 6 are left to pods"),
        ({"memory": "15Gi"}, "it offers memory 15360 MiB where 14328 MiB are left to pods"),
        ({"hugepages_2Mi": "0"}, "it offers hugepages-2Mi 0 MiB where 8 MiB are left to pods"),
    ],
)
def test_a_node_that_offers_something_else(changes: dict[str, str], words: str) -> None:
    assert found(**changes) == (False, words)
