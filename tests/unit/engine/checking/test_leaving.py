"""Who leaves the site, what still runs, and when a run does not begin."""

from pathlib import Path
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.checking import leaving
from platformctl.engine.checking.leaving import Departure, Departures
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from platformctl.errors import ExitCode
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet(
    {"ctl": ("slurm_controller", "kubernetes_control_plane"), "n1": ("slurm_node",)},
    {
        "users_accounts": [
            {"name": "alice", "uid": 1},
            {"name": "zoe", "uid": 2, "state": "absent"},
        ]
    },
)
BUSY = Departures((Departure("bob", ("n1",), ("2 in Slurm's queue",)),))
IDLE = Departures((Departure("bob", ("n1",), ()),))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Reply]:
    given = {"squeue": Reply(0, "", ""), "kubectl": Reply(0, "", "")}

    async def run(_: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return given["kubectl" if "kubectl" in script else "squeue"]

    monkeypatch.setattr(remote, "run", run)
    return given


async def test_whoever_was_made_anywhere_and_is_not_in_the_inventory_leaves(
    answers: dict[str, Reply],
) -> None:
    answers["squeue"] = Reply(0, "known alice\nknown bob\nactive bob\nactive bob\nactive alice\n", "")
    answers["kubectl"] = Reply(0, "known eve\nactive eve\n", "")
    surveys = {
        "ctl": {"leaving": ["bob", "zoe"], "busy": {}},
        "n1": {"leaving": ["bob"], "busy": {"bob": ["7 sleep"]}},
    }
    found = await leaving.departures(FLEET, surveys)
    assert [user.words for user in found.users] == [
        "bob leaves the site (ctl, n1): 2 in Slurm's queue; processes on n1: 7 sleep",
        "eve leaves the site: 1 active Jobs of the platform",
        "zoe leaves the site (ctl): nothing of theirs runs",
    ]
    assert (found.busy, found.unknown) == (True, {})


async def test_a_scheduler_that_does_not_answer_is_unknown_and_not_empty(answers: dict[str, Reply]) -> None:
    answers["squeue"] = Reply(1, "known bob\n", "slurm_load_jobs error: Unable to contact slurm controller")
    found = await leaving.departures(FLEET, {})
    assert found.names == ("bob",)
    assert "Unable to contact" in found.unknown["Slurm"]
    refused = leaving.refusal(FLEET, found, [], {}, end=False)
    assert refused
    assert refused.code is ExitCode.REFUSED
    assert any("Unable to contact" in line for line in refused.details)


@pytest.mark.parametrize(
    ("departures", "outside", "down", "end", "refused"),
    [
        (Departures(), ["n1"], {"n1": "is down"}, False, False),
        (IDLE, [], {}, False, False),
        (BUSY, [], {}, False, True),
        (BUSY, [], {}, True, False),
        # A host that cannot be asked may run something.
        (IDLE, [], {"n1": "does not answer"}, False, True),
        (IDLE, [], {"n1": "does not answer"}, True, False),
        # On all hosts or on none, whatever was agreed to.
        (IDLE, ["n1"], {}, True, True),
    ],
)
def test_users_leave_all_hosts_or_none(
    departures: Departures, outside: list[str], down: dict[str, str], end: bool, refused: bool
) -> None:
    error = leaving.refusal(FLEET, departures, outside, down, end)
    assert (error is not None) is refused
    if error:
        assert error.code is ExitCode.REFUSED
        assert "bob" in f"{error.what} {error.next} {error.details}"


def run_script(script: str, folder: Path, **programs: str) -> Any:
    """Run a script of the engine with programs that say what a test wants."""
    import subprocess

    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )


def test_the_controller_says_whom_it_knows_and_who_has_jobs(tmp_path: Path) -> None:
    (tmp_path / "associations.json").write_text('["alice", "bob"]\n')
    script = leaving._SLURM.replace(leaving._RECORD, str(tmp_path / "associations.json"))
    done = run_script(script, tmp_path, squeue="echo bob; echo bob")
    assert done.stdout.split("\n")[:4] == ["known alice", "known bob", "active bob", "active bob"]
    assert run_script(script, tmp_path, squeue="echo away >&2; exit 1").returncode == 1
    # A host on which Slurm was never installed.
    (tmp_path / "squeue").unlink()
    assert run_script(script, tmp_path).returncode == 0


def test_the_cluster_says_whom_it_knows_and_whose_jobs_are_active(tmp_path: Path) -> None:
    kubectl = (
        'case "$*" in *configmap*) printf "alice\\nbob\\n" ;;'
        " *) printf 'default one Running bob\\ndefault two Failed bob\\ndefault x <none> eve\\n' ;; esac"
    )
    done = run_script(leaving._CLUSTER, tmp_path, kubectl=kubectl)
    assert done.stdout.splitlines() == ["known alice", "known bob", "active bob", "active eve"]
    assert run_script(leaving._CLUSTER, tmp_path, kubectl="exit 0").stdout == ""
    assert run_script(leaving._CLUSTER, tmp_path, kubectl="exit 1").returncode == 1
