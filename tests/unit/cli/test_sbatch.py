"""`platformctl sbatch` as people type sbatch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from platformctl.cli import start
from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs

Run = Callable[..., Result]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the folder where the commands run."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))]:
        monkeypatch.delenv(name)
    path = tmp_path / "my.script"
    path.write_text("#!/bin/bash\n#SBATCH --time=10 -J fit\nsrun fit $1\n")
    return path


def spec(jobs: MemoryJobs) -> dict[str, Any]:
    found: dict[str, Any] = jobs.jobs[-1]["spec"]
    return found


def test_the_line_of_the_talk(jobs: MemoryJobs, run: Run, script: Path) -> None:
    done = run("sbatch", "-n4", "-o", "my.stdout", "my.script")
    assert done.exit_code == 0, done.exception
    assert done.stdout == "Submitted batch job fit-x7k2p\n"
    found = spec(jobs)
    assert (found["tasks"], found["slurm"]["output"]) == (4, "my.stdout")
    assert found["slurm"]["chdir"] == str(script.parent)


def test_all_behind_the_script_is_the_scripts(jobs: MemoryJobs, run: Run, script: Path) -> None:
    run("sbatch", "-t", "20", "my.script", "-n", "8", "--target", "x", "--", "--wait")
    assert spec(jobs)["args"] == ["-n", "8", "--target", "x", "--", "--wait"]
    # What is typed counts more than the script.
    assert spec(jobs)["walltime"] == "00:20:00"


def test_what_programs_read(jobs: MemoryJobs, run: Run, script: Path) -> None:
    assert run("sbatch", "--parsable", "my.script").stdout == "fit-x7k2p\n"
    assert run("sbatch", "-Q", "my.script").stdout == ""
    assert '"name": "fit-x7k2p"' in run("-o", "json", "sbatch", "my.script").stdout


def test_a_command_is_wrapped(jobs: MemoryJobs, run: Run, script: Path) -> None:
    assert run("sbatch", "--wrap", "hostname; date").stdout == "Submitted batch job wrap-x7k2p\n"
    expected = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\nhostname; date\n"
    assert spec(jobs)["script"] == expected
    error = run("sbatch", "--wrap", "hostname", "my.script").exception
    assert isinstance(error, PlatformError)
    assert "--wrap takes no script" in error.details[0]


def test_the_script_may_be_standard_input(jobs: MemoryJobs, run: Run, script: Path) -> None:
    assert run("sbatch", "-c2", text="#!/bin/sh\n:\n").stdout == "Submitted batch job sbatch-x7k2p\n"
    assert spec(jobs)["resources"] == {"cpu": "2"}


def test_names_of_jobs_are_waited_for_and_ids_are_slurms(jobs: MemoryJobs, run: Run, script: Path) -> None:
    run("sbatch", "-d", "afterok:left-x7k2p,afterany:4711", "my.script")
    assert spec(jobs)["dependsOn"] == [{"name": "left-x7k2p", "when": "succeeded"}]
    assert spec(jobs)["slurm"]["dependency"] == "afterany:4711"


def test_variables_of_sbatch_are_options(
    jobs: MemoryJobs, run: Run, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "main")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "30")
    run("sbatch", "-p", "other", "my.script")
    assert (spec(jobs)["queue"], spec(jobs)["walltime"]) == ("other", "00:30:00")


def test_the_shell_comes_along_without_its_secrets(
    jobs: MemoryJobs, run: Run, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATASET", "one")
    monkeypatch.setenv("MY_TOKEN", "x")
    done = run("sbatch", "my.script")
    environment = spec(jobs)["slurm"]["environment"]
    assert (environment["DATASET"], environment["SLURM_SUBMIT_DIR"]) == ("one", str(script.parent))
    assert "MY_TOKEN" not in environment
    assert "MY_TOKEN" in done.stderr
    assert "SLURM_RLIMIT_NOFILE" in environment
    run("sbatch", "--export=NIL", "my.script")
    assert "DATASET" not in spec(jobs)["slurm"]["environment"]


def test_mistakes_are_told_by_line_and_nothing_is_submitted(jobs: MemoryJobs, run: Run, script: Path) -> None:
    script.write_text("#!/bin/bash\n#SBATCH --time=never\n:\n")
    error = run("sbatch", "--mem=much", "my.script").exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.INVALID
    assert [line.partition(" is ")[0] for line in error.details] == [
        "--mem: 'much'", "my.script:2: --time: 'never'",
    ]  # fmt: skip
    assert jobs.jobs == []
    assert isinstance(run("sbatch", "--nonsense", "my.script").exception, PlatformError)
    assert isinstance(run("sbatch", "missing").exception, PlatformError)


def test_a_trial_submits_nothing(jobs: MemoryJobs, run: Run, script: Path) -> None:
    done = run("sbatch", "--test-only", "my.script")
    assert (done.exit_code, done.stdout, jobs.jobs) == (0, "", [])
    assert "nothing was submitted" in done.stderr
    assert "SCRIPT" in run("sbatch", "--usage").stdout
    assert "24.11" in run("sbatch", "-V").stdout


def test_the_end_is_waited_for_and_its_code_is_the_commands(jobs: MemoryJobs, run: Run, script: Path) -> None:
    jobs.later = [{"phase": "Running"}, {"phase": "Failed", "exitCode": 3}]
    assert run("sbatch", "--wait", "my.script").exit_code == 3


def test_a_refusal_of_the_router_is_told(jobs: MemoryJobs, run: Run, script: Path) -> None:
    jobs.later = [{"phase": "Refused", "reason": "spec.slurm.chdir: /x is not below /home"}]
    error = run("sbatch", "my.script").exception
    assert isinstance(error, PlatformError)
    assert error.details == ["spec.slurm.chdir: /x is not below /home"]


def test_an_old_script_is_read_too(jobs: MemoryJobs, run: Run, script: Path) -> None:
    script.write_bytes("#!/bin/bash\n# Grüße\nhostname\n".encode("latin-1"))
    done = run("sbatch", "my.script")
    assert "# Grüße\n" in spec(jobs)["script"]
    assert "Latin-1" in done.stderr


@pytest.mark.parametrize(
    ("program", "words"), [("/usr/local/bin/sbatch", ["sbatch", "-n4", "x"]), ("/usr/bin/platformctl", None)]
)
def test_a_site_may_install_it_as_sbatch(
    program: str, words: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("platformctl.surroundings.seal", lambda: None)
    monkeypatch.setattr("platformctl.cli.main.app", lambda args: seen.append(args))
    monkeypatch.setattr("sys.argv", [program, "-n4", "x"])
    start.run()
    assert seen == [words]
