"""What the commands on Jobs print and ask for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs
from tests.unit.cli.examples import ALL, FAILED, QUEUED, REFUSED, RUNNING, UNSEEN, at, job
from tests.unit.cli.goldens import agrees

Run = Callable[..., Result]
MANIFEST = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {name: one}
spec: {script: "#!/bin/sh\\ndate\\n"}
---
apiVersion: v1
kind: List
items:
- {apiVersion: kfoundry.io/v1alpha1, kind: Job, metadata: {namespace: team1}, spec: {script: "#!/bin/sh\\n"}}
"""


def error_of(result: Result) -> PlatformError:
    """The error that the entry point would print."""
    assert isinstance(result.exception, PlatformError), result.output
    return result.exception


@pytest.mark.parametrize("width", ["60", "80", "100", "200"])
def test_the_list_fits_the_width(
    jobs: MemoryJobs, run: Run, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    jobs.jobs = list(ALL)
    agrees(f"list-{width}.txt", run("job", "list", "--all").stdout)


@pytest.mark.parametrize("words", [("--all", "-A"), ("--all",), ()])
@pytest.mark.parametrize("length", [5, 20, 40, 63])
def test_80_columns_hold_whole_names_and_ids(
    jobs: MemoryJobs, run: Run, words: tuple[str, ...], length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"{number}" + "n" * (length - 1) for number in range(5)]
    slurm = {"phase": "Succeeded", "backend": "slurm", "backendId": "1234567", "exitCode": 0}
    slurm |= {"startTime": at(1000), "completionTime": at(10), "reason": "it has ended well and on time"}
    jobs.jobs = [job(name, slurm) for name in names]
    lines = run("job", "list", *words).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    found = [cell for line in lines for cell in line.split() if cell in names]
    assert found == names
    if length <= 20:
        assert sum("slurm 1234567" in line or "it has" in line for line in lines) >= 5


def test_all_columns_are_shown_on_demand_and_to_programs_like_grep(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.jobs = list(ALL)
    monkeypatch.setenv("COLUMNS", "40")
    wide = run("job", "list", "--all", "--wide").stdout
    assert len(wide.splitlines()) == 6
    assert "the container ended with exit code 3" in wide
    monkeypatch.delenv("COLUMNS")
    assert run("job", "list", "--all").stdout == wide


def test_jobs_are_chosen_by_label_name_age_and_state(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [
        job("train-a", {"phase": "Running"}),
        job("train-b", {"phase": "Queued"}),
        job("test-a", {"phase": "Running"}),
    ]
    jobs.jobs[0]["metadata"]["labels"] = {"project": "wind"}
    jobs.jobs[1]["metadata"]["creationTimestamp"] = at(90_000)

    def names(*words: str) -> list[str]:
        return [item["name"] for item in json.loads(run("job", "list", *words, "-o", "json").stdout)]

    assert names() == ["train-b", "test-a", "train-a"]
    assert names("-l", "project=wind") == ["train-a"]
    assert names("--name", "train-*") == ["train-b", "train-a"]
    assert names("--name", "train") == []
    assert names("--state", "running", "--name", "*-a") == ["test-a", "train-a"]
    assert names("--state", "running", "--phase", "queued") == ["train-b", "test-a", "train-a"]
    assert names("--since", "1d") == ["test-a", "train-a"]
    assert names("--since", "30m") == []
    assert names("--since", "2027-01-15T06:59:59") == ["test-a", "train-a"]
    assert names("--since", "2027-01-14") == ["train-b", "test-a", "train-a"]
    assert run("job", "list", "--since", "30m").stdout == "no such Jobs of yours; --all shows everybody's\n"
    done = run("job", "list", "--since", "lately")
    assert done.exit_code == ExitCode.INVALID
    assert "neither a time" in done.stderr


def test_the_list_for_programs(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    found = json.loads(run("--output", "json", "job", "list", "--all").stdout)
    agrees("list.json", json.dumps(found, indent=1))


def test_by_default_a_list_has_the_callers_own_jobs(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    jobs.who = "bob"
    shown = run("job", "list").stdout
    assert "bad-9xw4t" in shown
    assert "train" not in shown
    jobs.who = "carol"
    assert run("job", "list").stdout == "no Jobs of yours; --all shows everybody's\n"
    assert json.loads(run("-o", "json", "job", "list").stdout) == []


def test_phases_and_order_are_chosen(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    only = ("-o", "json", "job", "list", "--all", "--phase", "running", "--phase", "Failed", "--sort", "name")
    assert [item["name"] for item in json.loads(run(*only).stdout)] == ["bad-9xw4t", "train-x7k2p"]
    by_user = json.loads(run("-o", "json", "job", "list", "--all", "--sort", "user").stdout)
    assert by_user[-1]["user"] == "bob"
    by_phase = json.loads(run("-o", "json", "job", "list", "--all", "--sort", "phase").stdout)
    assert [item["phase"] for item in by_phase] == ["Pending", "Queued", "Running", "Failed", "Refused"]
    assert run("job", "list", "--phase", "Sleeping").exit_code == ExitCode.INVALID


@pytest.mark.parametrize("name", [str(found["metadata"]["name"]) for found in ALL])
def test_descriptions(jobs: MemoryJobs, run: Run, name: str) -> None:
    jobs.jobs = list(ALL)
    agrees(f"describe-{name}.txt", run("job", "describe", name).stdout)


def test_a_description_for_programs_is_the_resource(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [RUNNING]
    found = json.loads(run("-o", "json", "job", "describe", "train-x7k2p").stdout)
    assert found["status"] == RUNNING["status"]
    assert "managedFields" not in found["metadata"]


def test_colours_are_for_terminals_that_want_them(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.jobs = list(ALL)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m" in run("job", "list", "--all").stdout
    assert "\x1b[3" not in run("--no-color", "job", "list", "--all").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in run("job", "list", "--all").stdout


@pytest.mark.parametrize(("given", "walltime"), [("2h", "2h"), ("5400", 5400)])
def test_a_script_is_submitted_with_options(
    jobs: MemoryJobs, run: Run, tmp_path: Path, given: str, walltime: str | int
) -> None:
    path = tmp_path / "My Train.sh"
    path.write_text("#!/bin/bash\ntrain\n")
    options = ("--target", "slurm", "--walltime", given, "--tasks", "4", "-n", "team1")
    done = run("job", "submit", str(path), *options)
    assert "my-train-x7k2p submitted in team1" in done.output
    assert "platformctl job describe my-train-x7k2p -n team1" in done.output
    spec = {"script": "#!/bin/bash\ntrain\n", "target": "slurm", "walltime": walltime, "tasks": 4}
    assert jobs.jobs[0]["spec"] == spec


def test_a_manifest_of_several_jobs_keeps_names_and_namespaces(
    jobs: MemoryJobs, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    done = json.loads(run("-o", "json", "job", "submit", str(tmp_path / "jobs.yaml")).stdout)
    assert [(job["name"], job["namespace"]) for job in done] == [("one", "default"), ("jobs-x7k2p", "team1")]


def test_a_script_comes_from_standard_input(jobs: MemoryJobs, run: Run) -> None:
    assert run("job", "submit", "-", "--name", "now", text="#!/bin/sh\ndate\n").exit_code == 0
    assert jobs.jobs[0]["metadata"] == {"name": "now", "namespace": "default"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\napiVersion: v1\n", "holds a Pod of v1"),
        ("", "holds no Job"),
        ("a: [", "is not YAML"),
        ("- 1\n", "something else"),
        (MANIFEST.replace("script", "skript", 1), "spec.skript"),
        ("#!/bin/sh\n#SBATCH -n 2\n", "#SBATCH"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_submitted(
    jobs: MemoryJobs, run: Run, text: str, words: str
) -> None:
    error = error_of(run("job", "submit", "-", text=text))
    assert words in str(error)
    assert error.code is ExitCode.INVALID
    assert jobs.jobs == []


def test_directives_lead_to_the_import(jobs: MemoryJobs, run: Run) -> None:
    error = error_of(run("job", "submit", "-", text="#!/bin/sh\n#SBATCH -n 2\n"))
    assert error.next == "platformctl job import -"


def test_a_file_that_is_not_there_is_named(jobs: MemoryJobs, run: Run) -> None:
    assert "/no/such cannot be read" in str(error_of(run("job", "submit", "/no/such")))


def test_cancelling_asks_the_router_or_deletes(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    shown = run("job", "cancel", "train-x7k2p", "bad-9xw4t").stdout
    assert shown == "train-x7k2p: cancelling\nbad-9xw4t: has ended already (Failed)\n"
    assert jobs.asked == [("train-x7k2p", {"kfoundry.io/cancel-requested": "true"})]
    assert json.loads(run("-o", "json", "job", "cancel", "--delete", "bad-9xw4t").stdout) == [
        {"name": "bad-9xw4t", "action": "deleted"}
    ]
    assert jobs.deleted == ["bad-9xw4t"]


def test_only_what_has_ended_is_tried_again(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [FAILED, QUEUED, REFUSED, UNSEEN]
    assert run("job", "retry", "bad-9xw4t").stdout == "bad-9xw4t: attempt 2 requested\n"
    assert jobs.asked == [
        ("bad-9xw4t", {"kfoundry.io/retry-requested": "1", "kfoundry.io/cancel-requested": None})
    ]
    for name in ("fit-2v9dl", "no-5tq8z", "new-7hq2m"):
        assert error_of(run("job", "retry", name)).code is ExitCode.REFUSED


def test_names_are_completed(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = list(ALL)
    shell = {
        "_PLATFORMCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": "platformctl job describe tr",
        "COMP_CWORD": "3",
    }
    assert run(env=shell).stdout.split() == ["train-x7k2p"]


def test_only_what_is_suspended_is_resumed(jobs: MemoryJobs, run: Run) -> None:
    jobs.jobs = [job("held-4kq1z", suspend=True), QUEUED]
    assert run("job", "resume", "held-4kq1z").stdout == "held-4kq1z: resumed\n"
    assert jobs.resumed == ["held-4kq1z"]
    assert error_of(run("job", "resume", "fit-2v9dl")).code is ExitCode.REFUSED


def test_top_shows_who_holds_what(jobs: MemoryJobs, run: Run) -> None:
    pod = {"spec": {"containers": [{"name": "x", "image": "y", "resources": {"requests": {"cpu": "1500m"}}}]}}
    wide = job("wide-3jf8s", {"phase": "Running", "backend": "kubernetes"}, who="bob", template=pod, tasks=3)
    plain = job(
        "plain-6wq2c", {"phase": "Running", "backend": "slurm", "backendId": "12"}, who="bob", nodes=2
    )
    jobs.jobs = [*ALL, wide, plain]
    agrees("top.txt", run("job", "top").stdout)
    found = json.loads(run("-o", "json", "job", "top").stdout)
    phases = {"running": 1, "queued": 1, "pending": 1}
    assert found["users"][0] == {
        "user": "alice",
        "slurm": 1,
        "kubernetes": 0,
        "cpus": 400,
        "gpus": 10,
        **phases,
    }
    assert [(item["name"], item["cpus"]) for item in found["jobs"]][:3] == [
        ("train-x7k2p", 400),
        ("wide-3jf8s", 4.5),
        ("plain-6wq2c", 2),
    ]
    jobs.jobs = [FAILED]
    assert run("job", "top").stdout == "no live Jobs\n"


def test_top_is_watched_until_interrupted(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    jobs.jobs = list(ALL)
    done = run("-o", "json", "job", "top", "--watch", "--every", "5")
    assert done.exit_code == 0
    assert looks == [5.0, 5.0]
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2


def test_what_a_user_wrote_is_no_command_to_a_terminal(jobs: MemoryJobs, run: Run) -> None:
    evil = "[red]\x1b]0;hacked\x07\x1b[2J"
    status = {"phase": "Failed", "reason": evil, "nodes": evil, "decision": evil, "output": evil}
    jobs.jobs = [job("evil-1a2b3", status, script=f"#!/bin/sh {evil}\n", queue=evil)]
    for words in (("list",), ("describe", "evil-1a2b3"), ("explain", "evil-1a2b3"), ("wait", "evil-1a2b3")):
        shown = run("job", *words).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[red]" in shown
