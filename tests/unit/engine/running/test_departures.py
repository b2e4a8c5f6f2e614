"""What an installation does about users who leave, before its first change."""

from pathlib import Path
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.checking.check import Verdict
from platformctl.engine.checking.findings import Finding, Level
from platformctl.engine.checking.leaving import Departure, Departures
from platformctl.engine.fleet import Connection
from platformctl.engine.planning.plan import Plan
from platformctl.engine.remote import Reply
from platformctl.engine.running import departing
from platformctl.engine.running.install import Draft, Installation, Options
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet

HOSTS = {"ctl": ("slurm_controller", "kubernetes_control_plane"), "n1": ("slurm_node",)}
IDLE = Departures((Departure("bob", ("ctl", "n1"), ()),))
BUSY = Departures((Departure("bob", ("n1",), ("processes on n1: 7 sleep",)),))


def draft(leaving: Departures, *findings: Finding) -> Draft:
    return Draft(Plan((), {}), (), fetched=True, verdict=Verdict(findings), leaving=leaving)


def installation(options: Options = Options(), **variables: Any) -> Installation:  # noqa: B008 - frozen
    return Installation(make_fleet(HOSTS, variables), options)


def test_a_user_with_nothing_running_leaves_without_a_question() -> None:
    installation()._refuse_departures(draft(IDLE))


def test_running_work_needs_a_policy_or_a_yes() -> None:
    with pytest.raises(PlatformError, match="bob"):
        installation()._refuse_departures(draft(BUSY))
    installation(Options(yes=True))._refuse_departures(draft(BUSY))
    installation(users_leaving="end")._refuse_departures(draft(BUSY))


def test_a_host_that_preflight_leaves_out_would_keep_the_user() -> None:
    error = Finding("n1", "disk", Level.ERROR, "1.0 GiB free at /")
    with pytest.raises(PlatformError) as refused:
        installation()._refuse_departures(draft(IDLE, error))
    assert any("n1 is left out: 1.0 GiB free at /" in line for line in refused.value.details)


def test_part_of_the_hosts_is_refused_whatever_was_agreed_to() -> None:
    with pytest.raises(PlatformError, match="n1"):
        installation(Options(limit=("ctl",), yes=True))._refuse_departures(draft(IDLE))


def test_roles_hear_what_was_agreed_to() -> None:
    journal: Any = None
    assert installation()._context(draft(IDLE), journal).variables == {}
    agreed = installation(Options(yes=True, agreed=("account:carol",)))
    assert agreed._context(draft(IDLE), journal).variables == {
        "_users_agreed": ("account:carol",),
        "users_leaving": "end",
    }


async def test_jobs_end_on_both_schedulers_and_a_failure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: list[str] = []
    answer = Reply(0, "", "")

    async def run(_: Connection, script: str, data: str = "", seconds: float = 60, **__: Any) -> Reply:
        scripts.append(script)
        return answer

    monkeypatch.setattr(remote, "run", run)
    await departing.end_work(make_fleet(HOSTS), ["bob"])
    assert ["kubectl annotate" in script for script in scripts] == [True, False]
    assert 'scancel --user="$user"' in scripts[1]
    assert all("for user in bob;" in script for script in scripts)
    answer = Reply(1, "", "Slurm still has the jobs 7")
    with pytest.raises(PlatformError, match="could not be ended"):
        await departing.end_work(make_fleet(HOSTS), ["bob"])


def test_slurms_jobs_are_cancelled_and_waited_for(tmp_path: Path) -> None:
    from tests.unit.engine.checking.test_leaving import run_script

    script = departing._CANCEL_SLURM.replace("USERS", "bob eve").replace("sleep 2", "sleep 0")
    scancel = f'echo "$1" >> {tmp_path}/asked'
    queue = f"echo alice 3; [ -f {tmp_path}/asked ] || echo bob 7"
    done = run_script(script, tmp_path, scancel=scancel, squeue=queue)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "asked").read_text() == "--user=bob\n"
    stuck = run_script(script, tmp_path, scancel=scancel, squeue="echo bob 7")
    assert (stuck.returncode, "Slurm still has the jobs 7" in stuck.stderr) == (1, True)
    # A controller that does not answer has not ended them.
    assert run_script(script, tmp_path, scancel=scancel, squeue="exit 1").returncode == 1


def test_jobs_of_the_platform_are_asked_to_end_and_waited_for(tmp_path: Path) -> None:
    from tests.unit.engine.checking.test_leaving import run_script

    script = departing._CANCEL_JOBS.replace("USERS", "bob").replace("sleep 2", "sleep 0")
    kubectl = (
        f'case "$*" in *configmap*) echo bob ;; *annotate*) echo "$*" >> {tmp_path}/asked ;;'
        f" *) if [ -f {tmp_path}/asked ]; then echo 'default one Cancelled bob'; "
        "else echo 'default one Running bob'; fi; echo 'default two Running eve' ;; esac"
    )
    done = run_script(script, tmp_path, kubectl=kubectl)
    assert (done.returncode, done.stderr) == (0, "")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 1
    assert "default one kfoundry.io/cancel-requested=true" in asked[0]
    # A cluster that does not answer has not ended them.
    away = 'case "$*" in *configmap*) echo bob ;; *) exit 1 ;; esac'
    assert run_script(script, tmp_path, kubectl=away).returncode == 1
    assert run_script(script, tmp_path, kubectl="exit 0").returncode == 0
