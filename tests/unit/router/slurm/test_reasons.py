"""Slurm's reasons: none is without plain words."""

from pathlib import Path

import pytest

from platformctl.router.slurm.reasons import limit_words, words

# Every name that Slurm 24.11 writes for a value of slurm.h's enum job_state_reason.
REASONS = (Path(__file__).parent / "reasons_24_11.txt").read_text().split()


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason != "None"])
def test_every_reason_of_slurm_has_plain_words(reason: str) -> None:
    found = words(reason)
    assert found
    assert not found.startswith("waits: ")
    assert reason not in found


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("None", ""),
        ("", ""),
        ("Resources", "waits for free resources"),
        ("QOSMaxJobsPerUserLimit", "its user has reached the limit that its QOS sets: jobs"),
        ("AssocMaxJobsLimit", "its user has reached the limit that its account sets: jobs"),
        ("MaxGRESPerAccount", "its account has reached the limit that its QOS sets: GPUs or other devices"),
        ("AssocGrpMemLimit", "its account as a whole has reached its limit: memory"),
        ("QOSMinCpuNotSatisfied", "asks for too little of what its QOS requires: CPUs"),
        (
            "AssocMaxWallDurationPerJobLimit",
            "asks for more wall time for one job than its account allows",
        ),
        (
            "AssocGrpCPURunMinutesLimit",
            "its account as a whole has reached its limit: minutes of CPUs promised to running jobs",
        ),
        ("SomethingNew", "waits: SomethingNew"),
    ],
)
def test_what_a_reason_means(reason: str, expected: str) -> None:
    assert words(reason) == expected


def test_only_limits_are_read_as_limits() -> None:
    assert limit_words("Resources") == ""
