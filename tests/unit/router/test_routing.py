from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Ticket
from platformctl.router.routing import Route, choose

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")
SCRIPT = {"script": "#!/bin/sh\n"}
POD = {"template": {"spec": {"containers": [{"name": "a", "image": "b", "command": ["c"]}]}}}


class Backend:
    """A back end that only says whether it could run a job."""

    def __init__(self, unfit: str = "") -> None:
        self._unfit = unfit

    async def unfit(self, _ticket: Ticket) -> str:
        return self._unfit


async def route(spec: dict[str, Any], slurm: str | None = "", kubernetes: str | None = "") -> object:
    job = parse(spec)
    assert isinstance(job, JobSpec), job
    claim = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "default", "x", "alice")
    given = {Target.SLURM: slurm, Target.KUBERNETES: kubernetes}
    backends: Any = {target: Backend(why) for target, why in given.items() if why is not None}
    return await choose(Ticket(claim, job, ALICE), backends)


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        (SCRIPT, Target.SLURM),
        (POD, Target.KUBERNETES),
        ({**POD, "target": "slurm"}, Target.SLURM),
        ({**SCRIPT, "target": "kubernetes"}, Target.KUBERNETES),
        ({**POD, "queue": "main"}, Target.SLURM),
        ({**POD, "nodes": 2}, Target.SLURM),
    ],
)
async def test_where_a_job_goes(spec: dict[str, Any], target: Target) -> None:
    found = await route(spec)
    assert isinstance(found, Route)
    assert found.target is target


async def test_the_other_back_end_takes_what_the_first_cannot() -> None:
    found = await route(POD, kubernetes="no Kubernetes node has enough nvidia.com/gpu")
    assert found == Route(
        Target.SLURM,
        "a container goes to slurm; not kubernetes: no Kubernetes node has enough nvidia.com/gpu",
    )
    found = await route(SCRIPT, slurm=None)
    assert isinstance(found, Route)
    assert found.target is Target.KUBERNETES


async def test_what_runs_nowhere_is_refused_with_every_reason() -> None:
    found = await route({**POD, "queue": "main"}, slurm="no node")
    assert [str(refusal) for refusal in found] == [  # type: ignore[attr-defined]
        "spec.queue: kubernetes: is not supported on kubernetes, which has no partitions",
        "spec: slurm: no node",
    ]


async def test_a_target_that_the_site_lacks_is_refused() -> None:
    found = await route({**SCRIPT, "target": "slurm"}, slurm=None)
    assert [refusal.path for refusal in found] == ["spec.target"]  # type: ignore[attr-defined]
