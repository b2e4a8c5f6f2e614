"""The queues that a site's partitions become."""

from typing import Any

import pytest

from platformctl.engine.cluster.queues import queues


def specs(variables: dict[str, Any], slurm: bool = True, kubernetes: bool = True) -> dict[str, Any]:
    return {item["metadata"]["name"]: item["spec"] for item in queues(variables, slurm, kubernetes)}


def test_each_partition_is_a_queue_and_the_default_leads_to_kubernetes_too() -> None:
    partitions = [
        {"name": "main", "default": True, "max_time": "1-00:00:00"},
        {"name": "GPU_big", "allow_accounts": ["physics"], "default_time": "30"},
    ]
    assert specs({"slurm_partitions": partitions}) == {
        "main": {
            "targets": [{"slurm": {"partition": "main"}}, {"kubernetes": {}}],
            "default": True,
            "maxWalltime": 86400,
        },
        "gpu-big": {
            "targets": [{"slurm": {"partition": "GPU_big"}}],
            "default": False,
            "defaultWalltime": 1800,
            "accounts": ["physics"],
        },
    }


def test_a_site_with_one_scheduler() -> None:
    assert specs({}, slurm=False)["main"]["targets"] == [{"kubernetes": {}}]
    assert specs({}, kubernetes=False)["main"]["targets"] == [{"slurm": {"partition": "main"}}]


def test_groups_are_their_members_and_a_group_of_nobody_is_no_queue() -> None:
    variables = {
        "slurm_partitions": [
            {"name": "a", "default": True},
            {"name": "b", "allow_groups": ["physics"]},
            {"name": "c", "allow_groups": ["empty"]},
        ],
        "users_accounts": [
            {"name": "alice", "groups": ["physics"]},
            {"name": "bob"},
            {"name": "gone", "groups": ["physics", "empty"], "state": "absent"},
        ],
    }
    found = specs(variables)
    assert found["b"]["users"] == ["alice"]
    assert "c" not in found


def test_the_inventory_may_say_more() -> None:
    more = {"limits": {"perUser": {"jobs": 5}}, "maxWalltime": 60}
    found = specs({"slurm_partitions": [{"name": "a", "max_time": "10", "queue": more}]})
    assert (found["a"]["limits"], found["a"]["maxWalltime"]) == (more["limits"], 60)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("01:00:05", 3605),
        ("2-01", 176400),
        ("1-00:30", 88200),
        ("1-00:00:01", 86401),
        ("UNLIMITED", None),
        ("INFINITE", None),
    ],
)
def test_times_as_slurm_writes_them(time: str, seconds: int | None) -> None:
    assert specs({"slurm_partitions": [{"name": "a", "max_time": time}]})["a"].get("maxWalltime") == seconds
