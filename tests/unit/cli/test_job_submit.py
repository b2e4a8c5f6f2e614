"""`job submit` and `job run`: what is asked for on the command line, refused, and followed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from platformctl.cli import job_wait
from platformctl.clients.jobs import NoLogsError
from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs
from tests.unit.cli.test_job import MANIFEST, error_of

Run = Callable[..., Result]
REFUSED = {
    "phase": "Refused",
    "reason": "spec: no Kubernetes node has cpu 9 (the most is 8); or [x]; spec.queue: no",
}
POD = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {name: pod, labels: {a: b}}
spec: {template: {spec: {containers: [{name: a, image: "b:1", command: [date]}]}}}
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "train.sh").write_text("#!/bin/bash\ntrain\n")
    return str(tmp_path / "train.sh")


def test_every_option_has_its_place(
    jobs: MemoryJobs, run: Run, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEED", "7 8")
    words = (
        *(
            "--cpus",
            "8",
            "--memory",
            "32Gi",
            "--gpus",
            "1",
            "--nodes",
            "2",
            "--tasks",
            "4",
            "--walltime",
            "2h",
        ),
        *(
            "--array",
            "0-9%2",
            "--retries",
            "3",
            "--queue",
            "gpu",
            "--account",
            "physics",
            "--target",
            "slurm",
        ),
        *("--after", "a,b:failed", "--after", "c:started", "--env", "SEED", "--env", "A=1=2"),
        *("--label", "x=y,z=", "--label", "p=q", "-n", "team1", "-o", "json", "--", "--epochs", "10", "-v"),
    )
    done = run("job", "submit", script, *words)
    assert [item["name"] for item in json.loads(done.stdout)] == ["train-x7k2p"]
    (job,) = jobs.jobs
    assert job["metadata"]["labels"] == {"x": "y", "z": "", "p": "q"}
    assert job["spec"] == {
        "script": "#!/bin/bash\ntrain\n",
        "args": ["--epochs", "10", "-v"],
        "slurm": {"environment": {"SEED": "7 8", "A": "1=2"}},
        "target": "slurm",
        "queue": "gpu",
        "account": "physics",
        "walltime": "2h",
        "nodes": 2,
        "tasks": 4,
        "array": "0-9%2",
        "retries": 3,
        "resources": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"},
        "dependsOn": [
            {"name": "a"},
            {"name": "b", "when": "failed"},
            {"name": "c", "when": "started"},
        ],
    }


def test_a_command_needs_no_file(jobs: MemoryJobs, run: Run) -> None:
    assert run("job", "submit", "--", "make", "-o", "x").exit_code == 0
    assert run("job", "submit", "--image", "perl:5", "-v", "--", "perl", "-v").exit_code == 0
    script, container = jobs.jobs
    assert script["spec"] == {"script": "#!/bin/sh\nexec make -o x\n"}
    (found,) = container["spec"]["template"]["spec"]["containers"]
    assert (found["image"], found["command"]) == ("perl:5", ["perl", "-v"])


def test_options_win_over_every_job_of_a_manifest(jobs: MemoryJobs, run: Run) -> None:
    assert (
        run("job", "submit", "-", "--cpus", "2", "--label", "a=c", text=f"{MANIFEST}---{POD}").exit_code == 0
    )
    assert [job["metadata"]["labels"] for job in jobs.jobs] == [{"a": "c"}] * 3
    assert jobs.jobs[0]["spec"]["resources"] == {"cpu": "2"}
    pod = jobs.jobs[2]["spec"]["template"]["spec"]["containers"][0]
    assert pod["resources"]["limits"] == {"cpu": "2"}


@pytest.mark.parametrize(
    ("words", "text", "what"),
    [
        ((), "", "name a FILE, or a command after --"),
        (("-", "--image", "x"), "#!/bin/sh\n", "a script runs in the site's script image"),
        (("-", "--", "x"), POD, "the manifest says what its container runs"),
        (("-", "--", "x"), MANIFEST, "ARGS are for one Job, and the file has 2"),
        (("-", "--name", "x"), MANIFEST, "--name is for one Job"),
        (("--", "a | b"), "", "is one word"),
        (("-", "--env", "A-B=1"), "#!/bin/sh\n", "not the name of a variable"),
        (("-", "--after", "Upper"), "#!/bin/sh\n", "spec.dependsOn[0].name"),
        (("-", "--after", "a:soon"), "#!/bin/sh\n", "must be one of succeeded, failed"),
        (("-", "--array", "9-0"), "#!/bin/sh\n", "spec.array"),
        (("-", "--cpus", "many"), POD, "spec.template.spec.containers[0].resources"),
    ],
)
def test_what_is_unclear_or_wrong_is_refused_in_words(
    jobs: MemoryJobs, run: Run, words: tuple[str, ...], text: str, what: str
) -> None:
    error = error_of(run("job", "submit", *words, text=text))
    assert what in str(error)
    assert error.code is ExitCode.INVALID
    assert jobs.jobs == []


def test_options_in_a_wrong_form_are_usage(jobs: MemoryJobs, run: Run) -> None:
    unclear = ((("--env", "NOT_SET_HERE"), "not set in your shell"), (("--label", "x"), "not KEY=VALUE"))
    for words, what in unclear:
        done = run("job", "submit", *words, "--", "date")
        assert done.exit_code == ExitCode.INVALID
        assert what in " ".join(done.stderr.replace("│", " ").split())


def test_a_command_that_was_taken_for_a_file_is_shown_as_one(jobs: MemoryJobs, run: Run) -> None:
    assert error_of(run("job", "submit", "hostname")).next.endswith("platformctl job submit -- hostname")


def test_what_is_refused_at_once_fails_and_says_why(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [REFUSED]
    done = run("job", "submit", "--", "date")
    error = error_of(done)
    assert error.code is ExitCode.REFUSED
    assert error.what == "date-x7k2p was refused"
    assert error.details == ["spec: no Kubernetes node has cpu 9 (the most is 8); or [x]", "spec.queue: no"]
    assert "platformctl job describe date-x7k2p -n default" in error.next
    assert "submitted" not in done.output
    done = run("job", "submit", "-o", "json", "--", "date")
    assert error_of(done).code is ExitCode.REFUSED
    assert json.loads(done.stdout)[0]["phase"] == "Refused"


def test_of_several_jobs_those_that_were_refused_are_named(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [REFUSED]
    error = error_of(run("job", "submit", "-", text=MANIFEST))
    assert error.what == "2 of 2 Jobs were refused"
    assert [line.partition(":")[0] for line in error.details] == ["one", "stdin-x7k2p"]


def test_the_wait_for_the_first_words_is_bounded(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "_FIRST_SECONDS", 0.05)
    jobs.answers = False
    assert "date-x7k2p submitted in default" in run("job", "submit", "--", "date").stdout


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"phase": "Succeeded"}, ExitCode.DONE),
        ({"phase": "Failed", "reason": "ended with an error"}, ExitCode.FAILED),
        ({"phase": "Cancelled"}, ExitCode.FAILED),
    ],
)
def test_a_job_that_is_run_shows_its_output_and_its_end_decides(
    jobs: MemoryJobs, run: Run, end: dict[str, Any], code: ExitCode
) -> None:
    jobs.later = [{"phase": "Queued", "reason": "[x]"}, end]
    jobs.printed = b"one\n\xff\n"
    done = run("job", "run", "--", "date")
    assert done.exit_code == code
    assert done.stdout_bytes == b"one\n\xff\nand more\n"
    assert done.stderr.splitlines() == [
        "date-x7k2p: submitted in default",
        "date-x7k2p: Pending: the router has not seen it yet",
        "date-x7k2p: Queued: [x]",
        ": ".join(["date-x7k2p", *end.values()]),
    ]


def test_a_program_gets_a_document_of_what_was_run(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [{"phase": "Succeeded", "exitCode": 0}]
    jobs.printed = b"one\n"
    done = run("job", "run", "-o", "json", "--", "date")
    assert [(item["phase"], item["exitCode"]) for item in json.loads(done.stdout)] == [("Succeeded", 0)]
    assert "one\n" in done.stderr


def test_a_job_that_is_run_and_refused_fails_with_3(jobs: MemoryJobs, run: Run) -> None:
    jobs.later = [REFUSED]
    done = run("job", "run", "--", "date")
    assert done.exit_code == ExitCode.REFUSED
    assert "no Kubernetes node has cpu 9" in done.stderr
    assert done.stdout == ""


def test_without_the_logs_api_a_job_is_run_to_its_end(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any, **__: Any) -> Any:
        raise NoLogsError("x")
        yield b""

    monkeypatch.setattr(jobs, "follow", nothing)
    jobs.later = [{"phase": "Succeeded"}]
    done = run("job", "run", "--", "date")
    assert done.exit_code == 0
    assert "does not serve the output of Jobs" in done.stderr


def test_an_interrupted_run_says_how_to_go_on(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt
        yield {}

    monkeypatch.setattr(jobs, "changes", interrupted)
    done = run("job", "run", "--", "date")
    assert done.exit_code == 130
    assert "platformctl job logs -f date-x7k2p" in done.stderr


def test_only_one_job_is_run(jobs: MemoryJobs, run: Run) -> None:
    error = error_of(run("job", "run", "-", text=MANIFEST))
    assert isinstance(error, PlatformError)
    assert error.what == "run follows one Job"
    assert jobs.jobs == []
