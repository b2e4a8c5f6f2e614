"""What no node has, in plain words."""

from fractions import Fraction

import pytest

from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.router.fit import lack, wanted

GPU = "nvidia.com/gpu"
GI = Fraction(2**30)
SMALL = {"cpu": Fraction(2), "memory": GI * 38 / 5}
LARGE = {"cpu": Fraction(64), "memory": 512 * GI}
CARD = {"cpu": Fraction(2), "memory": 4 * GI, GPU: Fraction(1)}
ASKED = {"cpu": Fraction(4), "memory": 16 * GI, GPU: Fraction(1)}


@pytest.mark.parametrize(
    ("request_", "nodes", "expected"),
    [
        (
            ASKED,
            [SMALL],
            "nvidia.com/gpu 1 (none has any), cpu 4 (the most is 2) and memory 16Gi (the most is 7.6Gi)",
        ),
        (ASKED, [SMALL, LARGE], "nvidia.com/gpu 1 (none has any)"),
        (ASKED, [CARD, LARGE], "cpu 4, memory 16Gi and nvidia.com/gpu 1 together"),
        (ASKED, [], "cpu 4 (none has any), memory 16Gi (none has any) and nvidia.com/gpu 1 (none has any)"),
        (ASKED, [{**LARGE, **{GPU: Fraction(8)}}], ""),
        ({"cpu": Fraction(1, 2)}, [{"cpu": Fraction(1, 4)}], "cpu 0.5 (the most is 0.25)"),
        ({}, [], ""),
        ({}, [SMALL], ""),
    ],
)
def test_what_is_lacking(
    request_: dict[str, Fraction], nodes: list[dict[str, Fraction]], expected: str
) -> None:
    assert lack(request_, nodes) == expected


def test_what_a_job_asks_for() -> None:
    levels = {"cpu": "4", "memory": "16Gi", GPU: "1"}
    container = {
        "name": "a",
        "image": "b",
        "command": ["c"],
        "resources": {"requests": levels, "limits": levels},
    }
    job = parse({"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}})
    assert isinstance(job, JobSpec), job
    assert wanted(job) == ASKED
    assert wanted(job, 2)["cpu"] == 8
    assert wanted(JobSpec(script="#!/bin/sh\n")) == {}
