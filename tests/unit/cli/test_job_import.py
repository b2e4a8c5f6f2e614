"""An #SBATCH script from the command line to a Job."""

import json
from collections.abc import Callable
from pathlib import Path

import yaml
from typer.testing import Result

from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs
from tests.unit.cli.examples import ALL

Run = Callable[..., Result]
SCRIPT = "#!/bin/bash\n#SBATCH -J fit -t 90 -n 2\n#SBATCH --mail-user=a@example.org\nsrun fit\n"
WRONG = SCRIPT.replace("--mail-user=", "--uid=")


def test_the_job_is_shown_as_a_manifest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fit.sh").write_text(SCRIPT)
    done = run("job", "import", str(tmp_path / "fit.sh"), "--without", "mail-user")
    job = yaml.safe_load(done.stdout)
    assert job["metadata"] == {"generateName": "fit-"}
    assert {key: job["spec"][key] for key in ("target", "tasks", "walltime")} == {
        "target": "slurm",
        "tasks": 2,
        "walltime": "01:30:00",
    }
    assert "script: |" in done.stdout
    assert "note: line 3: --mail-user is left out, as asked" in done.stderr


def test_the_job_for_programs(run: Run) -> None:
    found = json.loads(
        run("-o", "json", "job", "import", "-", "--without", "--mail-user", text=SCRIPT).stdout
    )
    assert found["job"]["kind"] == "Job"
    assert any("as asked" in note for note in found["notes"])


def test_options_are_left_out_by_repetition_and_by_commas(run: Run) -> None:
    script = SCRIPT.replace("srun fit", "#SBATCH --mail-type=END\n#SBATCH --exclusive=user\nsrun fit")
    for words in (
        ("--without", "mail-user,mail-type", "--without", "exclusive"),
        ("--without", " mail-user, --mail-type,exclusive,"),
    ):
        done = run("job", "import", "-", *words, text=script)
        assert done.exit_code == 0, done.exception
        assert done.stderr.count("as asked") == 3


def test_mistakes_are_named_with_file_and_line(run: Run) -> None:
    error = run("job", "import", "-", text=WRONG).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.INVALID
    assert error.details[0].startswith("-:3: --uid: leave it out")


def test_it_is_submitted_when_asked(jobs: MemoryJobs, run: Run) -> None:
    done = run(
        "job", "import", "-", "--submit", "--without", "mail-user", "--namespace", "team1", text=SCRIPT
    )
    assert done.exit_code == 0
    assert "fit-x7k2p submitted in team1" in done.stdout


def test_bad_options_are_usage_errors(run: Run) -> None:
    for words in (("--job", "x"), ("--job", "x=y"), ("--target", "moon")):
        assert run("job", "import", "-", *words, text=SCRIPT).exit_code == ExitCode.INVALID


def test_ids_of_own_jobs_are_known_when_it_is_submitted(jobs: MemoryJobs, run: Run) -> None:
    script = "#!/bin/sh\n#SBATCH -d afterok:4711:12:13\n:\n"
    jobs.jobs = list(ALL)
    assert run("job", "import", "-", "--submit", "--job", "12=first", text=script).exit_code == 0
    spec = jobs.jobs[-1]["spec"]
    assert [item["name"] for item in spec["dependsOn"]] == ["train-x7k2p", "first"]
    # What is no Job's is Slurm's own.
    assert spec["slurm"]["dependency"] == "afterok:13"


def test_it_takes_the_options_and_arguments_of_sbatch(run: Run) -> None:
    done = run(
        "job", "import", "-n", "8", "-", "input.txt", "--target", "auto", "--", "--submit", text=SCRIPT
    )
    assert done.exit_code == 0, done.exception
    spec = yaml.safe_load(done.stdout)["spec"]
    assert (spec["tasks"], spec["target"]) == (8, "auto")
    assert spec["args"] == ["input.txt", "--submit"]
