from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from platformctl.jobs.model import Target
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim
from platformctl.router.job.sweep import Sweeper
from platformctl.vocabulary import Phase

UID = "11924ac8-3932-46d6-ad0c-b5501999851a"
CLAIM = Claim(Token("lab", UID, 2, "0a1b2c3d"), "default", "x", "alice")


@dataclass
class Known:
    attempt: int
    backend: Target | None
    backend_id: str
    phase: Phase | None = Phase.PENDING
    copy: str = "0a1b2c3d"


class Backend:
    target = Target.SLURM

    def __init__(self) -> None:
        self.jobs: list[tuple[Claim, str]] = [(CLAIM, "7")]
        self.cancelled: list[str] = []

    async def claimed(self) -> list[tuple[Claim, str]]:
        return self.jobs

    async def cancel(self, _claim: Claim, job_id: str) -> None:
        self.cancelled.append(job_id)


async def sweep(known: dict[str, Known], times: int = 2) -> list[str]:
    backend: Any = Backend()
    sweeper = Sweeper(backend)
    for _ in range(times):
        await sweeper.sweep(known)
    return backend.cancelled  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "known",
    [
        {},
        {UID: Known(2, Target.SLURM, "8")},
        {UID: Known(1, Target.SLURM, "7")},
        {UID: Known(2, Target.SLURM, "7", copy="ffffffff")},
        {UID: Known(2, Target.KUBERNETES, "")},
        {UID: Known(2, Target.SLURM, "7", Phase.CANCELLED)},
        {UID: Known(2, None, "", Phase.REFUSED)},
    ],
)
async def test_what_nobody_claims_is_cancelled(known: dict[str, Known]) -> None:
    assert await sweep(known) == ["7"]


@pytest.mark.parametrize(
    "known",
    [
        {UID: Known(2, Target.SLURM, "7")},
        {UID: Known(2, None, "")},
        {UID: Known(2, None, "", None)},
        {UID: Known(2, Target.SLURM, "7", Phase.FAILED)},
    ],
)
async def test_what_a_job_claims_or_may_adopt_stays(known: dict[str, Known]) -> None:
    assert await sweep(known, times=5) == []


async def test_one_sweep_alone_cancels_nothing() -> None:
    assert await sweep({}, times=1) == []


async def test_the_log_keeps_what_was_cancelled_unasked() -> None:
    """Nothing else tells an administrator why a job of that id ended."""
    with structlog.testing.capture_logs() as lines:
        await sweep({})
    assert lines == [
        {
            "event": "cancelling an unclaimed job",
            "log_level": "warning",
            "backend": "slurm",
            "job_id": "7",
            "token": f"kf:lab:{UID}:2:0a1b2c3d",
        }
    ]
