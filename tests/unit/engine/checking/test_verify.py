import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.checking import verify
from platformctl.engine.checking.proof import Proof
from platformctl.engine.fleet import LOCALHOST, Connection, Fleet
from platformctl.engine.remote import Reply
from platformctl.engine.running import steps
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.outcome import Status
from platformctl.engine.running.redact import Redactor
from platformctl.engine.stages import STAGES, StageRunner
from tests.unit.engine.sites import make_fleet

GROUPS = {
    "ctl1": ("kubernetes_control_plane", "slurm_controller", "slurm_rest"),
    "n1": ("slurm_node",),
    "n2": ("kubernetes_node",),
}
GONE = {"name": "mallory", "uid": 10001, "state": "absent"}
HERE = {"name": "alice", "uid": 10002}


class Site:
    """What verify ran: scripts on hosts, and the users of its Jobs."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.users: list[str] = []

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        self.scripts.append(script)
        return Reply(0, "it ran", "")

    async def prove_jobs(self, fleet: Fleet, user: str) -> list[Proof]:
        self.users.append(user)
        return [Proof("Job to slurm", True, "it ran", 0.1)]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site()
    monkeypatch.setattr(remote, "run", found.run)
    monkeypatch.setattr(verify, "prove_jobs", found.prove_jobs)
    return found


def fleet(*accounts: dict[str, Any]) -> Fleet:
    return make_fleet(GROUPS, {"users_accounts": list(accounts)})


def test_jobs_are_those_of_a_user_who_exists(site: Site) -> None:
    proofs = asyncio.run(verify.verify(fleet(GONE, HERE)))
    assert [(proof.name, proof.result) for proof in proofs] == [
        ("pod", "ok"),
        ("sbatch", "ok"),
        ("Job to slurm", "ok"),
    ]
    batch = next(script for script in site.scripts if "sbatch" in script)
    assert batch.startswith("runuser --login alice ")
    assert site.users == ["alice"]


@pytest.mark.parametrize("accounts", [(), (GONE,)])
def test_without_users_the_jobs_are_skipped_and_told(site: Site, accounts: tuple[dict[str, Any]]) -> None:
    proofs = asyncio.run(verify.verify(fleet(*accounts)))
    assert [(proof.name, proof.result) for proof in proofs] == [
        ("pod", "ok"),
        ("sbatch", "skipped"),
        ("Job to slurm", "skipped"),
        ("Job to kubernetes", "skipped"),
    ]
    assert "users_accounts" in proofs[1].found
    assert not any("sbatch" in script for script in site.scripts)
    assert site.users == []


def test_an_installation_tells_what_it_skipped(site: Site, tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    stage = next(stage for stage in STAGES if stage.runner is StageRunner.VERIFY)
    with Journal(new_run(tmp_path), Redactor(()), events.append) as journal:
        context = steps.Context(fleet(), tmp_path, journal)
        result = asyncio.run(steps.run(stage, (LOCALHOST,), context))
    assert result.hosts[LOCALHOST].status is Status.OK
    told = [event["message"] for event in events if event["event"] == "remark"]
    assert any("sbatch is skipped: " in message for message in told)
