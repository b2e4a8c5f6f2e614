"""Entering an interactive Job: the scheduler's own command takes over."""

from collections.abc import Callable

import pytest
from typer.testing import Result

from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs
from tests.unit.cli.examples import RUNNING, job

Run = Callable[..., Result]
IN_POD = {"phase": "Running", "backend": "kubernetes", "backendId": "team/kfoundry-enter-10001-a-1"}
ON_SLURM = {"phase": "Running", "backend": "slurm", "backendId": "17"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was started in place of platformctl, on a machine that has everything."""
    found: list[list[str]] = []
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.execvp", lambda _name, words: found.append(words))
    return found


def test_the_schedulers_command_takes_over(jobs: MemoryJobs, run: Run, started: list[list[str]]) -> None:
    jobs.jobs = [
        job("here", ON_SLURM, interactive=True),
        job("there", IN_POD, interactive=True),
        job("image", IN_POD, interactive=True, template={"spec": {}}),
    ]
    run("job", "enter", "here", "--context", "lab")
    run("job", "enter", "there", "--context", "lab", "--kubeconfig", "/k")
    run("job", "enter", "image")
    pod = ["exec", "-it", "-n", "team", "job/kfoundry-enter-10001-a-1", "--"]
    assert started == [
        ["srun", "--jobid=17", "--overlap", "--pty", "bash"],
        ["kubectl", "--kubeconfig", "/k", "--context", "lab", *pod, "bash"],
        ["kubectl", *pod, "sh"],
    ]


def test_what_cannot_be_entered_is_told(jobs: MemoryJobs, run: Run, started: list[list[str]]) -> None:
    jobs.jobs = [RUNNING, job("waits", {**IN_POD, "phase": "Queued"}, interactive=True)]
    for name, what in (("train-x7k2p", "is not interactive"), ("waits", "is not running: it is Queued")):
        error = run("job", "enter", name).exception
        assert isinstance(error, PlatformError)
        assert (what in error.what, error.code) == (True, ExitCode.REFUSED)
    assert not started


def test_without_the_schedulers_program_the_command_is_told(
    jobs: MemoryJobs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    jobs.jobs = [job("here", ON_SLURM, interactive=True)]
    error = run("job", "enter", "here").exception
    assert isinstance(error, PlatformError)
    assert error.next == "run this on a host that has it: srun --jobid=17 --overlap --pty bash"
