"""What the Slurm back end refuses before it submits."""

from typing import Any

import pytest

from platformctl.clients.slurmrestd import SlurmBusyError, SlurmError
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Busy, Claim, Refused, Ticket, UserBusy
from platformctl.router.slurm.backend import SlurmBackend

ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")
CLAIM = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")


class Rest:
    """A slurmrestd of one version, of one cluster."""

    def __init__(self, dialect: str = "v0.0.42", cluster: str = "here") -> None:
        self.served, self.name = dialect, cluster
        self.bodies: list[dict[str, Any]] = []
        self.changed: list[tuple[int, dict[str, Any]]] = []
        self.there: dict[int, dict[str, Any]] = {}
        self.error: Exception | None = None

    async def dialect(self, _user: str) -> str:
        return self.served

    async def cluster(self, _user: str) -> str:
        return self.name

    async def states(self, _user: str) -> dict[str, str]:
        return {str(number): "PENDING" for number in self.there}

    async def submit(self, _user: str, body: dict[str, Any]) -> int:
        if self.error:
            raise self.error
        self.bodies.append(body)
        return 17

    async def records(self, _user: str, job_id: int) -> list[dict[str, Any]]:
        if job_id in self.there:
            return [self.there[job_id]]
        return [{"job_id": job_id + number} for number in range(3)]

    async def update(self, _user: str, job_id: int, fields: dict[str, Any]) -> None:
        self.changed.append((job_id, fields))


async def submitted(rest: Rest, **block: Any) -> str:
    job = parse({"script": "#!/bin/sh\n", "slurm": block})
    assert isinstance(job, JobSpec), job
    backend = SlurmBackend(rest, "lab", "slurm", 1.0)  # type: ignore[arg-type]
    return await backend.submit_held(Ticket(CLAIM, job, ALICE))


async def test_the_cluster_that_a_job_names_must_be_this_one() -> None:
    assert await submitted(Rest(), clusters=["there", "here"]) == "17"
    with pytest.raises(
        Refused, match=r"spec.slurm.clusters: Slurm's cluster here is here: leave out the names"
    ):
        await submitted(Rest(), clusters=["there"])
    with pytest.raises(Refused, match="is not known by name"):
        await submitted(Rest(cluster=""), clusters=["there"])


async def test_a_field_that_slurmrestd_lacks_is_refused_by_its_path() -> None:
    rest = Rest("v0.0.40")
    with pytest.raises(
        Refused, match=r"spec.slurm.oomKillStep: .*v0.0.40.* has no field for it: leave it out"
    ):
        await submitted(rest, oomKillStep=1)
    assert rest.bodies == []


@pytest.mark.parametrize(
    ("block", "released"), [({}, [17]), ({"components": [{"tasks": 2}, {"tasks": 3}]}, [18, 19, 17])]
)
async def test_all_components_are_released_and_the_first_one_last(
    block: dict[str, Any], released: list[int]
) -> None:
    rest = Rest()
    job = parse({"script": "#!/bin/sh\n", "slurm": block})
    assert isinstance(job, JobSpec), job
    backend = SlurmBackend(rest, "lab", "slurm", 1.0)  # type: ignore[arg-type]
    await backend.release(Ticket(CLAIM, job, ALICE), "17")
    assert rest.changed == [(number, {"hold": False}) for number in released]


async def test_too_many_jobs_of_a_user_are_waited_for_as_long_as_the_user_has_others() -> None:
    rest = Rest()
    rest.error = SlurmError(2050, "Job violates accounting/QOS policy")
    with pytest.raises(Refused, match="violates accounting"):
        await submitted(rest)
    other = {"job_id": 3, "comment": str(CLAIM.token), "name": "y", "job_state": ["PENDING"]}
    rest.there = {3: {**other, "user_name": "bob"}}
    with pytest.raises(Refused):
        await submitted(rest)
    rest.there = {3: {**other, "user_name": "alice"}}
    with pytest.raises(UserBusy, match="no more jobs of alice now, or not this one: Job violates"):
        await submitted(rest)


async def test_a_rate_limit_is_of_one_user_and_a_full_slurm_of_all() -> None:
    rest = Rest()
    rest.error = SlurmBusyError(1804, "it has had too many requests (its rate limit)")
    with pytest.raises(UserBusy):
        await submitted(rest)
    rest.error = SlurmBusyError(2007, "it holds as many jobs as it may (MaxJobCount)")
    with pytest.raises(Busy) as full:
        await submitted(rest)
    assert not isinstance(full.value, UserBusy)
