"""Why a job of Slurm waits, from what slurmrestd answers."""

from typing import Any

from platformctl.clients.slurmrestd import SlurmError
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Explanation, Ticket
from platformctl.router.loop.cached import Cached
from platformctl.router.slurm.cluster import Cluster
from platformctl.router.slurm.explain import explanation

TICKET = Ticket(
    Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice"),
    JobSpec(script="#!/bin/sh\n"),
    User("alice", 10001, 10001, (), "physics", "/home/alice"),
)


def record(job_id: int, state: str = "PENDING", **fields: Any) -> dict[str, Any]:
    own = {"comment": str(TICKET.claim.token), "user_name": "alice"}
    common = {**own, "partition": "main", "priority": {"set": True, "number": 10}, "hold": False}
    return {"job_id": job_id, "job_state": [state], **common, **fields}


class Rest:
    """A slurmrestd with these jobs, nodes and limits."""

    def __init__(self, *records: dict[str, Any], nodes: Any = (), limits: Any = None) -> None:
        self._records = records
        self._nodes = list(nodes)
        self._limits = limits

    async def records(self, _user: str, job_id: int) -> list[dict[str, Any]]:
        return [found for found in self._records if found["job_id"] == job_id]

    async def jobs(self, _user: str) -> list[dict[str, Any]]:
        return list(self._records)

    async def states(self, _user: str) -> dict[str, str]:
        return {str(found["job_id"]): "PENDING" for found in self._records}

    async def fair_shares(self, _user: str) -> dict[tuple[str, str], float]:
        if self._limits is None:
            raise SlurmError(0, "no accounting")
        return {("physics", "alice"): 0.25, ("chemistry", "alice"): 0.75}

    async def nodes(self, _user: str) -> list[dict[str, Any]]:
        return self._nodes

    async def associations(self, _user: str, _name: str, _account: str) -> list[dict[str, Any]]:
        if self._limits is None:
            raise SlurmError(0, "no accounting")
        return [{"max": self._limits}]


async def explained(rest: Any) -> Explanation:
    shares = Cached(lambda: rest.fair_shares("slurm"), 1.0)
    return await explanation(rest, "slurm", Cluster(rest, "slurm"), shares, TICKET, 7)


async def test_who_goes_first_and_who_holds_the_nodes() -> None:
    rest = Rest(
        record(7, state_reason="Priority", start_time={"set": True, "number": 1_800_000_000}),
        record(3),
        record(9, priority={"set": True, "number": 99}),
        record(8),
        record(4, hold=True),
        record(5, partition="other"),
        record(6, "RUNNING", tres_alloc_str="cpu=4", end_time={"set": True, "number": 1_799_999_000}),
    )
    found = await explained(rest)
    assert found.sentences == (
        "Slurm, partition main: waits behind jobs of higher priority.",
        "2 jobs of higher or equal priority go first: 9, 3.",
        "1 running job holds 4 CPUs; the first of them ends by 2027-01-15T07:43:20Z.",
        "Slurm expects it to start at 2027-01-15T08:00:00Z, or earlier if others end before their time.",
    )
    assert (found.behind, found.start) == (("9", "3"), 1_800_000_000)


async def test_limits_that_are_reached_are_told_with_their_numbers() -> None:
    limits = {
        "jobs": {"active": {"set": True, "number": 2}, "total": {"set": False, "number": 0}},
        "tres": {"total": [{"type": "gres", "name": "gpu", "count": 4}], "per": {"job": []}},
    }
    found = await explained(Rest(record(7, state_reason="AssocMaxJobsLimit"), limits=limits))
    assert found.sentences == (
        "Slurm, partition main: its user has reached the limit that its account sets: jobs.",
        "Limits of alice in the account physics: jobs active 2, tres total gres/gpu 4.",
        "Slurm has not estimated its start.",
    )


async def test_without_accounting_the_reason_is_told_alone() -> None:
    found = await explained(Rest(record(7, state_reason="QOSMaxJobsPerUserLimit")))
    assert (
        found.sentences[0] == "Slurm, partition main: its user has reached the limit that its QOS sets: jobs."
    )
    assert len(found.sentences) == 2


async def test_nodes_that_take_no_jobs_are_named() -> None:
    nodes = [
        {"name": "n1", "state": ["IDLE", "DRAIN"], "reason": "fan", "partitions": ["main"]},
        {"name": "n2", "state": ["IDLE"], "partitions": ["main"]},
        {"name": "n3", "state": ["DOWN"], "partitions": ["other"]},
    ]
    found = await explained(Rest(record(7, state_reason="ReqNodeNotAvail"), nodes=nodes))
    assert found.sentences[1] == "1 node of the partition main takes no jobs: n1 (fan)."


async def test_a_job_that_does_not_wait_needs_no_reason() -> None:
    assert await explained(Rest(record(7, "RUNNING"))) == Explanation(("Running in Slurm.",))


async def test_an_id_that_is_anothers_now_tells_nothing_of_it() -> None:
    told = await explained(Rest(record(7, user_name="mallory", state_reason="Priority"), record(9)))
    assert told.behind == ()
    assert told.sentences == ("Slurm no longer knows this job; the id 7 belongs to another job now.",)


async def test_the_fair_share_is_slurms_own_in_the_account_of_the_job() -> None:
    assert (await explained(Rest(record(7, account="physics"), limits={}))).fair_share == 0.25
    assert (await explained(Rest(record(7, account="maths"), limits={}))).fair_share is None
    assert (await explained(Rest(record(7, account="physics")))).fair_share is None
