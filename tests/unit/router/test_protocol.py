"""The protocol of exactly-once submission as the pages tell it is the one that the router follows."""

import re
from pathlib import Path

import pytest

import platformctl.router
from platformctl.jobs.model import Target
from tests.fakes.scheduler import Scheduler
from tests.unit.router.world import World

DOCS = Path(__file__).parents[3] / "docs"


def of_jobs_page() -> list[str]:
    part = (DOCS / "jobs.md").read_text().partition("## Exactly once")[2].partition("\n## ")[0]
    return re.findall(r"^\| \d \| `(\w+)` \|", part, re.MULTILINE)


def of_architecture_page() -> list[str]:
    part = (DOCS / "architecture.md").read_text().partition("## A job, exactly once")[2]
    return re.findall(r"`(\w+)`", part.partition(":")[0])


def of_package() -> list[str]:
    return re.findall(r"^\d\. `(\w+)`:", platformctl.router.__doc__ or "", re.MULTILINE)


async def steps(durable: bool) -> list[str]:
    """What the router does of an undisturbed Job, until it is released."""
    world = World(Scheduler(Target.KUBERNETES if durable else Target.SLURM, durable=durable))
    world.api.log = world.slurm.log
    world.submit()
    await world.reconcile()
    assert len(world.slurm.started) == 1
    return world.slurm.log[world.slurm.log.index("submit_held") :]


@pytest.mark.parametrize("told", [of_jobs_page, of_architecture_page, of_package])
async def test_the_steps_are_told_as_they_are_taken(told: object) -> None:
    assert callable(told)
    assert told() == await steps(durable=False)


async def test_a_back_end_that_forgets_nothing_is_not_read_back() -> None:
    assert await steps(durable=True) == [step for step in of_jobs_page() if step != "read"]


async def test_the_router_page_counts_the_writes_before_the_release() -> None:
    page = (DOCS / "router.md").read_text()
    assert re.search(r"write of a Job's status\. A Job has three: before the release, when it\s+runs", page)
    assert (await steps(durable=False)).count("status") == 1
