import time
from pathlib import Path

import pytest

from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.running.journal import Event, Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.progress import Lines
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import CONNECT, Reporter
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet

OK, CHANGED = HostResult(Status.OK), HostResult(Status.CHANGED, changes=("base : Install",))
FAILED = HostResult(Status.FAILED, "base : Install", "no [such] package")
DOWN = HostResult(Status.UNREACHABLE, CONNECT, "No route to host")
BLOCKED = HostResult(Status.BLOCKED, message="needs base, which is failed on n2")


def report(tmp_path: Path, results: dict[str, StageResult]) -> tuple[ExitCode, list[dict], str]:
    """Exit code, events, and the lines that a person sees."""
    events: list[dict] = []
    lines: list[str] = []
    view = Lines(lines.append)

    def listen(event: dict) -> None:
        events.append(event)
        view.show(event)

    with Journal(tmp_path / "run", Redactor([]), listen) as journal:
        reporter = Reporter(make_fleet({"n1": (), "n2": ()}), journal, "install")
        for result in results.values():
            if any(end.task != CONNECT and end.status is not Status.BLOCKED for end in result.hosts.values()):
                reporter.stage(result)
        reporter.untried(results)
        code = reporter.finish(results, 12.34)
    return code, events, "\n".join(lines)


def stage(name: str, **hosts: HostResult) -> dict[str, StageResult]:
    return {name: StageResult(name, hosts, 1.0)}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ({}, ExitCode.DONE),
        (stage("base", n1=CHANGED, n2=OK), ExitCode.DONE),
        (stage("base", n1=OK, n2=FAILED), ExitCode.FAILED),
        (stage("base", n1=OK, n2=DOWN), ExitCode.UNREACHABLE),
        (stage("preflight", n1=OK, n2=FAILED), ExitCode.UNREACHABLE),
        (stage("preflight", n1=OK, n2=FAILED) | stage("base", n1=FAILED, n2=BLOCKED), ExitCode.FAILED),
    ],
)
def test_exit_codes(tmp_path: Path, results: dict[str, StageResult], code: ExitCode) -> None:
    assert report(tmp_path, results)[0] is code


def test_the_last_event_counts_hosts(tmp_path: Path) -> None:
    results = stage("base", n1=CHANGED, n2=FAILED) | stage("munge", n1=CHANGED, n2=BLOCKED)
    results |= stage("charts", **{LOCALHOST: CHANGED}) | stage("verify", **{LOCALHOST: FAILED})
    code, events, text = report(tmp_path, results)
    counts = {"stages": 4, "changed": 1, "failed": 1, "unreachable": 0, "seconds": 12.3}
    local = {"changed": ["charts"], "failed": ["verify"]}
    assert events[-1] == {"event": "finished", **counts, "local": local}
    hosts = "4 stages in 12.3 s: 1 host changed, 1 failed, 0 unreachable"
    assert text.splitlines()[-1] == f"{hosts}; also failed: verify"
    assert code is ExitCode.FAILED


def test_this_machine_is_no_host_of_the_site(tmp_path: Path) -> None:
    results = stage("artifacts", **{LOCALHOST: CHANGED}) | stage("base", n1=CHANGED, n2=CHANGED)
    only = report(tmp_path, stage("charts", **{LOCALHOST: CHANGED}))[2].splitlines()[-1]
    assert only == "1 stage in 12.3 s: 0 hosts changed, 0 failed, 0 unreachable; also changed: charts"
    assert (
        report(tmp_path, results)[2]
        .splitlines()[-1]
        .startswith("2 stages in 12.3 s: 2 hosts changed, 0 failed")
    )
    alone = stage("charts", **{LOCALHOST: FAILED})
    code, _, text = report(tmp_path, alone)
    assert (code, text.splitlines()[-1]) == (
        ExitCode.FAILED,
        "1 stage in 12.3 s: 0 hosts changed, 0 failed, 0 unreachable; also failed: charts",
    )


def test_a_run_that_is_refused_finishes_too(tmp_path: Path) -> None:
    events: list[Event] = []
    error = PlatformError("this plan would end work of users", next="drain", code=ExitCode.REFUSED)
    with Journal(tmp_path / "run", Redactor([]), events.append) as journal:
        reporter = Reporter(make_fleet({"n1": ()}), journal, "install")
        reporter.stage(stage("artifacts", n1=CHANGED)["artifacts"])
        with pytest.raises(PlatformError, match="would end work"), reporter.concluded(time.monotonic()):
            raise error
    counts = {"stages": 1, "changed": 1, "failed": 0, "unreachable": 0, "seconds": 0.0}
    counts |= {"local": {"changed": [], "failed": []}}
    assert events[-1] == {"event": "finished", **counts, "error": error.what, "code": 3}
    lines: list[str] = []
    Lines(lines.append).show(events[-1])
    assert lines == []  # a person sees it as every error


def test_a_failing_host_is_shown_with_task_message_and_retry(tmp_path: Path) -> None:
    _, _, text = report(tmp_path, stage("base", n1=OK, n2=FAILED))
    assert "n2: base" in text
    assert "base : Install" in text
    assert r"no \[such] package" in text  # not taken for markup
    assert "retry: platformctl install -i /tmp/inventory --limit n2" in text


def test_the_error_of_a_step_is_printed_once(tmp_path: Path) -> None:
    error = PlatformError(
        "the chart x could not be installed: no", where="release a/x", next="kubectl get pods"
    )
    end = HostResult(Status.FAILED, error.what, str(error))
    text = report(tmp_path, stage("charts", **{LOCALHOST: end}))[2]
    assert text.count(error.what) == 1
    assert "next:  kubectl get pods" in text


def test_a_host_that_is_down_is_said_once(tmp_path: Path) -> None:
    results = stage("base", n1=OK, n2=DOWN) | stage("munge", n2=DOWN) | stage("slurm_node", n2=BLOCKED)
    _, events, _ = report(tmp_path, results)
    assert events[-1]["stages"] == 1, "stages that were tried nowhere did not run"
    told = [(e["stage"], e["status"]) for e in events if e["event"] == "host" and e["host"] == "n2"]
    assert told.count(("munge", "unreachable")) == 0
    assert ("slurm_node", "blocked") in told
