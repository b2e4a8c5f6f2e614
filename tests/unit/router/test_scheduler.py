"""The stand-in that the tests of the router's decisions use does what every back end must."""

import pytest

from platformctl.jobs.model import Target
from tests.contracts.backend import (  # noqa: F401
    Subject,
    test_a_cancelled_job_ends_and_may_be_cancelled_again,
    test_a_submitted_job_is_held_and_found_by_its_token,
    test_an_id_without_the_token_is_nobodys,
    test_each_copy_of_an_attempt_is_told_from_the_others,
    test_what_is_submitted_twice_is_found_whole,
)
from tests.fakes.scheduler import Scheduler
from tests.unit.router.world import ALICE


@pytest.fixture(params=[False, True], ids=["copies", "durable"])
def subject(request: pytest.FixtureRequest) -> Subject:
    target = Target.KUBERNETES if request.param else Target.SLURM
    return Subject(Scheduler(target, durable=request.param), ALICE, "lab", lambda ticket: ticket, "")
