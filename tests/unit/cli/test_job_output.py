"""Following Jobs to their end, their output, and why they wait."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from platformctl.cli.job_output import last_lines
from platformctl.clients.kubernetes import ApiError
from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs
from tests.unit.cli.examples import ALL, FAILED, QUEUED, REFUSED, RUNNING, UNSEEN, at, job
from tests.unit.cli.goldens import agrees

Run = Callable[..., Result]
SCRIPT = "#!/bin/sh\ndate\n"


@pytest.fixture(autouse=True)
def _a_job_that_runs(jobs: MemoryJobs) -> None:
    jobs.jobs = [job("x", {"phase": "Running", "backend": "slurm", "attempt": 1}, array="0-9")]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"phase": "Succeeded", "reason": ""}, ExitCode.DONE),
        ({"phase": "Failed", "reason": "exit code 3"}, ExitCode.FAILED),
        ({"phase": "Cancelled", "reason": "by its user"}, ExitCode.FAILED),
        ({"phase": "Refused", "reason": "unknown queue"}, ExitCode.REFUSED),
    ],
)
def test_a_watched_job_tells_its_story_and_its_end_decides(
    jobs: MemoryJobs, run: Run, end: dict[str, Any], code: ExitCode
) -> None:
    jobs.later = [{"phase": "Queued", "reason": "[x]"}, {"phase": "Queued", "reason": "[x]"}, end]
    done = run("job", "submit", "-", "--watch", text=SCRIPT)
    assert done.exit_code == code
    assert done.stdout.splitlines() == [
        "stdin-x7k2p: submitted in default",
        "stdin-x7k2p: Pending: the router has not seen it yet",
        "stdin-x7k2p: Queued: [x]",
        "stdin-x7k2p: " + ": ".join(part for part in end.values() if part),
    ]


def test_jobs_are_waited_for_and_the_worst_end_decides(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    done = run("job", "wait", "bad-9xw4t", "no-5tq8z")
    assert done.exit_code == ExitCode.REFUSED
    assert "bad-9xw4t: Failed: the container ended with exit code 3" in done.stdout
    ended = json.loads(run("-o", "json", "job", "wait", "bad-9xw4t").stdout)
    assert [job["phase"] for job in ended] == ["Failed"]


def test_a_watched_job_gives_programs_its_last_state(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [{"phase": "Succeeded", "exitCode": 0}]
    (found,) = json.loads(run("-o", "json", "job", "submit", "-", "--watch", text=SCRIPT).stdout)
    assert (found["phase"], found["exitCode"]) == ("Succeeded", 0)


def test_the_output_is_printed_as_it_is(jobs: MemoryJobs, run: Run) -> None:
    jobs.printed = b"\x1b[1mone\x1b[0m [two]\n\xff"
    assert run("job", "logs", "x").stdout_bytes == jobs.printed
    assert run("job", "logs", "x", "--index", "7").stdout == "element 7\n"


@pytest.mark.parametrize("count", [0, 1, 3, 1000, 100_000])
def test_the_last_lines_are_counted(jobs: MemoryJobs, run: Run, count: int) -> None:
    lines = [b"%d %s\n" % (number, b"x" * (number % 700)) for number in range(4000)]
    jobs.printed = b"".join(lines)
    shown = run("job", "logs", "x", "--tail", str(count)).stdout_bytes
    expected = b"".join(lines[len(lines) - count :]) if count < len(lines) else jobs.printed[-1024 * 1024 :]
    assert shown == expected


def test_an_unfinished_line_is_a_line() -> None:
    assert last_lines(b"one\ntwo", 1) == b"two"
    assert last_lines(b"one\n", 2) == b"one\n"
    assert last_lines(b"", 2) == b""


def test_a_long_output_is_cut_at_its_beginning_and_told(jobs: MemoryJobs, run: Run) -> None:
    jobs.printed = b"x" * (1024 * 1024 + 10)
    done = run("job", "logs", "x")
    assert len(done.stdout) == 1024 * 1024
    assert done.stderr == "the first 10 bytes are left out; --since-start shows them\n"
    assert len(run("job", "logs", "x", "--since-start").stdout) == len(jobs.printed)


def test_small_pages_are_put_together(jobs: MemoryJobs, run: Run) -> None:
    jobs.printed = b"".join(b"line %d\n" % number for number in range(5000))
    jobs.page_bytes = 100
    assert run("job", "logs", "x").stdout_bytes == jobs.printed
    assert run("job", "logs", "x", "--since-start").stdout_bytes == jobs.printed
    assert run("job", "logs", "x", "--tail", "700").stdout_bytes.splitlines()[0] == b"line 4300"


def test_following_goes_on_from_what_was_printed(jobs: MemoryJobs, run: Run) -> None:
    jobs.printed = b"one\ntwo\n"
    jobs.later = [{"phase": "Running"}]
    assert run("job", "logs", "x", "-f", "--tail", "1").stdout == "two\nand more\n"
    jobs.later = []
    assert run("job", "logs", "x", "-f").stdout == "one\ntwo\n"


ANSWER = {
    "sentences": [
        "Slurm, partition gpu: all 8 GPUs are taken.",
        "2 jobs of higher or equal priority go first: 4711 and 4712.",
        "Slurm expects it to start at 2027-01-15 09:30 UTC, or earlier if others end before their time.",
    ],
    "behind": ["4711", "4712"],
    "start": at(-5400),
}


def test_a_waiting_job_is_explained_by_its_scheduler(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.jobs = [QUEUED, RUNNING]
    jobs.later = [{"explanation": dict(ANSWER)}]
    monkeypatch.setenv("COLUMNS", "70")
    agrees("explain-queued.txt", run("job", "explain", "fit-2v9dl").stdout)
    ((_, asked),) = jobs.asked
    assert set(asked) == {"kfoundry.io/explain-requested"}
    jobs.later = [{"explanation": dict(ANSWER)}]
    found = json.loads(run("-o", "json", "job", "explain", "fit-2v9dl").stdout)
    assert found["explanation"]["behind"] == ["4711", "4712"]
    assert "Among those before it: train-x7k2p of alice (4711)." in found["text"]


def test_without_an_answer_the_status_must_do(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformctl.cli.job_output._EXPLAIN_SECONDS", 0.05)
    jobs.jobs = [QUEUED]
    jobs.answers = False
    done = run("job", "explain", "fit-2v9dl")
    assert "the router did not answer in time" in done.stderr
    assert "Waits for resources [gpu:a100]" in done.stdout


def test_who_may_not_ask_gets_the_status(jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object) -> None:
        raise ApiError(403, "Forbidden", "only the submitter of a Job may change it")

    jobs.jobs = [QUEUED]
    monkeypatch.setattr(jobs, "ask", forbidden)
    done = run("job", "explain", "fit-2v9dl")
    assert "cannot be asked for you: only the submitter" in done.stderr
    assert done.stdout.startswith("fit-2v9dl is queued on slurm.")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (RUNNING, "train-x7k2p is running on slurm, queue gpu."),
        (UNSEEN, "new-7hq2m is pending. The router has not seen it yet. Its start cannot be estimated."),
        (FAILED, "bad-9xw4t has failed on kubernetes. The container ended with exit code 3."),
        (REFUSED, "no-5tq8z was refused. Slurm: unknown queue [red]; kubernetes: no node has 4000 cores."),
    ],
    ids=["running", "unseen", "failed", "refused"],
)
def test_what_needs_no_scheduler_is_explained_from_the_status(
    jobs: MemoryJobs, run: Run, found: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    jobs.jobs = list(ALL)
    assert run("job", "explain", found["metadata"]["name"]).stdout.strip() == text
    assert jobs.asked == []


def test_a_gate_is_explained_from_the_status(jobs: MemoryJobs, run: Run) -> None:
    why = "waits for prepare-88s2k to succeed, which is Running"
    jobs.jobs = [job("next-1zx9c", {"phase": "Pending", "reason": why})]
    shown = " ".join(run("job", "explain", "next-1zx9c").stdout.split())
    assert shown.startswith("next-1zx9c is pending. Waits for prepare-88s2k to succeed, which is Running.")
    assert jobs.asked == []


def test_a_job_that_starts_while_the_scheduler_is_asked_runs(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [QUEUED]
    jobs.later = [{"phase": "Running", "reason": ""}]
    assert run("job", "explain", "fit-2v9dl").stdout == "fit-2v9dl is running on slurm.\n"


def test_a_job_that_has_not_started_says_so(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [QUEUED, UNSEEN]
    jobs.later = [{"phase": "Queued"}]
    done = run("job", "logs", "fit-2v9dl")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("fit-2v9dl has not started (Queued: waits for resources [gpu:a100]")
    assert "has not started (Pending" in run("job", "logs", "new-7hq2m", "--since-start").stderr
    done = run("job", "logs", "fit-2v9dl", "-f")
    assert "; waiting for it" in done.stderr
    assert done.stdout == "and more\n"


def test_one_that_runs_and_printed_nothing_says_nothing(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [{"phase": "Running"}]
    done = run("job", "logs", "x")
    assert (done.stdout, done.stderr) == ("", "")


def test_following_goes_through_all_attempts(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [{"phase": "Running"}]
    jobs.printed_by = {1: b"first\n", 2: b"second\n", 3: b"third\n"}
    jobs.attempts = [2, 3]
    done = run("job", "logs", "x", "-f")
    assert done.stdout == "first\nand more\nsecond\nand more\nthird\nand more\n"
    assert done.stderr.splitlines() == [
        "x: attempt 1 ended; now attempt 2",
        "x: attempt 2 ended; now attempt 3",
    ]


def test_following_goes_on_where_an_attempt_left_no_output(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs[0]["status"]["attempt"] = 2
    jobs.later = [{"phase": "Running"}]
    jobs.printed_by = {2: b"second\n"}
    jobs.lost = {2}
    jobs.attempts = [3]
    done = run("job", "logs", "x", "-f")
    assert "its pods are gone" in str(done.exception)
    jobs.lost = {1}
    done = run("job", "run", "--name", "y", "--", "date")
    assert done.exit_code == ExitCode.FAILED
    assert "its output is not shown: its pods are gone" in done.stderr


def test_an_attempt_is_chosen(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs[0]["status"]["attempt"] = 2
    jobs.printed_by = {1: b"first\n", 2: b"second\n"}
    assert run("job", "logs", "x").stdout == "second\n"
    assert run("job", "logs", "x", "--attempt", "1").stdout == "first\n"
    jobs.later = [{"phase": "Running"}]
    assert run("job", "logs", "x", "--attempt", "1", "-f").stdout == "first\nand more\n"
    error = run("job", "logs", "x", "--attempt", "3").exception
    assert isinstance(error, PlatformError)
    assert (error.what, error.next) == (
        "x has no attempt 3; its last is 2",
        "platformctl job logs x --attempt 2",
    )


@pytest.mark.parametrize(
    ("spec", "status", "index", "what", "next_step"),
    [
        ({"array": "1-9:2%2"}, {}, "4", "x has no index 4; its indices are 1-9:2", "logs x --index 1"),
        ({"array": "0-3"}, {}, "4", "x has no index 4; its indices are 0-3", "logs x --index 0"),
        ({"tasks": 2}, {"backend": "kubernetes"}, "2", "x has no index 2; its indices are 0-1", "--index 0"),
        ({"tasks": 2}, {"backend": "slurm"}, "1", "x has one output, without an index", "logs x"),
        ({}, {}, "0", "x has one output, without an index", "logs x"),
    ],
)
def test_an_index_that_is_not_there_names_those_that_are(
    jobs: MemoryJobs,
    run: Run,
    spec: dict[str, Any],
    status: dict[str, Any],
    index: str,
    what: str,
    next_step: str,
) -> None:
    jobs.jobs = [job("x", {"phase": "Running", **status}, **spec)]
    error = run("job", "logs", "x", "--index", index).exception
    assert isinstance(error, PlatformError)
    assert error.what == what
    assert error.next.endswith(next_step)
